"""Whether one of two models is the better, by what both make of the same images."""

from dataclasses import dataclass

import numpy as np

from img2img.metrics.measure import RESAMPLES, Figure

# Exchanges of the two models, drawn at random: a p value of 0.05 is known to 0.005.
EXCHANGES = 10_000


@dataclass(frozen=True)
class Duel:
    """Two models by one measure.

    Attributes:
        better: images on which the first is better than the second, `worse` and `equal` likewise.
        difference: the mean of the first's value less the second's, over images where both are
            finite, with the bounds of its bootstrap 95 % interval; None where there are no two.
        p: how often a difference at least as large comes about when it is left to chance, image by
            image, which model's value is whose.
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


def duel(first: tuple[str, Figure], second: tuple[str, Figure], seed: int = 0) -> Duel:
    """Compare two models, each by its name and a measure's values of the same images.

    The test is Fisher's for pairs (The Design of Experiments, 1935, section 21) with exchanges
    drawn at random, of which the observed one is counted as one (Phipson & Smyth 2010, so that p is
    never 0).
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
    return Duel(
        one.name,
        name,
        other_name,
        better,
        worse,
        len(a) - better - worse,
        difference,
        low,
        high,
        p,
    )
