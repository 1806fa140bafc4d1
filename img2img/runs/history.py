"""The course of a training: what its log says of each loss, score and sign over the steps."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from img2img.config import RunConfig

# Lines of the log: with fewer there is no telling what is usual.
LEAST = 10
# The share of the log that shows how things stand now.
RECENT = 0.25
# Lines that show the latest, in runs of any length.
LATEST = 20
# Points that a curve is judged by, however often it was logged.
POINTS = 50
# Numbers beyond are of no training, and their squares of no arithmetic.
LARGEST = 1e100
# What a line of the log has where a run went on with other settings: which, in words.
CHANGED = "changed"
# Tags of held-out measures, and of what the untouched inputs have in their place.
VAL, BASELINE = "val/", "baseline/"
# And of what the held-out targets are.
TARGETS = "targets/"


@dataclass(frozen=True)
class Series:
    """The finite values of one tag, in order, with the steps they were logged at."""

    tag: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def long_enough(self) -> bool:
        return len(self) >= LEAST

    @property
    def recent(self) -> "Series":
        """The last quarter, and five values at least."""
        return self.last(max(LEAST // 2, math.ceil(RECENT * len(self))))

    @property
    def latest(self) -> "Series":
        """The last lines: `recent`, but no more than `LATEST`."""
        return self.last(min(len(self.recent), LATEST))

    def before(self, part: "Series") -> "Series":
        """What lies before a last part of this."""
        cut = len(self) - len(part)
        return Series(self.tag, self.steps[:cut], self.values[:cut])

    @property
    def restlessness(self) -> float:
        """How far values are from those beside them by chance: the deviation of such noise."""
        return float(np.diff(self.values).std() / math.sqrt(2)) if len(self) > 1 else 0.0

    @property
    def binned(self) -> "Series":
        """Means over equal stretches of steps: `POINTS` at most, each at its last step."""
        if len(self) <= POINTS:
            return self
        edges = np.linspace(self.steps[0], self.steps[-1], POINTS + 1)[1:-1]
        starts = np.unique([0, *np.searchsorted(self.steps, edges)])
        ends = np.append(starts[1:], len(self))
        means = np.add.reduceat(self.values, starts) / (ends - starts)
        return Series(self.tag, self.steps[ends - 1], means)

    def since(self, step: int) -> "Series":
        """What was logged from a step on."""
        cut = int(np.searchsorted(self.steps, step))
        return Series(self.tag, self.steps[cut:], self.values[cut:])

    def last(self, count: int) -> "Series":
        return Series(self.tag, self.steps[-count:], self.values[-count:])

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))


class Course:
    """What was logged of a run so far.

    Args:
        lines: of `metrics.jsonl`, in order: each has `step`, and values by tag.
    """

    def __init__(self, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        self.step = 0
        self.images = 0
        self.epoch = 0.0
        self.losses = 0
        """Lines of losses."""
        self.looks = 0
        """Looks at pictures."""
        self.looked = 0
        """The step of the last."""
        self.diverged: str | None = None
        """What was not finite, if that has ended the run."""
        self._points: dict[str, tuple[list[int], list[float]]] = {}
        self._series: dict[str, Series] = {}
        for line in lines:
            self.add(line)

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in one more line."""
        self.step = max(self.step, line["step"])
        self.images = max(self.images, line.get("images", 0))
        self.epoch = max(self.epoch, line.get("epoch", 0.0))
        self.losses += any(tag.startswith("G/") for tag in line)
        if any(tag.startswith("signs/") for tag in line):
            self.looks += 1
            self.looked = line["step"]
        self.diverged = line.get("diverged")
        for tag, value in line.items():
            # Not so where it is not a number.
            if "/" in tag and isinstance(value, int | float) and abs(value) <= LARGEST:
                steps, values = self._points.setdefault(tag, ([], []))
                steps.append(line["step"])
                values.append(float(value))
                self._series.pop(tag, None)

    def __contains__(self, tag: str) -> bool:
        return tag in self._points

    def __getitem__(self, tag: str) -> Series:
        """The values of a tag; none where it was never logged."""
        if tag not in self._series:
            steps, values = self._points.get(tag, ([], []))
            self._series[tag] = Series(
                tag, np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64)
            )
        return self._series[tag]

    def warming(self, config: RunConfig) -> bool:
        """Whether the rate has been low for most of the run so far (`schedule.warmup`)."""
        return self.images < 2 * config.schedule.warmup

    def share(self, config: RunConfig) -> float:
        """How much of the length is over; 0 while a length in minutes is not measured."""
        schedule = config.schedule
        if steps := schedule.steps or schedule.measured_steps:
            return self.step / steps
        if schedule.minutes is not None:
            return 0.0
        epochs = schedule.total_epochs or schedule.epochs + schedule.decay_epochs
        return self.epoch / max(1, epochs)

    def tags(self, start: str) -> list[str]:
        """The tags that start so, of each domain or direction, in the order of the log."""
        return [tag for tag in self._points if tag.startswith(start)]

    def endings(self, tag: str) -> list[str]:
        """What follows a tag in the log: nothing, or each domain or direction: `_A`, `_AtoB`."""
        known = ("", "_A", "_B", "_AtoB", "_BtoA")
        return [ending for ending in known if f"{tag}{ending}" in self._points]


def comparable(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Lines of a log without losses and scores by another objective than the last one."""
    others = 0
    for number, line in enumerate(lines):
        told = line.get(CHANGED)
        changes = map(str, told if isinstance(told, list) else ())
        if any(change.startswith("objective.") for change in changes):
            others = number
    return [*map(_without_objective, lines[:others]), *lines[others:]]


def _without_objective(line: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        tag: value
        for tag, value in line.items()
        if not tag.startswith(("D/", "G/")) or is_reconstruction(tag)
    }


def is_reconstruction(tag: str) -> bool:
    """Whether a tag is of a distance that the generator is to make less: to targets, or back."""
    return tag.startswith("G/") and not tag.startswith(("G/adv", "G/gradient", "G/features"))


def smooth(series: Series, count: int) -> NDArray[np.float64]:
    """Means over so many values each."""
    return np.convolve(series.values, np.full(count, 1 / count), mode="valid")


def medians(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Medians of so many values each: curves without what stands out for less than half as long."""
    windows = np.lib.stride_tricks.sliding_window_view(values, count)
    return np.asarray(np.median(windows, axis=1))
