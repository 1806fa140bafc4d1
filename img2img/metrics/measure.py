"""The measures of translations, and figures with confidence intervals."""

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
    """The definition of a measure.

    Attributes:
        of: `pair`: an image against its target, averaged over all images, or of label maps over
            all pixels; `set`: a set of images
            against another, by a feature network; `cycle`: an image against itself after
            translation there and back.
        meaning: a short explanation.
        by_default: whether it is computed by default.
        needs_rgb: whether it uses a network that was trained on RGB photographs; other measures
            accept any channels.
        of_labels: whether it is for label maps; other measures are not.
    """

    of: Literal["pair", "set", "cycle"]
    higher_is_better: bool
    meaning: str
    by_default: bool = True
    needs_rgb: bool = False
    of_labels: bool = False


def _labels(meaning: str) -> Measure:
    return Measure("pair", True, meaning, by_default=False, of_labels=True)


def _perceptual(meaning: str, by_default: bool = False) -> Measure:
    return Measure("pair", False, meaning, by_default, needs_rgb=True)


def _of_sets(higher_is_better: bool, meaning: str) -> Measure:
    return Measure("set", higher_is_better, meaning, needs_rgb=True)


MEASURES: dict[str, Measure] = {
    "l1": Measure("pair", False, "mean absolute difference of pixels in [0, 1]"),
    "psnr": Measure("pair", True, "peak signal to noise ratio, in decibels"),
    "ssim": Measure("pair", True, "structural similarity (Wang et al. 2004)"),
    "ms_ssim": Measure("pair", True, "structural similarity over five scales (Wang et al. 2003)"),
    "lpips": _perceptual("distance between AlexNet features (Zhang et al. 2018)", by_default=True),
    "lpips_vgg": _perceptual("distance between VGG16 features (Zhang et al. 2018)"),
    "perceptual": _perceptual("distance between EfficientNet-Lite0 features, unweighted"),
    "pixel_accuracy": _labels("of label maps: share of all pixels that have the right class"),
    "miou": _labels("of label maps: intersection over union, mean of the classes of all images"),
    "fid": _of_sets(False, "Frechet distance between features (Heusel et al. 2017)"),
    "kid": _of_sets(False, "kernel distance between features (Binkowski et al. 2018)"),
    "is": _of_sets(True, "Inception Score of the results (Salimans et al. 2016)"),
    "precision": _of_sets(True, "share of results close to real images (Kynkaanniemi et al. 2019)"),
    "recall": _of_sets(True, "share of real images close to results (Kynkaanniemi et al. 2019)"),
    "density": _of_sets(True, "density of real images around results (Naeem et al. 2020)"),
    "coverage": _of_sets(True, "share of real images with a result nearby (Naeem et al. 2020)"),
    "diversity": _of_sets(True, "distance between results, relative to that between real images"),
    "cycle": Measure(
        "cycle", False, "L1 between an image and itself after translation there and back"
    ),
}


def unmet_need(name: str, domain: Domain) -> str | None:
    """Why a measure cannot be computed for images of a domain; None if it can."""
    labels = domain.kind == "labels"
    if MEASURES[name].of_labels != labels:
        return "is for images, but these are label maps" if labels else "needs label maps"
    if MEASURES[name].needs_rgb and not domain.is_rgb:
        return f"needs RGB images, but these have the channels {', '.join(domain.channels)}"
    return None


LABEL_MEASURES = tuple(name for name, measure in MEASURES.items() if measure.of_labels)


@dataclass(frozen=True)
class Figure:
    """The value of one measure for a set of images.

    Attributes:
        low: the lower bound of its 95 % interval, and `high` the upper; None if there are too few
            images.
        n: number of images that were measured.
        n_real: for measures of sets, number of real images.
        network: the feature network; `resize` says how images were resized for it. None without
            one.
        note: a warning, for example that the figure is unreliable, and why.
        per_image: for measures of pairs and cycles, the value for each image.
        baseline: for measures of pairs, the same measure for the untouched inputs.
        scale: the scale at which a model translated: `native`, `trained`, or the number of images
            at each; None if nothing was translated.
        channels: for measures of pairs, the same of each channel, or of each class that occurs, by
            its name; None for RGB.
        in_units: L1 in the numbers of the files, of each channel; None for others and 8-bit RGB.
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
    channels: dict[str, float] | None = field(default=None, compare=False)
    in_units: dict[str, float] | None = field(default=None, compare=False)

    @property
    def no_better(self) -> bool:
        """Whether the untouched inputs are at least as good as the results."""
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
        """The figure as JSON; numbers that are not finite become text such as `inf`."""
        tree = asdict(self)
        for name in "channels", "in_units":
            each = tree.pop(name)
            if each is not None:
                tree[name] = {channel: _finite(value) for channel, value in each.items()}
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
    few = (
        f"the interval from only {len(each)} images is too narrow" if 1 < len(each) < FEW else None
    )
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
    """The uncertainty of a measure of two sets, from the delete-a-group jackknife.

    Each tenth of the images is left out once. A bootstrap would contain some images twice, so that
    distances between neighbours would be 0 and distances between sets too large.

    Args:
        measured: returns the measure for a part of each set, given masks.
        counts: number of images in each set.

    Returns:
        Half the width of the 95 % interval.
    """
    random = np.random.default_rng(seed)
    first, second = (random.permutation(count) % PARTS for count in counts)
    if len(first) == len(second):  # of pairs, both images are left out together
        second = first
    left = np.array([measured(first != part, second != part) for part in range(PARTS)])
    return STUDENT * math.sqrt((PARTS - 1) / PARTS * ((left - left.mean()) ** 2).sum())


def short_number(value: float) -> str:
    """The number with three significant digits, or its name if it is not finite."""
    return f"{value:.3g}" if math.isfinite(value) else str(value)


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def measure_of(name: str) -> str:
    """The measure in a name from `measure_names`, such as `psnr` in `psnr_AtoB`."""
    return name.removesuffix("_AtoB").removesuffix("_BtoA")
