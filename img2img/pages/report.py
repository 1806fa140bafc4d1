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
from img2img.images.display import shown_of
from img2img.models.checkpoint import load_model
from img2img.pages.curves import charts, read_curves
from img2img.pages.pictures import Slider, bytes_per_picture, slider_of
from img2img.pages.verdict import verdict
from img2img.runs.data import find_as_trained
from img2img.runs.directory import RunDirectory
from img2img.runs.log import is_number
from img2img.runs.reading import Record, read_run
from img2img.runtime.files import write_text
from img2img.training.build import method_class

# With everything else the page stays under 15 MB.
_SHEET_BYTES = 4_000_000
_EXAMPLE_BYTES = 9_000_000
# The most sample sheets on the page, and the longer side of each in pixels.
_MAX_SHEETS = 30
_SHEET_SIDE = 1100


def write_report(
    run: Path | str,
    output: Path | str | None = None,
    *,
    examples: int = 8,
    scale: Scale = "auto",
    device: str = "auto",
    show: Sequence[str] = (),
    progress: CountProgress | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a run, finished or not, as one HTML file, and return its path.

    The page says what the run folder does not contain yet, and what is missing from the data.

    Args:
        output: by default `report.html` in the run folder.
        examples: how many of the best held-out images to show, and how many of the worst.
        scale: the size at which held-out images are translated; see `Translator`.
        device: where held-out images are translated.
        show: which channels the page shows; see `TranslatorOptions`.
        progress: called with (images translated, images).
        say: called with remarks for the user; None: they become warnings.

    Raises:
        ConfigError: not a run folder, or there is no such device.
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
                    run,
                    test_set,
                    scale=scale,
                    device=device,
                    show=show,
                    progress=progress,
                    say=say,
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
        sliders=_sliders(held_out, examples),
        sheets=sheets,
        sheets_shown=_sheets_shown(run),
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
    """The last logged values, which the page begins with."""
    tags = {"images": "images", "seconds": "seconds", "best": f"val/{record.config.metrics.best}"}
    values = {name: record.last(tag) for name, tag in tags.items()}
    return {name: value for name, value in values.items() if is_number(value)}


def _logged(record: Record, tag: str) -> list[float]:
    return [line[tag] for line in record.lines if is_number(line.get(tag))]


def _sheets(record: Record) -> tuple[list[tuple[int, Markup]], list[str]]:
    """Sample sheets by step, and the errors of those that cannot be read."""
    chosen = evenly_spaced(list(record.sheets.items()), _MAX_SHEETS)
    sheets, damaged = [], []
    for step, path in chosen:
        try:
            picture = read_picture(path)
        except Img2ImgError as error:
            damaged.append(str(error))
            continue
        sheets.append((step, embedded(picture, _SHEET_SIDE, _SHEET_BYTES // len(chosen))))
    return sheets, damaged


def _sheets_shown(run: Path) -> str:
    """What the sheets show of images, as the run's model has it; nothing without a model."""
    try:
        spec = next(iter(load_model(run).specs.values()))
    except ModelFileError:
        return ""
    return shown_of(dict(sorted(spec.domains.items())))


def _sliders(
    held_out: Sequence[HeldOutResults], count: int
) -> dict[str, dict[str, list[Slider[Example]]]]:
    """By direction: the `first` examples, the best ones if they are ranked, and the `worst`."""
    max_bytes = bytes_per_picture(_EXAMPLE_BYTES, len(held_out) * 2 * count * 3)

    def sliders(examples: Sequence[Example]) -> list[Slider[Example]]:
        return [slider_of(each, each.name, each.pictures(), max_bytes) for each in examples]

    chosen: dict[str, dict[str, list[Slider[Example]]]] = {}
    for each in held_out:
        examples = each.examples
        if each.ranked:
            best = examples[: min(count, (len(examples) + 1) // 2)]
            worst = examples[: len(best) - 1 : -1][:count]
            chosen[each.direction] = {"first": sliders(best), "worst": sliders(worst)}
        else:
            some = evenly_spaced(examples, 2 * count)
            chosen[each.direction] = {"first": sliders(some), "worst": []}
    return chosen
