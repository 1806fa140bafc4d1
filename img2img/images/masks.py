"""Masks: where an image changes, and where it stays as it is."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from math import ceil
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from img2img.errors import ImageError
from img2img.images.channels import is_grey
from img2img.images.codecs import Reader
from img2img.images.depths import Pixels, bands
from img2img.images.picture import Picture, Size

ALPHA: Final = "alpha"
Mask = Picture | Pixels | Literal["alpha"]
"""A grey picture or an array (height, width), 0 outside; or `alpha`: the transparency of the image
itself, which is inside where it is not fully transparent."""
Weights = npt.NDArray[np.float32]
"""How much of a result is taken at each pixel, (height, width), 0 to 1."""

# Rows of which weights are made together, and how many such blocks are kept.
_BLOCK, _KEPT = 256, 2


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
        weights = _of_opacity(image)
    else:
        picture = mask if isinstance(mask, Picture) else Picture(mask[..., None])
        weights = _of_picture(picture, _whole([picture]))
    _check_size(weights.shape, image.size)
    return _feathered(weights, feather)


class WeightRows:
    """What `weights_of` gives, of a mask and an image that are read by rows.

    Args:
        mask: the file; or `alpha`: the transparency of the image itself.
        image: the file.

    Raises:
        ImageError: the mask is in colour, or of another size than the image.
    """

    def __init__(self, mask: Reader | Literal["alpha"], image: Reader, feather: float = 0) -> None:
        self._height, self._feather = image.facts.size[0], feather
        self._block = lru_cache(_KEPT)(self._weights_of_block)
        self._read: Callable[[int, int], Weights]
        if isinstance(mask, str):
            self._read = lambda start, stop: _of_opacity(image.read(start, stop))
            return
        _check_size(mask.facts.size, image.facts.size)
        tops = range(0, self._height, _BLOCK)
        whole = _whole(mask.read(top, min(top + _BLOCK, self._height)) for top in tops)
        self._read = lambda start, stop: _of_picture(mask.read(start, stop), whole)

    def __call__(self, start: int, stop: int) -> Weights:
        """Those of the rows between two."""
        blocks = range(start // _BLOCK, (stop - 1) // _BLOCK + 1)
        parts = [
            self._block(number)[max(start - number * _BLOCK, 0) : stop - number * _BLOCK]
            for number in blocks
        ]
        return np.concatenate(parts)

    def _weights_of_block(self, number: int) -> Weights:
        # Pixels outside that are farther away than this have no influence.
        margin = ceil(self._feather)
        start, stop = number * _BLOCK, min((number + 1) * _BLOCK, self._height)
        first, last = max(start - margin, 0), min(stop + margin, self._height)
        weights = _feathered(self._read(first, last), self._feather)
        return weights[start - first : stop - first]


def _check_size(mask: tuple[int, ...], image: Size) -> None:
    if mask != image:
        size = " x ".join(map(str, mask[::-1]))
        raise ImageError(f"the mask is {size} pixels, but the image {image[1]} x {image[0]}")


def _feathered(weights: Weights, feather: float) -> Weights:
    if not feather or weights.all():
        return weights
    distance = cv2.distanceTransform(
        (weights > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    faded: Weights = weights * np.minimum(distance / np.float32(feather + 1), 1)
    return faded


def _of_opacity(image: Picture) -> Weights:
    opaque = np.ones(image.size, bool) if image.alpha is None else image.alpha > 0
    return opaque.astype(np.float32)


def _of_picture(mask: Picture, whole: float) -> Weights:
    weights = _share(mask.pixels[..., 0], whole)
    if mask.alpha is None:
        return weights
    return weights * _share(mask.alpha, np.iinfo(mask.alpha.dtype).max)


def _share(values: Pixels, whole: float) -> Weights:
    shares: Weights = np.nan_to_num(values.astype(np.float32) / np.float32(whole), nan=0)
    return shares.clip(0, 1)


def _whole(parts: Iterable[Picture]) -> float:
    """The value of a mask, of which these are all parts, that is all of a result.

    Raises:
        ImageError: it is in colour.
    """
    whole = 1
    for part in parts:
        pixels = part.pixels
        if not is_grey(part):
            raise ImageError(f"{pixels.shape[2]} different channels, but a mask is grey")
        if pixels.dtype.kind in "iu" and pixels.max(initial=0) > 1:
            whole = np.iinfo(pixels.dtype).max
    return whole


def blended(given: Picture, made: Picture, weights: Weights) -> Picture:
    """A result where weights are 1, its very input where they are 0, and both between.

    Where the input has no data, it is the result, which says so.

    Raises:
        ImageError: input and result differ in size, channels or type.
    """
    if (given.pixels.shape, given.pixels.dtype) != (made.pixels.shape, made.pixels.dtype):
        raise ImageError(
            f"a mask needs results like their inputs, but this image is {_form(given.pixels)}, and"
            f" its result {_form(made.pixels)}"
        )
    if given.valid is not None:
        weights = np.where(given.valid, weights, 1)
    whole = replace(made, pixels=_mixed(given.pixels, made.pixels, weights[..., None]))
    if given.alpha is None or made.alpha is None or given.alpha.dtype != made.alpha.dtype:
        return whole
    return replace(whole, alpha=_mixed(given.alpha, made.alpha, weights))


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
