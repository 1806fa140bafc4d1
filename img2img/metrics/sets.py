"""Measures of a set of images against another set, by their features."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from img2img.features import FeatureNetwork, Features
from img2img.metrics.measure import MEASURES, Figure, jackknife_error

# Smallest set. Fewer images would not have as many neighbours as are asked for.
LEAST = 10
# Images of a subset for KID, as published.
KID_SIZE = 1000
KID_SUBSETS = 100
# Neighbours, as published.
NEAREST = {"precision": 3, "density": 5}
# Features that are no further apart than this, relative to their length, differ by rounding only.
ALIKE = 1e-6
# Images whose distances to all others are in memory at once.
BLOCK = 1000


def set_figure(
    name: str, result: Features, real: Features, network: FeatureNetwork, seed: int = 0
) -> Figure:
    """A measure of two sets of at least `LEAST` images, with its jackknife interval."""
    measure = SETS[name]
    value = measure(result, real, seed)
    counts = len(result.features), len(real.features)
    error = jackknife_error(
        lambda kept, of_real: measure(
            result.of(torch.from_numpy(kept)), real.of(torch.from_numpy(of_real)), seed
        ),
        counts,
        seed,
    )
    least, most = BOUNDS.get(name, (-torch.inf, torch.inf))
    note = None
    if not error:
        note = "leaving out images does not change the value, so the interval means nothing"
    if math.isnan(value):
        note = "not a number, because all real images are the same"
    if name == "fid" and min(counts) < network.dimensions:
        note = (
            f"unreliable: it is too large with {min(counts)} images for {network.dimensions}"
            " features; kid does not depend on the number of images"
        )
    return Figure(
        name,
        value,
        max(least, value - error),
        min(most, value + error),
        counts[0],
        MEASURES[name].higher_is_better,
        n_real=counts[1],
        network=network.name,
        resize=network.resize,
        note=note,
    )


def fid(result: Features, real: Features, seed: int = 0) -> float:
    """Frechet distance between Gaussians fitted to the features."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    both = result.features.double(), real.features.double()
    if sum(map(len, both)) < both[0].shape[1]:
        # Few images span few dimensions: the distance is the same in these, and faster.
        axes = torch.linalg.qr(torch.cat(both).T).Q
        both = both[0] @ axes, both[1] @ axes
    fitted = (fid_features_to_statistics(features) for features in both)
    found = fid_statistics_to_metric(*fitted, verbose=False)["frechet_inception_distance"]
    # For equal sets, a sum of terms that cancel but for rounding.
    return max(BOUNDS["fid"][0], float(found))


def kid(result: Features, real: Features, seed: int = 0) -> float:
    """Unbiased squared maximum mean discrepancy with a cubic kernel; about 0 for equal sets.

    If there are more images than in one subset, the mean over subsets drawn by the seed.
    """
    from torch_fidelity.metric_kid import kid_features_to_metric

    counts = len(result.features), len(real.features)
    size = min(KID_SIZE, *counts)
    values = kid_features_to_metric(
        result.features.double(),
        real.features.double(),
        kid_subset_size=size,
        kid_subsets=1 if max(counts) == size else KID_SUBSETS,
        rng_seed=seed,
        verbose=False,
    )
    return float(values["kernel_inception_distance_mean"])


def inception_score(result: Features, real: Features, seed: int = 0) -> float:
    """How certain and how diverse the classes of results are: from 1 to the number of classes.

    It is computed over all results; published scores are the mean over ten parts of 5,000 images.
    """
    from torch_fidelity.metric_isc import isc_features_to_metric

    values = isc_features_to_metric(result.logits, splits=1, shuffle=False)
    return max(BOUNDS["is"][0], float(values["inception_score_mean"]))


def precision(result: Features, real: Features, seed: int = 0) -> float:
    """The share of results that are closer to some real image than its third neighbour."""
    return _precision_and_recall(result, real)[0]


def recall(result: Features, real: Features, seed: int = 0) -> float:
    """The share of real images that are closer to some result than its third neighbour."""
    return _precision_and_recall(result, real)[1]


def density(result: Features, real: Features, seed: int = 0) -> float:
    """A fifth of the number of real images to which a result is closer than their fifth neighbour.

    This is the mean over results (equation 4 of arXiv 2002.09797), which may be above 1.
    """
    count = sum(near.sum().item() for near in _near(result.features, real.features))
    return count / NEAREST["density"] / len(result.features)


def coverage(result: Features, real: Features, seed: int = 0) -> float:
    """The share of real images with a result that is closer than their fifth neighbour.

    Equation 5 of arXiv 2002.09797.
    """
    count = sum(near.any(1).sum().item() for near in _near(result.features, real.features))
    return count / len(real.features)


def diversity(result: Features, real: Features, seed: int = 0) -> float:
    """The mean feature distance between two results, divided by that between two real images.

    It is 0 if all results are the same and 1 if they differ as much as the real images. Above 1
    they differ more, which need not be better. If only k results are different, it is about 1 -
    1/k. If all real images are the same, it is not a number.
    """
    distance, usual = (_mean_distance(seen.features) for seen in (result, real))
    alike = usual <= ALIKE * real.features.double().norm(dim=1).mean()
    return math.nan if alike else (distance / usual).item()


SETS: dict[str, Callable[[Features, Features, int], float]] = {
    "fid": fid,
    "kid": kid,
    "is": inception_score,
    "precision": precision,
    "recall": recall,
    "density": density,
    "coverage": coverage,
    "diversity": diversity,
}
BOUNDS = {
    "fid": (0.0, torch.inf),
    "is": (1.0, torch.inf),
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "density": (0.0, torch.inf),
    "coverage": (0.0, 1.0),
    "diversity": (0.0, torch.inf),
}


def _precision_and_recall(result: Features, real: Features) -> tuple[float, float]:
    from torch_fidelity.metric_prc import prc_features_to_metric

    values = prc_features_to_metric(
        result.features.double(),
        real.features.double(),
        prc_neighborhood=NEAREST["precision"],
        prc_batch_size=BLOCK,
        save_cpu_ram=True,
        verbose=False,
    )
    return float(values["precision"]), float(values["recall"])


def _near(result: Tensor, real: Tensor) -> Iterator[Tensor]:
    """Whether results (columns) are closer to real images (rows) than their fifth neighbour."""
    result, real = result.double(), real.double()
    for block in torch.split(real, BLOCK):
        # The nearest is the image itself.
        radius = torch.cdist(block, real).kthvalue(NEAREST["density"] + 1).values
        yield torch.cdist(block, result) < radius[:, None]


def _mean_distance(features: Tensor) -> Tensor:
    """The mean distance over all pairs of different images, a scalar."""
    features, count = features.double(), len(features)
    sums = [torch.cdist(block, features).sum() for block in torch.split(features, BLOCK)]
    return torch.stack(sums).sum() / (count * (count - 1))
