"""The page of a comparison."""

import math
from collections.abc import Iterator
from math import comb
from pathlib import Path
from statistics import median

from img2img.evaluation.comparison import Compared, Comparison, Difference, leading_measure
from img2img.html import page, text
from img2img.metrics.duel import Duel
from img2img.metrics.measure import MEASURES, Figure
from img2img.pages.fragments import (
    facts_table,
    figure,
    grid,
    remark,
    resource,
    section,
    sides,
    table,
)
from img2img.runtime.files import write_text

# Above this p a difference may well be chance.
CHANCE = 0.05
# A model that takes so many times as long as another is said to.
WORTH_SAYING = 1.2


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page, one file with all that it shows.

    Raises:
        StorageError: the disk refused.
    """
    body = "\n".join(
        [
            "<main>",
            f'<p class="verdict">{text(verdict(comparison))}</p>',
            section("Models", *_models(comparison)),
            section("Where they differ most", *_differences(comparison)),
            section("Image by image", *_duels(comparison)),
            "</main>",
        ]
    )
    count = len(comparison.names)
    remarks = remark(f"{count} images {comparison.direction}: {comparison.where}")
    title = " and ".join(model.name for model in comparison.models)
    style, script = resource("report.css"), resource("sides.js")
    write_text(path, page(title, remarks, body, style=style, script=script, sealed=True))


def verdict(comparison: Comparison) -> str:
    """Which model is the best, and how sure that is, in a sentence or two."""
    models = comparison.models
    measure = leading_measure(models) or next(iter(models[0].figures), None)
    if measure is None or any(measure not in model.figures for model in models):
        return "Nothing was measured that could tell one model from another."
    higher = models[0].figures[measure].higher_is_better
    ranked = sorted(models, key=lambda model: model.figures[measure].value, reverse=higher)
    best, second = ranked[:2]
    sentences = [_lead(comparison, measure, best, second)]
    for slow, quick in ((best, second), (second, best)):
        if (times := times_as_long(slow, quick)) > WORTH_SAYING:
            sentences.append(f"{slow.name} takes {times:.1f} times as long.")
    figure = best.figures[measure]
    if figure.baseline is not None and figure.no_better:
        sentences.append(
            f"None is better than the untouched input, which has {_number(figure.baseline)}."
        )
    return " ".join(sentences)


def times_as_long(slow: Compared, quick: Compared) -> float:
    """The median over pictures of how many times as long one takes; 1 where it may be chance.

    That is a sign test: how often a coin falls on one side for as many pictures.
    """
    ratios = [one / other for one, other in zip(slow.times, quick.times, strict=True)]
    count, longer = len(ratios), sum(ratio > 1 for ratio in ratios)
    p = 2 * sum(comb(count, more) for more in range(longer, count + 1)) / 2**count
    return median(ratios) if p < CHANCE else 1.0


def _lead(comparison: Comparison, measure: str, best: Compared, second: Compared) -> str:
    values = " against ".join(_number(each.figures[measure].value) for each in (best, second))
    pair = {best.name, second.name}
    found = (d for d in comparison.duels if d.measure == measure and {d.first, d.second} == pair)
    duelled = next(found, None)
    if duelled is None:
        return f"{best.name} has the better {measure}: {values}."
    wins = duelled.better if duelled.first == best.name else duelled.worse
    p = duelled.p
    sure = "" if p is None else ", p < 0.001" if p < 0.001 else f", p {p:.2g}"
    counted = f"on {wins} of {len(comparison.names)} images ({measure} {values}{sure})"
    if p is not None and p > CHANCE:
        return (
            f"{best.name} and {second.name} cannot be told apart: {best.name} is ahead {counted}."
        )
    return f"{best.name} is better than {second.name}: {counted}."


def measured(figure: Figure) -> str:
    """A figure and its interval, for people."""
    if figure.low is None or figure.high is None:
        return _number(figure.value)
    return f"{_number(figure.value)} [{_number(figure.low)}, {_number(figure.high)}]"


def _lines(figure: Figure) -> str:
    return measured(figure).replace(" ", "\n", 1)


def _models(comparison: Comparison) -> Iterator[str]:
    models = comparison.models
    rows: list[list[str]] = []
    baselines = {f.name: f.baseline for f in models[0].figures.values() if f.baseline is not None}
    best: set[tuple[int, int]] = set()
    for name, measure in MEASURES.items():
        figures = [model.figures.get(name) for model in models]
        values = [figure.value for figure in figures if figure]
        if not values:
            continue
        top = max(values) if measure.higher_is_better else min(values)
        best |= {(len(rows), at) for at, f in enumerate(figures, start=1) if f and f.value == top}
        cells = [_lines(figure) if figure else "–" for figure in figures]
        if baselines:
            cells.append(_number(baselines[name]) if name in baselines else "–")
        rows.append([f"{name} {'↑' if measure.higher_is_better else '↓'}", *cells])
    nothing = ["–"] if baselines else []
    rows.append(["scale", *(model.scale for model in models), *nothing])
    rows.append(["ms per picture", *(f"{1e3 * model.seconds:.1f}" for model in models), *nothing])
    weights = ("–" if m.parameters is None else f"{m.parameters:,}" for m in models)
    rows.append(["weights", *weights, *nothing])
    rows.append(["file size, MB", *(f"{model.bytes / 1e6:.1f}" for model in models), *nothing])
    untouched = ["untouched input"] if baselines else []
    yield table(["", *(model.name for model in models), *untouched], rows, strong=best)
    devices = ", ".join(dict.fromkeys(model.device for model in models))
    yield remark(
        "In brackets the 95 % interval. ↑: more is better, ↓: less. Times are medians, on"
        f" {devices}."
    )
    for words, names in _notes(comparison).items():
        yield remark(f"{', '.join(names)}: {words}")
    yield facts_table((model.name, model.path) for model in models)


def _notes(comparison: Comparison) -> dict[str, list[str]]:
    """What to know of some measures, each with the measures that it is said of."""
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
    return {words: [*names] for words, names in notes.items()}


def _duels(comparison: Comparison) -> Iterator[str]:
    if not comparison.duels:
        yield remark("The images have no targets, so that none can be told better than another.")
        return
    head = ["", "by", "better on", "worse on", "equal", "difference", "p"]
    yield table(head, map(_duel_row, comparison.duels))
    words = (
        "On how many images the first model is better than the second, or worse; the first's"
        " value less the second's, the mean over images with its 95 % interval; and how often"
        " chance alone makes it as large (a permutation test of pairs)."
    )
    if len(comparison.duels) > 1:
        words += " Of twenty such rows, chance alone puts one below 0.05."
    yield remark(words)


def _duel_row(duel: Duel) -> list[str]:
    difference = "–"
    if duel.difference is not None and duel.low is not None and duel.high is not None:
        low, high = _number(duel.low), _number(duel.high)
        difference = f"{_number(duel.difference)} [{low}, {high}]"
    p = "–" if duel.p is None else "< 0.001" if duel.p < 0.001 else f"{duel.p:.3f}"
    counts = [str(count) for count in (duel.better, duel.worse, duel.equal)]
    return [f"{duel.first} against {duel.second}", duel.measure, *counts, difference, p]


def _differences(comparison: Comparison) -> Iterator[str]:
    if not comparison.differences:
        yield remark("No images are asked for.")
        return
    names = [what for what, _ in comparison.differences[0].pictures]
    first = len(names) - len(comparison.models)
    yield sides([("left", names, first), ("right", names, len(names) - 1)])
    measure = leading_measure(comparison.models)
    yield grid(_shown(each, measure, first) for each in comparison.differences)


def _shown(each: Difference, measure: str | None, first: int) -> str:
    pictures = [(address, f"{each.name}: {what}") for what, address in each.pictures]
    remarks = [f"apart by {each.disagreement:.4f}"]
    for (what, _), value in zip(each.pictures[first:], each.values, strict=False):
        remarks.append(f"{what}: {measure} {_number(value)}")
    label = f"{each.name}: more of the left, or of the right"
    return figure(each.name, pictures, each.size, label, remarks, left=first)


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else str(value)
