"""Which frames are taken: a part in time, and one of so many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from img2img.errors import ConfigError


@dataclass(frozen=True)
class Span:
    """Which frames are taken.

    Attributes:
        start: seconds after the first frame's time; frames before it are left out.
        end: seconds after the first frame's time; frames from there on are left out.
        every: one frame of so many, counted from the first that is not left out.

    Raises:
        ConfigError: it ends before it begins, or `every` is below 1.
    """

    start: float | None = None
    end: float | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"`every`: {self.every} is less than 1")
        if self.end is not None and self.end <= (self.start or 0):
            raise ConfigError(f"`end` {self.end:g}: not after `start` {self.start or 0:g}")

    def taken(self, durations: Sequence[int], time_base: Fraction) -> list[int]:
        """The numbers of the pictures that are taken of those shown for so long, one by one."""
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
    """The first time in a unit that is not before so many seconds."""
    # A millionth less, as 0.12 s is not 3 / 25 s to the last bit.
    return math.ceil(seconds / time_base - 1e-6)
