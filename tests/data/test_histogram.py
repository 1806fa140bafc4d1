"""Counts of values of any type, and the percentiles that follow from them."""

from functools import reduce
from operator import add

import numpy as np
import pytest

from img2img.data.histogram import Histogram, histograms, together
from img2img.images import Picture


def test_values_are_counted_where_they_are_seen() -> None:
    pixels = np.zeros((2, 2, 3), np.uint16)
    pixels[0, 0], pixels[1, 1] = 4095, 65535
    counts = together(histograms(Picture(pixels)))
    assert counts.values.tolist() == [0, 4095, 65535]
    assert counts.counts.tolist() == [6, 3, 3]
    alpha = np.array([[65535, 65535], [65535, 0]], np.uint16)
    assert together(histograms(Picture(pixels, alpha))).most == 4095
    valid = np.array([[False, True], [True, True]])
    assert together(histograms(Picture(pixels, valid=valid))).counts.tolist() == [6, 3]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32])
def test_percentiles_are_those_of_numpy(dtype: type) -> None:
    random = np.random.default_rng(0)
    parts: list[np.ndarray] = [
        (random.normal(3000, 400, 4000) / 20).astype(dtype) for _ in range(4)
    ]
    counted = reduce(add, map(Histogram.of, parts))
    every = np.concatenate(parts)
    assert counted.total == every.size
    assert (counted.least, counted.most) == (every.min(), every.max())
    for percent in (0, 0.1, 25, 50, 99.9, 100):
        wanted = np.percentile(every, percent, method="inverted_cdf")
        assert counted.percentile(percent) == pytest.approx(wanted, rel=1 / 512)


def test_negative_and_positive_values_are_in_order() -> None:
    counted = Histogram.of(np.array([-1000, -1, -0.001, 0, 0.001, 1, 1000], np.float32))
    assert (np.diff(counted.values) > 0).all()
    assert counted.percentile(50) == 0
    assert counted.outside(-2, 2) == 2


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_one_value_can_be_left_out(dtype: type) -> None:
    counted = Histogram.of(np.array([3, 100, 100, 250, 9999, 9999, 9999], dtype))
    assert counted.without(7) is counted
    upper = counted.without(9999)
    assert (upper.total, upper.least) == (4, 3)
    assert upper.most == pytest.approx(250, rel=1 / 512)
    inner = upper.without(3)
    assert inner.total == 3
    assert inner.least == pytest.approx(100, rel=1 / 512)
    assert Histogram.of(np.full(5, 9999, dtype)).without(9999).total == 0
