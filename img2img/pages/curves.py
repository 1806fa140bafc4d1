"""Charts of losses and measures over the steps of a run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from img2img.pages.meanings import meaning
from img2img.runs.log import BASELINE, TARGETS, VAL, is_number

# Points of a curve: more cannot be told apart on a screen.
POINTS = 400
# Endings of tags that tell the curves of one chart apart: a domain, or a direction.
_ENDINGS = ("_A", "_B", "_AtoB", "_BtoA")
# Endings of tags that a diagnostic is compared with, and their names in the chart.
_REFERENCES = {"_target": "targets", "_expected": "expected"}
# Diagnostics that share a chart.
_TOGETHER = {
    "diagnostics/held_out_l1": "diagnostics/train_l1",
    "diagnostics/train_l1": "diagnostics/train_l1",
}


@dataclass(frozen=True)
class Curves:
    """The numbers of a run.

    Attributes:
        steps: the steps that have values, in order; at most about twice `POINTS`.
        values: by tag, a value for each step, or None.
        lines: how many lines of the log each point is the mean of.
    """

    steps: list[int]
    values: dict[str, list[float | None]]
    lines: int = 1

    def rounded(self) -> list[list[float | None]]:
        """The values of all tags, with four significant digits."""
        return [
            [None if value is None else float(f"{value:.4g}") for value in values]
            for values in self.values.values()
        ]


@dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Attributes:
        look: CSS classes for its colour, and for a dashed line.
        points: from (0, 0), the first step and the lowest value of the chart, to (1, 1).
        value: the last one.
        index: its place in `Curves.values`.
    """

    name: str
    look: str
    points: list[tuple[float, float]]
    value: float
    index: int


@dataclass(frozen=True)
class Chart:
    """Curves of one kind over the steps.

    Attributes:
        meaning: a sentence for people who have not met them before.
        steps: the last step.
        last: its index in `Curves.steps`.
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
    """The curves of the log; numbers that are not finite are left out.

    Losses (`G/l1`) and the held-out measures (`val/l1`) stand on lines of their own.
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
    lines_a_point = max(map(len, _groups(logged)), default=1)
    values = {tag: [points[step].get(tag) for step in steps] for tag in tags}
    return Curves(steps, values, lines_a_point)


def charts(curves: Curves, measures: bool) -> list[Chart]:
    """Charts of the held-out measures, or of everything else; domains and directions share one.

    The same chart has dashed curves to compare with: of the untouched inputs, or of the targets.
    """
    by_chart: dict[str, list[str]] = {}
    for tag in curves.values:
        by_chart.setdefault(_chart_of(tag), []).append(tag)
    names = sorted(name for name in by_chart if name.startswith(VAL) == measures)
    return [_chart(name, by_chart[name], curves) for name in names if not name.startswith(TARGETS)]


def _groups(lines: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    """Neighbouring lines in at most `POINTS` groups."""
    size = max(1, math.ceil(len(lines) / POINTS))
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def _chart_of(tag: str) -> str:
    """The name of the chart that a tag is drawn in."""
    name, _ = _split(tag)
    if name.startswith(BASELINE):
        return VAL + name.removeprefix(BASELINE)
    for reference in _REFERENCES:
        name = name.removesuffix(reference)
    return _TOGETHER.get(name, name)


def _split(tag: str) -> tuple[str, str]:
    """A tag without its domain or direction, and that domain or direction, if any."""
    ending = next((e for e in _ENDINGS if tag.endswith(e)), "")
    return tag.removesuffix(ending), ending.removeprefix("_")


def _label(tag: str) -> tuple[str, bool]:
    """The name of a curve in its chart, and whether it is there to compare with."""
    name, of = _split(tag)
    reference = next((words for end, words in _REFERENCES.items() if name.endswith(end)), "")
    if name.startswith(BASELINE):
        reference = "untouched input"
    kind = reference or name.rpartition("/")[2].replace("_", " ")
    alone = not reference and of and name not in _TOGETHER
    return (of if alone else f"{kind} {of}".rstrip()), bool(reference)


def _chart(name: str, tags: Sequence[str], curves: Curves) -> Chart:
    known = [value for tag in tags for value in curves.values[tag] if value is not None]
    low, high = min(known), max(known)
    end = curves.steps[-1]
    order = list(curves.values)
    labels = {tag: _label(tag) for tag in tags}
    # The model's own curves come first; a curve to compare with has the colour of its partner.
    solid = sum(not dashed for _, dashed in labels.values())
    drawn = []
    for place, tag in enumerate(sorted(tags, key=lambda tag: labels[tag][1])):
        called, dashed = labels[tag]
        points = [
            (step / end if end else 0.0, (value - low) / (high - low) if high > low else 0.5)
            for step, value in zip(curves.steps, curves.values[tag], strict=True)
            if value is not None
        ]
        look = f"c{place % solid % 4 if solid else place % 4}{' dashed' * dashed}"
        last = next(value for value in reversed(curves.values[tag]) if value is not None)
        # A lone point is drawn as a line of length 0, whose round ends are visible.
        points *= 2 if len(points) == 1 else 1
        drawn.append(Curve(called, look, points, last, order.index(tag)))
    return Chart(name, meaning(name), drawn, end, len(curves.steps) - 1, low, high)
