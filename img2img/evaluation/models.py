"""Measures a trained model on a test set."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from img2img.config import Direction
from img2img.engine.sizing import AppliedScale, Scale
from img2img.engine.translator import Translator
from img2img.errors import ConfigError, Img2ImgError
from img2img.evaluation.measuring import Evaluation, Images, evaluate
from img2img.evaluation.options import EvaluationOptions, chosen, notifier
from img2img.evaluation.results import l1_of_pictures, scale_text
from img2img.evaluation.test_sets import TestData, test_set_of
from img2img.images import Picture
from img2img.metrics.measure import LABEL_MEASURES, mean_figure


def evaluate_model(
    model: Path | str,
    data: TestData | None = None,
    *,
    direction: Direction | None = None,
    scale: Scale = "auto",
    **options: Unpack[EvaluationOptions],
) -> Evaluation:
    """Translate a test set in memory, and measure the results against the other domain's images.

    The test set is the split `test` of a data set in any known layout, or else `val`, or else all
    images. Its images are pairs if all names have a partner. Translations are computed in float32,
    so that figures do not depend on the machine, and rounded to the depth of the files, like
    written results. Measures of pairs have the untouched inputs as their baseline.

    Args:
        model: a run folder, model file, exported model or checkpoint of the reference.
        data: a data set, or two folders, of A and of B, or a list of folders for A if the model has
            several inputs; None: the held-out images of the model's run.
        direction: translation direction of a two-way model, for which `cycle` is measured too.
        scale: the size at which images are translated; see `Translator`.

    Raises:
        DataError: no images in a known layout; or, for a one-way model, only some images have a
            partner.
        ImageError: a file cannot be decoded, or the two images of a pair differ in size.
        ModelFileError: the model does not exist or cannot be read.
        ConfigError: an unknown measure, network, device or direction; or `data` is None and the
            model is not in a run folder.
    """
    say, model = notifier(options), Path(model)
    device = options.get("device", "auto")

    def load(way: Direction | None) -> Translator:
        return Translator.load(
            model, direction=way, device=device, precision="fp32", scale=scale, say=say
        )

    there = load(direction)
    way = there.spec.direction
    try:
        back = load("BtoA" if way == "AtoB" else "AtoB")
    except ConfigError:
        back = None
    if not there.spec.reversible:
        back = None
    wanted = chosen(options.get("measures"), {"pair", "set", *(["cycle"] if back else [])})
    if there.spec.output.kind == "labels" and options.get("measures") is None:
        wanted = [*LABEL_MEASURES]
    domains = there.spec.domains
    test_set = test_set_of(data, [model], wanted, options, lone_refused=not back, domains=domains)
    options["pairing"] = test_set.pairing
    sources, real = test_set.seen_as(there.spec.domains_measured).sources(way)
    cycle: list[float] = []
    scales: Counter[AppliedScale] = Counter()

    def translated() -> Iterator[Picture]:
        pictures = ((picture, picture) for picture in (each.read() for each in sources.values()))
        for picture, result in there.translate_each(pictures):
            if isinstance(result, Img2ImgError):
                raise result
            scales[there.applied_scale(picture.size)] += 1
            if back and "cycle" in wanted:
                cycle.append(l1_of_pictures(back.translate(result), picture))
            yield result

    # A label map and an image have nothing to compare.
    comparable = there.spec.input.kind == there.spec.output.kind
    inputs = [*sources.values()] if test_set.paired and comparable else None
    images = Images([*sources], translated(), real, test_set.paired, inputs)
    evaluation = evaluate(images, wanted, **options)
    figures = evaluation.figures
    if cycle:
        figures["cycle"] = mean_figure("cycle", cycle, options.get("seed", 0))
    scaled = scale_text(scales)
    return replace(
        evaluation,
        figures={name: replace(figure, scale=scaled) for name, figure in figures.items()},
        where=test_set.where,
        trained_on=test_set.trained_on,
    )
