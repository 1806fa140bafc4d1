"""The measures of translations, and figures with their intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from img2img.images import Domain

RESAMPLES = 1000
# With fewer images the bootstrap's interval holds the true mean clearly less often than 95 % of the
# time: 87 % for 10 images of Gaussian data, 93 % for 30.
FEW = 20
# Parts that a set is divided into; each is left out once.
PARTS = 10
# The 95 % quantile, two-sided, of Student's distribution with PARTS - 1 degrees of freedom.
STUDENT = 2.262


@dataclass(frozen=True)
class Measure:
    """One thing that can be measured.

    Attributes:
        of: `pair`: an image against its target, then the mean over all; `set`: a set of images
            against another, by a feature network; `cycle`: an image against its way there and back.
        meaning: a phrase for people who have not met it before.
        by_default: whether it is measured where none are named.
        needs_rgb: whether it compares features of a network that was trained on RGB photographs;
            else images of any channels can be measured.
    """

    of: Literal["pair", "set", "cycle"]
    higher_is_better: bool
    meaning: str
    by_default: bool = True
    needs_rgb: bool = False


def _perceptual(meaning: str, by_default: bool = False) -> Measure:
    return Measure("pair", False, meaning, by_default, needs_rgb=True)


def _of_sets(higher_is_better: bool, meaning: str) -> Measure:
    return Measure("set", higher_is_better, meaning, needs_rgb=True)


MEASURES: dict[str, Measure] = {
    "l1": Measure("pair", False, "mean absolute difference of pixels in [0, 1]"),
    "psnr": Measure("pair", True, "peak signal to noise ratio, in decibels"),
    "ssim": Measure("pair", True, "structural similarity (Wang et al. 2004)"),
    "ms_ssim": Measure("pair", True, "structural similarity over five scales (Wang et al. 2003)"),
    "lpips": _perceptual("distance of AlexNet's features (Zhang et al. 2018)", by_default=True),
    "lpips_vgg": _perceptual("distance of VGG16's features (Zhang et al. 2018)"),
    "perceptual": _perceptual("distance of EfficientNet-Lite0's features, unweighted"),
    "fid": _of_sets(False, "Frechet distance of features (Heusel et al. 2017)"),
    "kid": _of_sets(False, "kernel distance of features (Binkowski et al. 2018)"),
    "is": _of_sets(True, "Inception Score of the results (Salimans et al. 2016)"),
    "precision": _of_sets(True, "results among the real images (Kynkaanniemi et al. 2019)"),
    "recall": _of_sets(True, "real images among the results (Kynkaanniemi et al. 2019)"),
    "density": _of_sets(True, "results where real images are dense (Naeem et al. 2020)"),
    "coverage": _of_sets(True, "real images that have a result near (Naeem et al. 2020)"),
    "diversity": _of_sets(True, "distance between results, relative to that of real images"),
    "cycle": Measure("cycle", False, "L1 of an image to itself after translation there and back"),
}


def unmet_need(name: str, domain: Domain) -> str | None:
    """Why a measure cannot be taken of images of a domain; None: it can."""
    if MEASURES[name].needs_rgb and not domain.is_rgb:
        return f"needs RGB images; these have {' '.join(domain.channels)}"
    return None


@dataclass(frozen=True)
class Figure:
    """One measure of a set of images.

    Attributes:
        low, high: the bounds of its 95 % interval; None where there are too few images for one.
        n: number of images that were measured.
        n_real: number of real images that they were measured against, for measures of sets.
        network: the feature network, and `resize`, how images were resized for it; None without.
        note: a warning, such as that the figure is unreliable, and why.
        per_image: the value of each image, for measures of pairs and cycles.
        baseline: the same measure of the untouched inputs in place of the results, for pairs.
        scale: the scale at which a model translated: `native`, `trained`, or how many images at
            which; None where nothing was translated.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    n: int
    higher_is_better: bool
    n_real: int | None = None
    network: str | None = None
    resize: str | None = None
    note: str | None = None
    per_image: tuple[float, ...] | None = None
    # Not compared: two figures are equal if the same images have the same values.
    baseline: float | None = field(default=None, compare=False)
    scale: str | None = field(default=None, compare=False)

    @property
    def no_better(self) -> bool:
        """Whether the untouched inputs are at least as good."""
        if self.baseline is None:
            return False
        if self.higher_is_better:
            return self.baseline >= self.value
        return self.baseline <= self.value

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return short_number(self.value)
        low, high = short_number(self.low), short_number(self.high)
        return f"{short_number(self.value)} [{low}, {high}]"

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it, with numbers that are not finite as text, such as `inf`."""
        tree = asdict(self)
        if self.per_image is not None:
            tree["per_image"] = [_finite(value) for value in self.per_image]
        return {key: _finite(value) for key, value in tree.items()}


def mean_figure(
    name: str, values: Sequence[float], seed: int, network: str | None = None
) -> Figure:
    """The mean of one value per image, with a bootstrap interval."""
    each = np.asarray(values, np.float64)
    random = np.random.default_rng(seed)
    low = high = None
    few = f"the interval of {len(each)} images is too narrow" if 1 < len(each) < FEW else None
    if len(each) > 1:
        means = [each[random.integers(len(each), size=len(each))].mean() for _ in range(RESAMPLES)]
        # Without interpolation, which knows nothing of infinity.
        low = float(np.quantile(means, 0.025, method="lower"))
        high = float(np.quantile(means, 0.975, method="higher"))
    return Figure(
        name,
        float(each.mean()),
        low,
        high,
        len(each),
        MEASURES[name].higher_is_better,
        network=network,
        note=few,
        per_image=tuple(each.tolist()),
    )


def jackknife_error(
    measured: Callable[[npt.NDArray[np.bool_], npt.NDArray[np.bool_]], float],
    counts: tuple[int, int],
    seed: int,
) -> float:
    """The uncertainty of a measure of two sets, by the delete-a-group jackknife.

    Each tenth of the images is left out once. A bootstrap would have some images twice: distances
    to neighbours would be 0, and distances of sets too large.

    Args:
        measured: gives the measure of a part of each set, by masks.
        counts: images in each set.

    Returns:
        The half width of the 95 % interval.
    """
    random = np.random.default_rng(seed)
    first, second = (random.permutation(count) % PARTS for count in counts)
    if len(first) == len(second):  # of pairs, both images are left out together
        second = first
    left = np.array([measured(first != part, second != part) for part in range(PARTS)])
    return STUDENT * math.sqrt((PARTS - 1) / PARTS * ((left - left.mean()) ** 2).sum())


def short_number(value: float) -> str:
    """Three significant digits; of what is not finite, its name."""
    return f"{value:.3g}" if math.isfinite(value) else str(value)


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def measure_of(name: str) -> str:
    """The measure that a name of `measure_names` is of: `psnr` of `psnr_AtoB`."""
    return name.removesuffix("_AtoB").removesuffix("_BtoA")
