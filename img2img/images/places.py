"""Means over those places of images that hold data.

`valid` is float [N, 1, H, W]: 1 where an image holds data, 0 elsewhere; None: everywhere.
"""

import torch.nn.functional as F
from torch import Tensor


def mean_per_image(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """The mean of each image in [N, ...], as [N]; 0 for an image without data.

    Args:
        valid: of any size; each value is weighted by the share of pixels at its place that hold
            data.
    """
    if valid is None:
        return values.flatten(1).mean(1)
    weights = shares(valid, values).expand_as(values).flatten(1)
    return (values.flatten(1) * weights).sum(1) / weights.sum(1).clamp(min=1e-8)


def shares(valid: Tensor, values: Tensor) -> Tensor:
    """For each place of `values` [N, C, h, w], the share of pixels that hold data."""
    height, width = values.shape[-2:]
    same = valid.shape[-2:] == (height, width)
    return valid if same else F.adaptive_avg_pool2d(valid, (height, width))


def without_invalid(image: Tensor, valid: Tensor | None) -> Tensor:
    """The image with 0 (mid-grey) where it holds no data."""
    return image if valid is None else image * shares(valid, image)


def of_valid(distance: Tensor, valid: Tensor | None) -> Tensor:
    """The mean over places with data, [N], from a mean over all places that is 0 elsewhere."""
    return distance if valid is None else distance / valid.mean((1, 2, 3)).clamp(min=1e-8)


def valid_in_both(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Where both of two images of the same thing hold data, in the size of the second."""
    if one is None or other is None:
        return one if other is None else other
    return F.interpolate(one, other.shape[-2:], mode="nearest") * other
