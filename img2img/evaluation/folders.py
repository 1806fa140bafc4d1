"""Measures a folder of images against another."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from img2img.config import DataConfig, SideConfig
from img2img.data.domains import domain_of
from img2img.data.layouts import Folders
from img2img.data.mistaken import no_folder
from img2img.data.sources import ImageSource, sources_by_name
from img2img.errors import ConfigError, DataError, some_names
from img2img.evaluation.measuring import Evaluation, Images, evaluate
from img2img.evaluation.options import EvaluationOptions, chosen, notifier, pairing_of, weights_of
from img2img.evaluation.test_sets import by_name
from img2img.images import Pages


def evaluate_folders(
    result: Path | str,
    real: Path | str,
    *,
    inputs: Path | str | None = None,
    pages: Pages = "auto",
    **options: Unpack[EvaluationOptions],
) -> Evaluation:
    """Measure a folder of images against a folder of real images.

    Images with the same path in their folder, apart from the suffix, are pairs if all have a
    partner. Values are relative to the range of the real images; see `data.domains.domain_of`.

    Args:
        inputs: the folder of the inputs, which are measured as a baseline.
        pages: what the pages of files are, as in `data.A.pages`.

    Raises:
        DataError: a folder is empty; only some images have a partner; or a result has no input.
        ImageError: a file does not decode, or the two of a pair differ in size.
        ConfigError: an unknown measure, network or device.
    """
    result, real, inputs = Path(result), Path(real), Path(inputs) if inputs else None
    for folder in (result, real, *([inputs] if inputs else [])):
        if not folder.is_dir():
            raise DataError(no_folder(folder))
    if pairing_of(options).layout == "side_by_side":
        raise ConfigError("`side_by_side` only applies to a data set (`data`), not to two folders")
    wanted = chosen(options.get("measures"), {"pair", "set"})
    side = SideConfig(pages=pages)
    if pages != "auto":
        options["pairing"] = DataConfig(**pairing_of(options).model_dump(), A=side, B=side)
    results, targets, paired = by_name(Folders(result, real, f"{result} + {real}"), wanted, options)
    weights_of(options)  # an error before any picture is decoded
    domain = domain_of([*targets.values()]).measured
    if not domain.whole:
        notifier(options)(
            f"values are relative to {domain}, the range of the real images as training takes it"
        )
    pictures = (source.seen_as(domain).read() for source in results.values())
    against = [source.seen_as(domain) for source in targets.values()]
    before = _inputs(inputs, [*results], side) if inputs and paired else None
    images = Images([*results], pictures, against, paired, before)
    return evaluate(images, wanted, **options)


def _inputs(folder: Path, names: Sequence[str], side: SideConfig) -> list[ImageSource]:
    found = sources_by_name(folder, side)
    if lone := [name for name in names if name not in found]:
        raise DataError.of(folder, f"no input for {some_names(lone)}")
    sources = [found[name] for name in names]
    domain = domain_of(sources)
    return [source.seen_as(domain) for source in sources]
