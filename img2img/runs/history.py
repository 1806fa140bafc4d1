"""The history of a run: the logged values of each tag, over the steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from img2img.runs.log import DIAGNOSTICS, DIVERGED

# Larger numbers come from no training, and their squares overflow.
LARGEST = 1e100
# What may follow a tag: the domain or the direction that its values are of.
_SUFFIXES = ("", "_A", "_B", "_AtoB", "_BtoA")


@dataclass(frozen=True)
class Series:
    """The finite values of one tag, in order, with the steps at which they were logged."""

    tag: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def since(self, step: int) -> "Series":
        """The part from this step on."""
        cut = int(np.searchsorted(self.steps, step))
        return Series(self.tag, self.steps[cut:], self.values[cut:])

    def last(self, count: int) -> "Series":
        """The last `count` values, or all if there are fewer."""
        return Series(self.tag, self.steps[-count:], self.values[-count:])

    def before(self, part: "Series") -> "Series":
        """The values before `part`, which is the end of this series."""
        cut = len(self) - len(part)
        return Series(self.tag, self.steps[:cut], self.values[:cut])

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))


class RunHistory:
    """All that was logged in a run so far.

    Args:
        lines: the lines of `metrics.jsonl`, in order; see `runs.log`.
    """

    def __init__(self, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        self.step = 0
        self.images = 0
        self.epoch = 0.0
        self.losses = 0
        """The number of lines with losses."""
        self.probes = 0
        """The number of lines with diagnostics, one for each health probe."""
        self.last_probe = 0
        """The last step that was logged."""
        self.diverged: str | None = None
        """The number that was not finite, if it has ended the run."""
        self._points: dict[str, tuple[list[int], list[float]]] = {}
        self._series: dict[str, Series] = {}
        for line in lines:
            self.add(line)

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line of the log."""
        self.step = max(self.step, line["step"])
        self.images = max(self.images, line.get("images", 0))
        self.epoch = max(self.epoch, line.get("epoch", 0.0))
        self.losses += any(tag.startswith("G/") for tag in line)
        if any(tag.startswith(DIAGNOSTICS) for tag in line):
            self.probes += 1
            self.last_probe = line["step"]
        self.diverged = line.get(DIVERGED)
        for tag, value in line.items():
            # Not a number fails the comparison, too.
            if "/" in tag and isinstance(value, int | float) and abs(value) <= LARGEST:
                steps, values = self._points.setdefault(tag, ([], []))
                steps.append(line["step"])
                values.append(float(value))
                self._series.pop(tag, None)

    def __contains__(self, tag: str) -> bool:
        return tag in self._points

    def __getitem__(self, tag: str) -> Series:
        """The values of a tag; empty if it was never logged."""
        if tag not in self._series:
            steps, values = self._points.get(tag, ([], []))
            self._series[tag] = Series(
                tag, np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64)
            )
        return self._series[tag]

    def tags(self, start: str = "") -> list[str]:
        """The tags that start with `start`, in the order of the log."""
        return [tag for tag in self._points if tag.startswith(start)]

    def suffixes(self, tag: str) -> list[str]:
        """The endings of a tag in the log: empty, or a domain or direction, such as `_A` or
        `_AtoB`."""
        return [suffix for suffix in _SUFFIXES if f"{tag}{suffix}" in self._points]
