"""Tests whether one of two models is better, from their results for the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

import numpy as np

from img2img.metrics.measure import RESAMPLES, Figure

# Exchanges of the two models, drawn at random: a p value of 0.05 is known to 0.005.
EXCHANGES = 10_000
# Above this p a difference may well be chance.
CHANCE = 0.05


@dataclass(frozen=True)
class PairedTest:
    """Two models compared by one measure, image by image.

    Attributes:
        better: number of images on which the first is better; `worse` and `equal` likewise.
        difference: the mean of the first value minus the second, over images for which both are
            finite, with the bounds of its 95 % bootstrap interval; None with fewer than two images.
        p: the probability of a difference at least as large if, for each image, the values of the
            two models are swapped at random.
    """

    measure: str
    first: str
    second: str
    better: int
    worse: int
    equal: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def paired_test(first: tuple[str, Figure], second: tuple[str, Figure], seed: int = 0) -> PairedTest:
    """Compare two models, each given by its name and the values of a measure for the same images.

    This is Fisher's permutation test for pairs (The Design of Experiments, 1935, section 21) with
    random permutations. The observed values count as one of them (Phipson & Smyth 2010), so p is
    never 0.
    """
    (name, one), (other_name, other) = first, second
    assert one.per_image is not None
    assert other.per_image is not None
    a, b = np.asarray(one.per_image), np.asarray(other.per_image)
    higher, lower = int((a > b).sum()), int((a < b).sum())
    better, worse = (higher, lower) if one.higher_is_better else (lower, higher)
    known = np.isfinite(a) & np.isfinite(b)
    differences = a[known] - b[known]
    count = len(differences)
    difference = low = high = p = None
    if count > 1:
        random = np.random.default_rng(seed)
        difference = float(differences.mean())
        means = [differences[random.integers(count, size=count)].mean() for _ in range(RESAMPLES)]
        low, high = (float(bound) for bound in np.quantile(means, (0.025, 0.975)))
        exchanged = [
            abs(random.choice((-1.0, 1.0), count) @ differences) / count for _ in range(EXCHANGES)
        ]
        # Sums of the same numbers in another order may differ in their last digit.
        extreme = np.asarray(exchanged) >= abs(difference) * (1 - 1e-12)
        p = float((extreme.sum() + 1) / (EXCHANGES + 1))
    equal = len(a) - better - worse
    return PairedTest(one.name, name, other_name, better, worse, equal, difference, low, high, p)


def times_as_long(slow: Sequence[float], quick: Sequence[float]) -> float:
    """How many times as long one model takes as another: the median over images.

    It is 1 if the difference is not significant in a sign test.

    Args:
        slow: seconds of one model for each image; `quick` likewise for the other.
    """
    ratios = [one / other for one, other in zip(slow, quick, strict=True)]
    count, longer = len(ratios), sum(ratio > 1 for ratio in ratios)
    p = 2 * sum(comb(count, more) for more in range(longer, count + 1)) / 2**count
    return median(ratios) if p < CHANCE else 1.0
