"""The page of a comparison."""

from pathlib import Path

from img2img.evaluation.comparison import Comparison, primary_measure
from img2img.evaluation.verdict import verdict
from img2img.html import render
from img2img.metrics.measure import MEASURES, short_number
from img2img.metrics.significance import PairedTest
from img2img.pages.pictures import bytes_per_picture, slider_of
from img2img.runtime.files import write_text

# With everything else the page stays under 15 MB.
_EXAMPLE_BYTES = 12_000_000
_NONE = "–"
# The text of a cell, and whether it is bold.
_Cell = tuple[str, bool]


def write_comparison(comparison: Comparison, path: Path | str) -> None:
    """Write the page: one HTML file that contains everything it shows.

    Raises:
        ImageError: a file of the test set no longer decodes.
        StorageError: the disk refused.
    """
    models, images = comparison.models, comparison.most_different
    count = sum(len(image.pictures) for image in images)
    max_bytes = bytes_per_picture(_EXAMPLE_BYTES, count)
    has_baseline = any(f.baseline is not None for f in models[0].figures.values())
    untouched = ["untouched input"] if has_baseline else []
    page = render(
        "img2img.pages",
        "comparison.html",
        comparison=comparison,
        verdict=verdict(comparison),
        head=["", *(model.name for model in models), *untouched],
        rows=[*_measures(comparison, has_baseline), *_costs(comparison, has_baseline)],
        notes=_notes(comparison),
        tests=[_test_row(test) for test in comparison.paired_tests],
        sliders=[
            slider_of(
                image,
                image.name,
                ((label, file.read()) for label, file in image.pictures),
                max_bytes,
            )
            for image in images
        ],
        left=len(images[0].pictures) - len(models) if images else 0,
        measure=primary_measure(models),
    )
    write_text(Path(path), page)


def _measures(comparison: Comparison, has_baseline: bool) -> list[tuple[str, list[_Cell]]]:
    """A row for each measure, the best figure bold."""
    rows = []
    for name, measure in MEASURES.items():
        figures = [model.figures.get(name) for model in comparison.models]
        values = [figure.value for figure in figures if figure]
        if not values:
            continue
        best = max(values) if measure.higher_is_better else min(values)
        # The interval goes on a line of its own.
        cells = [
            (str(f).replace(" ", "\n", 1), f.value == best) if f else (_NONE, False)
            for f in figures
        ]
        if has_baseline:
            baseline = figures[0].baseline if figures[0] else None
            cells.append((_NONE if baseline is None else short_number(baseline), False))
        rows.append((f"{name} {'↑' if measure.higher_is_better else '↓'}", cells))
    return rows


def _costs(comparison: Comparison, has_baseline: bool) -> list[tuple[str, list[_Cell]]]:
    models = comparison.models
    rows = {
        "scale": [model.scale for model in models],
        "ms per picture": [f"{1e3 * model.seconds:.1f}" for model in models],
        "weights": [_NONE if m.parameters is None else f"{m.parameters:,}" for m in models],
        "file size, MB": [f"{model.bytes / 1e6:.1f}" for model in models],
    }
    none = [_NONE] if has_baseline else []
    return [(name, [(cell, False) for cell in [*cells, *none]]) for name, cells in rows.items()]


def _notes(comparison: Comparison) -> dict[str, list[str]]:
    """Remarks on measures: by text, the measures that it applies to."""
    notes: dict[str, dict[str, None]] = {}
    for model in comparison.models:
        for name, found in model.figures.items():
            if found.network:
                how = f"features of {found.network}"
                how += f", images resized by {found.resize}" if found.resize else ""
                notes.setdefault(how, {})[name] = None
            if found.note:
                notes.setdefault(found.note, {})[name] = None
        for name, why in model.missing.items():
            notes.setdefault(why, {})[name] = None
    return {note: [*names] for note, names in notes.items()}


def _test_row(test: PairedTest) -> tuple[str, list[_Cell]]:
    difference = _NONE
    if test.difference is not None and test.low is not None and test.high is not None:
        low, high = short_number(test.low), short_number(test.high)
        difference = f"{short_number(test.difference)} [{low}, {high}]"
    p = _NONE if test.p is None else "< 0.001" if test.p < 0.001 else f"{test.p:.3f}"
    counts = [str(count) for count in (test.better, test.worse, test.equal)]
    cells = [test.measure, *counts, difference, p]
    return f"{test.first} against {test.second}", [(cell, False) for cell in cells]
