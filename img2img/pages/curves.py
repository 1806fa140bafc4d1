"""Losses and measures over the steps of a run, as charts that can be read point by point."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from string import Template
from typing import Any

from img2img.doctor.course import BASELINE, TARGETS, VAL
from img2img.pages.run import is_number
from img2img.web import text

# Points of a curve: more cannot be told apart on a screen.
POINTS = 400
# What tells the curves of one chart apart: a domain, or a direction.
_ENDINGS = ("_A", "_B", "_AtoB", "_BtoA")

_CHART = Template("""\
<figure class="chart">
<figcaption><h3>$name</h3> <span>step <output class="step">$step</output></span></figcaption>
<div class="plot">
<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">
$lines
</svg>
<span class="top" aria-hidden="true">$high</span><span class="bottom" aria-hidden="true">$low</span>
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


def charts(curves: Curves) -> str:
    """A chart for each loss and measure; of both domains or directions together.

    What the untouched inputs have stands in the chart of the measure, dashed.
    """
    by_chart: dict[str, list[str]] = {}
    for tag in curves.values:
        ending = next((e for e in _ENDINGS if tag.endswith(e)), "")
        name = tag.removesuffix(ending)
        if name.startswith(BASELINE):
            name = VAL + name.removeprefix(BASELINE)
        by_chart.setdefault(name, []).append(tag)
    # Held-out measures are what one looks for first.
    names = sorted(by_chart, key=lambda name: (not name.startswith(VAL), name))
    order = {tag: index for index, tag in enumerate(curves.values)}
    return "\n".join(_chart(name, by_chart[name], curves, order) for name in names)


def as_json(curves: Curves) -> str:
    """The numbers for the page's script, to stand in a `<script>` that is not one."""
    values = [[_short(value) for value in each] for each in curves.values.values()]
    found = json.dumps({"steps": curves.steps, "values": values}, separators=(",", ":"))
    return found.replace("<", "\\u003c")


def _groups(lines: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    """Lines next to each other, in at most `POINTS` groups."""
    size = max(1, math.ceil(len(lines) / POINTS))
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def _chart(name: str, tags: Sequence[str], curves: Curves, order: Mapping[str, int]) -> str:
    known = [value for tag in tags for value in curves.values[tag] if value is not None]
    low, high = min(known), max(known)
    end = curves.steps[-1]
    lines, values, spoken = [], [], []
    # What the model gives comes first, and so has the first colours.
    for place, tag in enumerate(sorted(tags, key=lambda tag: tag.startswith(BASELINE))):
        untouched = tag.startswith(BASELINE)
        look = f"c{place % 4}{' untouched' * untouched}"
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
        ending = tag.removeprefix(BASELINE + name.removeprefix(VAL) if untouched else name)
        called = ending.lstrip("_") or name.rpartition("/")[2]
        called = f"untouched input {ending.lstrip('_')}".rstrip() if untouched else called
        values.append(
            f'<span class="{look}">{text(called)}'
            f' <output data-curve="{order[tag]}">{last:.4g}</output></span>'
        )
        spoken.append(f"{called} {last:.4g}")
    return _CHART.substitute(
        name=text(name),
        step=f"{end:,}",
        last=len(curves.steps) - 1,
        high=f"{high:.3g}",
        low=f"{low:.3g}",
        lines="\n".join(lines),
        values=" ".join(values),
        spoken=text(f"step {end}: {', '.join(spoken)}"),
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
