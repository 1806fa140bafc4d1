"""How often each value occurs in images of any type, in bounded memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from img2img.images import Picture, Pixels

# Values of other types than uint8 and uint16 are counted in intervals 1/512 of their size: by sign,
# exponent and the first bits of a float32's fraction.
_DROPPED_BITS = 14

Keys = npt.NDArray[np.int64]


@dataclass
class Histogram:
    """Counts of values, ascending.

    Attributes:
        exact: whether `values` are the very ones that occur; else each is the least of an interval.
        least, most: the smallest and the largest value that occur; 0 where none does.
    """

    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    exact: bool = True
    least: float = 0
    most: float = 0

    @classmethod
    def empty(cls) -> Self:
        """Of no values."""
        return cls(np.zeros(0), np.zeros(0, np.int64))

    @classmethod
    def of(cls, pixels: Pixels) -> Self:
        """Of all values in an array."""
        if not pixels.size:
            return cls.empty()
        if pixels.dtype in (np.uint8, np.uint16):
            size = int(np.iinfo(pixels.dtype).max) + 1
            flat = np.ascontiguousarray(pixels).reshape(-1, 1)
            counts = cv2.calcHist([flat], [0], None, [size], [0, size]).reshape(-1)
            there = np.flatnonzero(counts)
            ends = float(there[0]), float(there[-1])
            return cls(there.astype(np.float64), counts[there].astype(np.int64), True, *ends)
        least, most = float(pixels.min()), float(pixels.max())
        keys, counts = np.unique(_keys(pixels), return_counts=True)
        return cls(_values(keys), counts.astype(np.int64), False, least, most)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    def percentile(self, percent: float) -> float:
        """The smallest value that so many per cent of all do not exceed."""
        if not self.total:
            return 0.0
        index = int(np.searchsorted(self.counts.cumsum(), percent / 100 * self.total))
        return float(np.clip(self.values[min(index, len(self.values) - 1)], self.least, self.most))

    def outside(self, low: float, high: float) -> int:
        """How many values are below or above a range; ones that are close may be missed."""
        inside = (self.values >= low) & (self.values <= high)
        if not self.exact and low <= self.least and self.most <= high:
            return 0
        return self.total - int(self.counts[inside].sum())

    def without(self, value: float) -> "Histogram":
        """All but one value; of intervals, the one that it is in."""
        found = self.values
        if not self.exact:
            value = float(_values(_keys(np.array([value])))[0])
        kept = found != value
        if kept.all():
            return self
        if not kept.any():
            return Histogram.empty()
        least, most = (
            end if found[at] == found[kept][at] else float(found[kept][at])
            for at, end in ((0, self.least), (-1, self.most))
        )
        return replace(self, values=found[kept], counts=self.counts[kept], least=least, most=most)

    def __add__(self, other: "Histogram") -> "Histogram":
        if not self.total or not other.total:
            return self if self.total else other
        exact = self.exact and other.exact
        least, most = min(self.least, other.least), max(self.most, other.most)
        values = np.concatenate([self.values, other.values])
        counts = np.concatenate([self.counts, other.counts])
        if exact:  # of at most 16 bits: faster than sorting
            sums = np.bincount(values.astype(np.int64), counts).astype(np.int64)
            there = np.flatnonzero(sums)
            return Histogram(there.astype(np.float64), sums[there], True, least, most)
        values, places = np.unique(values, return_inverse=True)
        sums = np.bincount(places, counts).astype(np.int64)
        return Histogram(values, sums, False, least, most)


def histograms(picture: Picture) -> list[Histogram]:
    """Of each channel, where pixels hold data and are not transparent."""
    seen = picture.valid
    if picture.alpha is not None:
        opaque = picture.alpha > 0
        seen = opaque if seen is None else seen & opaque
    planes = np.moveaxis(picture.pixels, 2, 0)
    return [Histogram.of(plane if seen is None else plane[seen]) for plane in planes]


def together(parts: Sequence[Histogram]) -> Histogram:
    """All values of several."""
    return sum(parts, Histogram.empty())


def _keys(pixels: Pixels) -> Keys:
    bits = np.ascontiguousarray(pixels, np.float32).reshape(-1).view(np.int32) >> _DROPPED_BITS
    # Ascending for negative numbers, too, whose bits are those of their size.
    least = np.iinfo(np.int32).min >> _DROPPED_BITS
    return np.where(bits < 0, least - bits - 1, bits).astype(np.int64)


def _values(keys: Keys) -> npt.NDArray[np.float64]:
    least = np.iinfo(np.int32).min >> _DROPPED_BITS
    # Of a negative interval, the value farther from 0 is the least.
    bits = np.where(keys < 0, least - keys - 1, keys).astype(np.int32)
    whole = bits << _DROPPED_BITS
    whole = np.where(keys < 0, whole | ((1 << _DROPPED_BITS) - 1), whole).astype(np.int32)
    return whole.view(np.float32).astype(np.float64)
