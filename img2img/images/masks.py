"""Masks: where an image changes, and where it stays as it is."""

from dataclasses import replace
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from img2img.errors import ImageError
from img2img.images.domain import is_grey
from img2img.images.picture import Picture, Pixels, bands

ALPHA: Final = "alpha"
Mask = Picture | Pixels | Literal["alpha"]
"""A grey picture or an array (height, width), 0 outside; or `alpha`: the transparency of the image
itself, which is inside where it is not fully transparent."""
Weights = npt.NDArray[np.float32]
"""How much of a result is taken at each pixel, (height, width), 0 to 1."""


def weights_of(mask: Mask, image: Picture, feather: float = 0) -> Weights:
    """How much of its result is taken at each pixel of an image.

    Of yes and no, and of integers from 0 to 1, 1 is all of it; of other integers the largest of
    their type; of floating-point numbers 1.

    Args:
        feather: pixels over which the result fades in, inwards from the border of the mask: at a
            distance d from the nearest pixel outside it is d / (feather + 1).

    Raises:
        ImageError: the mask is in colour, or of another size than the image.
    """
    if isinstance(mask, str):
        opaque = np.ones(image.size, bool) if image.alpha is None else image.alpha > 0
        weights = _share(opaque)
    elif isinstance(mask, Picture):
        weights = _of_picture(mask)
    else:
        weights = _share(mask)
    if weights.shape != image.size:
        (height, width), there = image.size, weights.shape
        size = " x ".join(map(str, there[::-1]))
        raise ImageError(f"the mask is {size} pixels, but the image {width} x {height}")
    if feather and not weights.all():
        distance = cv2.distanceTransform(
            (weights > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        weights = weights * np.minimum(distance / np.float32(feather + 1), 1)
    return weights


def _of_picture(mask: Picture) -> Weights:
    if not is_grey(mask):
        raise ImageError(f"{mask.pixels.shape[2]} different channels, but a mask is grey")
    weights = _share(mask.pixels[..., 0])
    return weights if mask.alpha is None else weights * _share(mask.alpha)


def _share(values: Pixels) -> Weights:
    if values.dtype.kind == "f":
        return np.nan_to_num(values.astype(np.float32), nan=0).clip(0, 1)
    one = values.dtype.kind == "b" or not values.size or values.max() <= 1
    weights = values.astype(np.float32) / np.float32(1 if one else np.iinfo(values.dtype).max)
    return weights.clip(0, 1)


def blended(given: Picture, made: Picture, weights: Weights) -> Picture:
    """A result where weights are 1, its very input where they are 0, and both between.

    Raises:
        ImageError: input and result differ in size, channels or type.
    """
    pixels, alpha = given.pixels, given.alpha
    if made.alpha is not None and alpha is None and pixels.shape[2] == made.pixels.shape[2] + 1:
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
    if (pixels.shape, pixels.dtype) != (made.pixels.shape, made.pixels.dtype):
        raise ImageError(
            f"a mask needs results like their inputs, but this image is {_form(pixels)}, and its"
            f" result {_form(made.pixels)}"
        )
    whole = replace(made, pixels=_mixed(pixels, made.pixels, weights[..., None]))
    if alpha is None or made.alpha is None or alpha.dtype != made.alpha.dtype:
        return whole
    return replace(whole, alpha=_mixed(alpha, made.alpha, weights))


def _mixed(given: Pixels, made: Pixels, weights: Weights) -> Pixels:
    mixed = np.empty_like(made)
    for rows in bands(*made.shape[:2]):
        a, b, w = given[rows], made[rows], weights[rows]
        between = a + (b.astype(np.float64) - a) * w
        if made.dtype.kind != "f":
            between = np.rint(between)
        mixed[rows] = np.where(w <= 0, a, np.where(w >= 1, b, between.astype(made.dtype)))
    return mixed


def _form(pixels: Pixels) -> str:
    height, width, channels = pixels.shape
    return f"{width} x {height} x {channels} of {pixels.dtype}"
