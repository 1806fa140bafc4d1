"""Selecting frames: by time, and every n-th one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from img2img.errors import ConfigError


@dataclass(frozen=True)
class Span:
    """Which frames to take.

    Attributes:
        start: start time, in seconds after the first frame.
        end: end time, in seconds after the first frame; a frame at this time is left out.
        every: take every n-th frame, beginning with the first one from `start` on.

    Raises:
        ConfigError: `end` is not after `start`, or `every` is less than 1.
    """

    start: float | None = None
    end: float | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"`every`: {self.every} is less than 1")
        if self.end is not None and self.end <= (self.start or 0):
            raise ConfigError(f"`end` {self.end:g} is not after `start` {self.start or 0:g}")

    def taken(self, durations: Sequence[int], time_base: Fraction) -> list[int]:
        """Indices of the frames to take, given the durations of all frames."""
        first = ticks_of(self.start or 0, time_base)
        last = None if self.end is None else ticks_of(self.end, time_base)
        within = [
            number
            for number, time in enumerate(accumulate(durations[:-1], initial=0))
            if time >= first and (last is None or time < last)
        ]
        return within[:: self.every]


WHOLE = Span()


def ticks_of(seconds: float, time_base: Fraction) -> int:
    """The first time, in units of `time_base`, that is not before this many seconds."""
    # With a small tolerance, because 0.12 s is not exactly 3 / 25 s.
    return math.ceil(seconds / time_base - 1e-6)
