"""Charts of losses and measures over the steps of a run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from img2img.pages.meanings import meaning
from img2img.runs.log import BASELINE, TARGETS, VAL, is_number

# The most points of a curve: a screen does not show more.
MAX_POINTS = 400
# Suffixes of tags that distinguish the curves of one chart: a domain, or a direction.
_SUFFIXES = ("_A", "_B", "_AtoB", "_BtoA")
# Suffixes of the tags of reference values, and their names in the chart.
_REFERENCES = {"_target": "targets", "_expected": "expected"}
# Diagnostics that are drawn in the chart of another.
_SHARED = {
    "diagnostics/held_out_l1": "diagnostics/train_l1",
    "diagnostics/train_l1": "diagnostics/train_l1",
}


@dataclass(frozen=True)
class Curves:
    """The logged values of a run.

    Attributes:
        steps: the steps that have values, in order; at most about twice `MAX_POINTS`.
        values: by tag, a value for each step, or None.
        lines_per_point: how many lines of the log each point averages.
    """

    steps: list[int]
    values: dict[str, list[float | None]]
    lines_per_point: int = 1

    def rounded(self) -> list[list[float | None]]:
        """The values of all tags, with four significant digits."""
        return [
            [None if value is None else float(f"{value:.4g}") for value in values]
            for values in self.values.values()
        ]


@dataclass(frozen=True)
class Curve:
    """One curve of a chart.

    Attributes:
        css_class: its colour, whether it is dashed, and whether it is a single point.
        points: x and y from 0 to 1: from step 0 to the last, and from the chart's lowest value to
            its highest.
        value: the last value.
        index: its position in `Curves.values`.
    """

    name: str
    css_class: str
    points: list[tuple[float, float]]
    value: float
    index: int


@dataclass(frozen=True)
class Chart:
    """Curves of one kind over the steps.

    Attributes:
        meaning: an explanation for people who do not know the quantity.
        steps: the last step.
        last: the index of that step in `Curves.steps`.
        low, high: the smallest and the largest value.
    """

    name: str
    meaning: str
    curves: list[Curve]
    steps: int
    last: int
    low: float
    high: float


def read_curves(lines: Iterable[Mapping[str, Any]]) -> Curves:
    """The curves of the log, without values that are not finite.

    Losses (`G/l1`) and held-out measures (`val/l1`) are logged on separate lines.
    """
    logged: list[Mapping[str, Any]] = []
    measured: list[Mapping[str, Any]] = []
    for line in lines:
        (measured if any(tag.startswith(VAL) for tag in line) else logged).append(line)
    points: dict[int, dict[str, float]] = {}
    for each in (logged, measured):
        for group in _groups(each):
            point = points.setdefault(group[-1]["step"], {})
            tags_there = {tag for line in group for tag in line if "/" in tag}
            for tag in (tag for tag in tags_there if not tag.startswith(TARGETS)):
                known = [line[tag] for line in group if is_number(line.get(tag))]
                if known:
                    point[tag] = fmean(known)
    steps = sorted(points)
    tags = sorted({tag for point in points.values() for tag in point})
    lines_per_point = max(map(len, _groups(logged)), default=1)
    values = {tag: [points[step].get(tag) for step in steps] for tag in tags}
    return Curves(steps, values, lines_per_point)


def charts(curves: Curves, measures: bool) -> list[Chart]:
    """Charts of the held-out measures, or of everything else; one for all domains and directions.

    Dashed curves are references: the untouched inputs, or the targets.
    """
    by_chart: dict[str, list[str]] = {}
    for tag in curves.values:
        by_chart.setdefault(_chart_of(tag), []).append(tag)
    names = sorted(name for name in by_chart if name.startswith(VAL) == measures)
    return [_chart(name, by_chart[name], curves) for name in names if not name.startswith(TARGETS)]


def _groups(lines: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    """Consecutive lines, in at most `MAX_POINTS` groups."""
    size = max(1, math.ceil(len(lines) / MAX_POINTS))
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def _chart_of(tag: str) -> str:
    """The name of the chart that a tag is drawn in."""
    name, _ = _split(tag)
    if name.startswith(BASELINE):
        return VAL + name.removeprefix(BASELINE)
    for reference in _REFERENCES:
        name = name.removesuffix(reference)
    return _SHARED.get(name, name)


def _split(tag: str) -> tuple[str, str]:
    """The tag without its domain or direction, and the domain or direction, or an empty string."""
    ending = next((e for e in _SUFFIXES if tag.endswith(e)), "")
    return tag.removesuffix(ending), ending.removeprefix("_")


def _label(tag: str) -> tuple[str, bool]:
    """The name of a curve in its chart, and whether it is a reference."""
    name, of = _split(tag)
    reference = next((words for end, words in _REFERENCES.items() if name.endswith(end)), "")
    if name.startswith(BASELINE):
        reference = "untouched input"
    quantity = reference or name.rpartition("/")[2].replace("_", " ")
    alone = not reference and of and name not in _SHARED
    return (of if alone else f"{quantity} {of}".rstrip()), bool(reference)


def _chart(name: str, tags: Sequence[str], curves: Curves) -> Chart:
    known = [value for tag in tags for value in curves.values[tag] if value is not None]
    low, high = min(known), max(known)
    end = curves.steps[-1]
    order = list(curves.values)
    labels = {tag: _label(tag) for tag in tags}
    # The model's own curves come first; a reference has the colour of the curve it belongs to.
    solid = sum(not dashed for _, dashed in labels.values())
    drawn = []
    for place, tag in enumerate(sorted(tags, key=lambda tag: labels[tag][1])):
        label, dashed = labels[tag]
        points = [
            (step / end if end else 0.0, (value - low) / (high - low) if high > low else 0.5)
            for step, value in zip(curves.steps, curves.values[tag], strict=True)
            if value is not None
        ]
        css_class = f"c{place % solid % 4 if solid else place % 4}{' dashed' * dashed}"
        last = next(value for value in reversed(curves.values[tag]) if value is not None)
        if len(points) == 1:
            # A line of length 0, of which the round ends are seen.
            points *= 2
            css_class += " point"
        drawn.append(Curve(label, css_class, points, last, order.index(tag)))
    return Chart(name, meaning(name), drawn, end, len(curves.steps) - 1, low, high)
