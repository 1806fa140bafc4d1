"""Losses and measures over the steps of a run, as charts that can be read point by point."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from string import Template
from typing import Any

from img2img.html import text
from img2img.pages.meanings import meaning
from img2img.runs.log import BASELINE, TARGETS, VAL
from img2img.runs.reading import is_number

# Points of a curve: more cannot be told apart on a screen.
POINTS = 400
# What tells the curves of one chart apart: a domain, or a direction.
_ENDINGS = ("_A", "_B", "_AtoB", "_BtoA")
# Endings of what a sign is compared with, and what to call it.
_REFERENCES = {"_target": "targets", "_expected": "expected"}
# Diagnostics that say something only beside another.
_TOGETHER = {
    "diagnostics/held_out_l1": "diagnostics/train_l1",
    "diagnostics/train_l1": "diagnostics/train_l1",
}

_CHART = Template("""\
<figure class="chart">
<figcaption><h3>$name</h3> <span>step <output class="step">$step</output></span></figcaption>
<p>$meaning</p>
<div class="plot">
<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">
$lines
</svg>
<span class="top" aria-hidden="true">$high</span><span class="bottom" aria-hidden="true">$low</span>
<span class="axis" aria-hidden="true"><i>0</i><i>$middle</i><i>$step steps</i></span>
<input type="range" min="0" max="$last" value="$last" aria-label="$name: step to read it at"
 aria-valuetext="$spoken">
</div>
<p class="values">$values</p>
</figure>""")


@dataclass(frozen=True)
class Curves:
    """The numbers of a run.

    Attributes:
        steps: at which something was logged, in order, at most about twice `POINTS` of them.
        values: by tag, a value for each step; None where there is none.
        lines: how many lines of the log a point is the mean of.
    """

    steps: list[int]
    values: dict[str, list[float | None]]
    lines: int = 1


def read_curves(lines: Iterable[Mapping[str, Any]]) -> Curves:
    """The curves of what is logged; numbers that are not finite are left out.

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


def charts(curves: Curves, measures: bool) -> str:
    """A chart for each held-out measure, or for all else; of both domains or directions together.

    What a curve is to be compared with is in the same chart, dashed: what the untouched inputs
    have, or what the targets show.
    """
    by_chart: dict[str, list[str]] = {}
    for tag in curves.values:
        by_chart.setdefault(_chart_of(tag), []).append(tag)
    order = {tag: index for index, tag in enumerate(curves.values)}
    names = sorted(name for name in by_chart if name.startswith(VAL) == measures)
    shown = (name for name in names if not name.startswith(TARGETS))
    return "\n".join(_chart(name, by_chart[name], curves, order) for name in shown)


def as_json(curves: Curves) -> str:
    """The numbers for the page's script, to stand in a `<script>` that is not one."""
    values = [[_short(value) for value in each] for each in curves.values.values()]
    found = json.dumps({"steps": curves.steps, "values": values}, separators=(",", ":"))
    return found.replace("<", "\\u003c")


def _groups(lines: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    """Lines next to each other, in at most `POINTS` groups."""
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
    """What is drawn, and the domain or direction that it is of, which may be none."""
    ending = next((e for e in _ENDINGS if tag.endswith(e)), "")
    return tag.removesuffix(ending), ending.removeprefix("_")


def _label(tag: str) -> tuple[str, bool]:
    """What a curve is called in its chart, and whether it is one to compare with."""
    name, of = _split(tag)
    reference = next((words for end, words in _REFERENCES.items() if name.endswith(end)), "")
    if name.startswith(BASELINE):
        reference = "untouched input"
    kind = reference or name.rpartition("/")[2].replace("_", " ")
    alone = not reference and of and name not in _TOGETHER
    return (of if alone else f"{kind} {of}".rstrip()), bool(reference)


def _chart(name: str, tags: Sequence[str], curves: Curves, order: Mapping[str, int]) -> str:
    known = [value for tag in tags for value in curves.values[tag] if value is not None]
    low, high = min(known), max(known)
    end = curves.steps[-1]
    lines, values, spoken = [], [], []
    labels = {tag: _label(tag) for tag in tags}
    # What the model gives comes first; what it is compared with has the colour of its own curve.
    solid = sum(not dashed for _, dashed in labels.values())
    for place, tag in enumerate(sorted(tags, key=lambda tag: labels[tag][1])):
        called, dashed = labels[tag]
        look = f"c{place % solid % 4 if solid else place % 4}{' dashed' * dashed}"
        points = [
            (step / end if end else 0.0, (value - low) / (high - low) if high > low else 0.5)
            for step, value in zip(curves.steps, curves.values[tag], strict=True)
            if value is not None
        ]
        # A lone point is a line of no length, of which the round ends are seen.
        ends = points * 2 if len(points) == 1 else points
        drawn = " ".join(f"{1000 * x:.1f},{970 - 940 * y:.1f}" for x, y in ends)
        lines.append(f'<polyline class="{look}" points="{drawn}"/>')
        last = next(value for value in reversed(curves.values[tag]) if value is not None)
        values.append(
            f'<span class="{look}">{text(called)}'
            f' <output data-curve="{order[tag]}">{last:.4g}</output></span>'
        )
        spoken.append(f"{called} {last:.4g}")
    return _CHART.substitute(
        name=text(name),
        meaning=text(meaning(name)),
        step=f"{end:,}",
        middle=f"{end // 2:,}",
        last=len(curves.steps) - 1,
        high=f"{high:.3g}",
        low=f"{low:.3g}",
        lines="\n".join(lines),
        values=" ".join(values),
        spoken=text(f"step {end}: {', '.join(spoken)}"),
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
