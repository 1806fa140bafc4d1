"""Measuring a trained model on a test set."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack

from img2img.data.layouts import find_test_set
from img2img.errors import ConfigError, Img2ImgError
from img2img.images import Picture, to_tensor
from img2img.inference.translator import Translator
from img2img.metrics.evaluate import Evaluation, Images, Options, arrange, chosen, evaluate, teller
from img2img.metrics.measure import mean_figure
from img2img.metrics.paired import l1


def evaluate_model(
    model: Path,
    data: Path,
    *,
    direction: Literal["AtoB", "BtoA"] | None = None,
    **options: Unpack[Options],
) -> Evaluation:
    """Translate a test set in memory, and measure that against the images of the other domain.

    The test set is the split `test` of a data set in any known layout, else `val`, else all of it.
    Its images are pairs if all names have a partner. Translations are computed in float32, so that
    figures do not depend on the machine, and rounded to the files' depth, as written ones are.

    Args:
        direction: which generator, where the model goes both ways. Such a model is measured by
            `cycle`, too.

    Raises:
        DataError: no images in a known layout; or, of a model that goes one way, some of them have
            a partner and others none.
        ImageError: a file does not decode, or the two of a pair differ in size.
        ModelFileError: there is no model.
        ConfigError: no such measure, network, device or direction.
    """
    say = teller(options)
    device = options.get("device", "auto")
    there = Translator.load(model, direction=direction, device=device, precision="fp32", say=say)
    way = there.spec.direction
    try:
        opposite: Literal["AtoB", "BtoA"] = "BtoA" if way == "AtoB" else "AtoB"
        back = Translator.load(model, direction=opposite, device=device, precision="fp32", say=say)
    except ConfigError:
        back = None
    wanted = chosen(options.get("measures"), {"pair", "set", *(["cycle"] if back else [])})
    folders = find_test_set(data)
    if not folders.side_by_side:
        folders = replace(folders, root=None)  # names are by the domain's folder, as translate's
    A, B, paired = arrange(folders, wanted, options, lone_refused=not back)
    sources, real = (A, B) if way == "AtoB" else (B, A)
    cycle: list[float] = []

    def translated() -> Iterator[Picture]:
        pictures = ((picture, picture) for picture in (each.read() for each in sources.values()))
        for picture, result in there.translate_each(pictures):
            if isinstance(result, Img2ImgError):
                raise result
            if back and "cycle" in wanted:
                pair = (to_tensor(p.composited())[None] for p in (back.translate(result), picture))
                cycle.append(l1(*pair).item())
            yield result

    images = Images([*sources], translated(), [*real.values()], paired)
    evaluation = evaluate(images, wanted, **options)
    if cycle:
        evaluation.figures["cycle"] = mean_figure("cycle", cycle, options.get("seed", 0))
    return evaluation
