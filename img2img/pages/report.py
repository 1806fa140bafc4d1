"""The report of a run: one HTML file that shows how the training went, and its results."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

from markupsafe import Markup

from img2img import __version__
from img2img.data.dataset import DataSet
from img2img.data.sources import CountProgress
from img2img.doctor import follow
from img2img.engine.sizing import Scale
from img2img.errors import Img2ImgError, ModelFileError
from img2img.evaluation.held_out import Example, HeldOutResults, translate_held_out
from img2img.evaluation.results import evenly_spaced
from img2img.evaluation.test_sets import held_out_set
from img2img.html import embedded, render
from img2img.images import read_picture
from img2img.pages.curves import charts, read_curves
from img2img.pages.pictures import Shown, bytes_each, shown
from img2img.pages.verdict import verdict
from img2img.runs.data import find_as_trained
from img2img.runs.directory import RunDirectory
from img2img.runs.log import is_number
from img2img.runs.reading import Record, read_run
from img2img.runtime.files import write_text
from img2img.training.build import method_class

# Together with all else a page stays under 15 MB.
_BYTES_OF_SHEETS = 4_000_000
_BYTES_OF_EXAMPLES = 9_000_000
# Sample sheets on the page, and the longer side of each in pixels.
_SHEETS = 30
_SHEET_SIDE = 1100


def write_report(
    run: Path | str,
    output: Path | str | None = None,
    *,
    examples: int = 8,
    scale: Scale = "auto",
    device: str = "auto",
    progress: CountProgress | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a run, finished or not, as one HTML file; return where.

    What the run folder does not hold yet, or what of the data is gone, is told in its place.

    Args:
        output: by default `report.html` in the run folder.
        examples: how many of the best held-out images are shown, and as many of the worst.
        scale: at which size held-out images are translated; see `Translator`.
        device: where held-out images are translated.
        progress: called with (images translated, images).
        say: told what a person might want to know; None: they are warnings.

    Raises:
        ConfigError: it is no run folder, or no such device.
        StorageError: the disk refused.
    """
    run = Path(run)
    record = read_run(run)
    curves = read_curves(record.lines)
    found, missing = _data(record, progress)
    held_out: list[HeldOutResults] = []
    if found is not None and found.held_out and examples:
        try:
            test_set = held_out_set(run, found, record.config.data)
            held_out = list(
                translate_held_out(
                    run, test_set, scale=scale, device=device, progress=progress, say=say
                )
            )
        except ModelFileError as error:
            missing = str(error)
    findings = follow(record.lines, record.config)
    sheets, damaged_sheets = _sheets(record)
    model = RunDirectory(run).model_path
    page = render(
        "img2img.pages",
        "report.html",
        name=run.resolve().name,
        record=record,
        verdict=verdict(record, findings),
        last=_last(record),
        rate=median(rates) if (rates := _logged(record, "images_per_second")) else None,
        waiting=fmean(waits) if (waits := _logged(record, "waiting")) else None,
        model_bytes=model.stat().st_size if model.is_file() else None,
        found=found,
        missing=missing,
        held_out=held_out,
        pictures=_pictures(held_out, examples),
        sheets=sheets,
        damaged_sheets=damaged_sheets,
        findings=findings,
        measures=charts(curves, measures=True),
        losses=charts(curves, measures=False),
        curves=curves,
        version=__version__,
        scale=scale,
    )
    path = Path(output) if output else run / "report.html"
    write_text(path, page)
    return path


def _data(record: Record, progress: CountProgress | None) -> tuple[DataSet | None, str]:
    """The data of the run, or why it cannot be found."""
    try:
        kind = method_class(record.config.method).data
        return find_as_trained(kind, record.config, record.facts, progress), ""
    except Img2ImgError as error:
        return None, str(error)


def _last(record: Record) -> dict[str, float]:
    """The last logged numbers that the page begins with."""
    tags = {"images": "images", "seconds": "seconds", "best": f"val/{record.config.metrics.best}"}
    values = {name: record.last(tag) for name, tag in tags.items()}
    return {name: value for name, value in values.items() if is_number(value)}


def _logged(record: Record, tag: str) -> list[float]:
    return [line[tag] for line in record.lines if is_number(line.get(tag))]


def _sheets(record: Record) -> tuple[list[tuple[int, Markup]], list[str]]:
    """Sample sheets by step, and the errors of those that cannot be read."""
    chosen = evenly_spaced(list(record.sheets.items()), _SHEETS)
    sheets, damaged = [], []
    for step, path in chosen:
        try:
            picture = read_picture(path)
        except Img2ImgError as error:
            damaged.append(str(error))
            continue
        sheets.append((step, embedded(picture, _SHEET_SIDE, _BYTES_OF_SHEETS // len(chosen))))
    return sheets, damaged


def _pictures(
    held_out: Sequence[HeldOutResults], most: int
) -> dict[str, dict[str, list[Shown[Example]]]]:
    """By direction: the `first` examples, the best ones if they are ranked, and the `worst`."""
    room = bytes_each(_BYTES_OF_EXAMPLES, len(held_out) * 2 * most * 3)

    def pictures(examples: Sequence[Example]) -> list[Shown[Example]]:
        return [shown(each, each.name, each.pictures(), room) for each in examples]

    chosen: dict[str, dict[str, list[Shown[Example]]]] = {}
    for each in held_out:
        examples = each.examples
        if each.ranked:
            best = examples[: min(most, (len(examples) + 1) // 2)]
            worst = examples[: len(best) - 1 : -1][:most]
            chosen[each.direction] = {"first": pictures(best), "worst": pictures(worst)}
        else:
            some = evenly_spaced(examples, 2 * most)
            chosen[each.direction] = {"first": pictures(some), "worst": []}
    return chosen
