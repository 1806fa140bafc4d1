"""Trends of logged values: recent values, noise, and comparable lines."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from img2img.config import ScheduleConfig
from img2img.runs.history import RunHistory, Series
from img2img.runs.log import CHANGED

# Fewer lines of the log do not show what is usual.
MIN_LINES = 10
# The share of the log that shows the present state.
RECENT = 0.25
# Lines that show the latest state, in runs of any length.
LATEST = 20
# Points that a curve is judged by, however often it was logged.
POINTS = 50


def long_enough(series: Series) -> bool:
    """Whether there are enough values to judge by."""
    return len(series) >= MIN_LINES


def recent(series: Series) -> Series:
    """The last quarter of the values, but at least five."""
    return series.last(max(MIN_LINES // 2, math.ceil(RECENT * len(series))))


def latest(series: Series) -> Series:
    """The recent values, but at most `LATEST`."""
    return series.last(min(len(recent(series)), LATEST))


def noise(series: Series) -> float:
    """Standard deviation of the noise, from the differences between successive values."""
    return float(np.diff(series.values).std() / math.sqrt(2)) if len(series) > 1 else 0.0


def binned(series: Series) -> Series:
    """Means over equal intervals of steps: at most `POINTS`, each at its last step."""
    if len(series) <= POINTS:
        return series
    edges = np.linspace(series.steps[0], series.steps[-1], POINTS + 1)[1:-1]
    starts = np.unique([0, *np.searchsorted(series.steps, edges)])
    ends = np.append(starts[1:], len(series))
    means = np.add.reduceat(series.values, starts) / (ends - starts)
    return Series(series.tag, series.steps[ends - 1], means)


def smooth(series: Series, count: int) -> NDArray[np.float64]:
    """Moving mean over `count` values."""
    return np.convolve(series.values, np.full(count, 1 / count), mode="valid")


def medians(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Moving median over `count` values, which removes peaks of less than half that length."""
    windows = np.lib.stride_tricks.sliding_window_view(values, count)
    return np.asarray(np.median(windows, axis=1))


def warming_up(history: RunHistory, schedule: ScheduleConfig) -> bool:
    """Whether the learning rate was low for most of the run so far (`schedule.warmup`)."""
    return history.images < 2 * schedule.warmup


def share_done(history: RunHistory, schedule: ScheduleConfig) -> float:
    """The share of the run that is over; 0 if its length in steps is not known yet."""
    if steps := schedule.steps or schedule.measured_steps:
        return history.step / steps
    if schedule.minutes is not None:
        return 0.0
    epochs = schedule.total_epochs or schedule.epochs + schedule.decay_epochs
    return history.epoch / max(1, epochs)


def is_reconstruction(tag: str) -> bool:
    """Whether a tag is a reconstruction loss: a distance to the target, or back to the input."""
    return tag.startswith("G/") and not tag.startswith(("G/adv", "G/gradient", "G/features"))


def comparable(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The lines of a log without losses and scores of earlier objectives."""
    others = 0
    for number, line in enumerate(lines):
        changes = line.get(CHANGED)
        if any(change["key"].startswith("objective.") for change in changes or ()):
            others = number
    return [*map(_without_objective, lines[:others]), *lines[others:]]


def _without_objective(line: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        tag: value
        for tag, value in line.items()
        if not tag.startswith(("D/", "G/")) or is_reconstruction(tag)
    }
