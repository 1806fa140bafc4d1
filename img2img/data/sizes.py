"""The sizes to which images are resized and cropped, and equal sizes for the two of a pair."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from img2img.config import DataConfig, Unequal
from img2img.errors import ConfigError
from img2img.images import ClassNumbers, Picture, Pixels, nearest, resized

HeightWidth = tuple[int, int]

PUBLISHED_LOAD = 286
PUBLISHED_CROP = 256
# Width to height of two pictures of the same thing may differ by this share, for sizes are rounded.
_SAME_SHAPE = 0.02


def resolve_sizes(data: DataConfig, smallest: HeightWidth) -> tuple[HeightWidth, HeightWidth]:
    """The size to resize to and the size to crop to, each (height, width).

    `auto` is the published 286 and 256 for images of at least 256 pixels. For smaller images the
    crop is the largest power of two that fits, and the load size is 286/256 of the crop. If only
    one of the two is given, the other follows from it. If `data.resize` is `none`, the load size is
    not used.

    Args:
        smallest: the smallest height and the smallest width among the images.

    Raises:
        ConfigError: the crop is larger than the resized image.
    """
    load, crop = data.load_size, data.crop_size
    if crop == "auto":
        resized = data.resize != "none" and load != "auto"
        side = _square_crop(min(load if resized and load != "auto" else smallest))
        crop = (side, side)
    if load == "auto":
        load = (_load_for(crop[0]), _load_for(crop[1]))
    if data.resize != "none" and (crop[0] > load[0] or crop[1] > load[1]):
        raise ConfigError(
            f"data.crop_size: {crop[0]} x {crop[1]} (height x width) does not fit into"
            f" data.load_size {load[0]} x {load[1]}; raise data.load_size, or set it to auto"
        )
    return load, crop


def _square_crop(side: int) -> int:
    return min(PUBLISHED_CROP, 1 << (side.bit_length() - 1))


def _load_for(crop: int) -> int:
    return round(crop * PUBLISHED_LOAD / PUBLISHED_CROP)


def same_shape(one: HeightWidth, other: HeightWidth) -> bool:
    """Whether two sizes have the same aspect ratio, within 2 %."""
    across, down = one[1] * other[0], other[1] * one[0]
    return abs(across - down) <= _SAME_SHAPE * min(across, down)


def brought_to(picture: Picture, size: HeightWidth, unequal: Unequal) -> Picture | None:
    """The picture resized to another's size; None if its shape differs and `unequal` is `refuse`.

    A picture of the same shape is resized with the same filter as in training, label maps to the
    nearest pixel. Another shape is
    stretched; or fitted, that is scaled to cover the size and cropped at the centre; or padded,
    that is scaled to fit inside and centred on white.

    Args:
        size: height and width.
    """
    if picture.size == size:
        return picture
    if unequal == "stretch" or same_shape(picture.size, size):
        return _resized(picture, size)
    if unequal == "refuse":
        return None
    scales = [wanted / there for wanted, there in zip(size, picture.size, strict=True)]
    scale = max(scales) if unequal == "fit" else min(scales)
    # To the size itself along one side.
    scaled = _resized(
        picture,
        (
            size[0] if scale == scales[0] else max(1, round(picture.size[0] * scale)),
            size[1] if scale == scales[1] else max(1, round(picture.size[1] * scale)),
        ),
    )
    if unequal == "fit":
        alpha, valid, mask = (
            None if each is None else _middle(each, size)
            for each in (scaled.alpha, scaled.valid, scaled.mask)
        )
        pixels = _middle(scaled.pixels, size)
        return replace(scaled, pixels=pixels, alpha=alpha, valid=valid, mask=mask)
    missing = [wanted - there for wanted, there in zip(size, scaled.size, strict=True)]
    borders = [*((m // 2, m - m // 2) for m in missing), (0, 0)]
    if isinstance(picture.colours, ClassNumbers):  # what is added belongs to no class
        valid = np.ones(scaled.size, np.bool_) if scaled.valid is None else scaled.valid
        numbers, valid = np.pad(scaled.pixels, borders), np.pad(valid, borders[:2])
        mask = None if scaled.mask is None else np.pad(scaled.mask, borders[:2])
        return replace(scaled, pixels=numbers, valid=valid, mask=mask)
    pixels = scaled.composited()  # its own black and white become those of the dtype
    white = 1 if pixels.dtype == np.float32 else np.iinfo(pixels.dtype).max
    padded = np.pad(pixels, borders, constant_values=white)
    valid, mask = (
        None if each is None else np.pad(each, borders[:2]) for each in (scaled.valid, scaled.mask)
    )
    return replace(scaled, pixels=padded, alpha=None, values=None, valid=valid, mask=mask)


def _resized(picture: Picture, size: HeightWidth) -> Picture:
    alpha = None if picture.alpha is None else resized(picture.alpha, size)
    pixels, valid = picture.pixels, picture.valid
    if isinstance(picture.colours, ClassNumbers):
        valid = None if valid is None else nearest(valid, size)
        return replace(picture, pixels=nearest(pixels, size), valid=valid)
    if valid is not None:
        if valid.any():  # NaN would spread
            known = pixels[valid].mean(axis=0, dtype=np.float64).astype(pixels.dtype)
            pixels = np.where(valid[..., None], pixels, known)
        valid = nearest(valid, size)
    mask = None if picture.mask is None else nearest(picture.mask, size)
    return replace(picture, pixels=resized(pixels, size), alpha=alpha, valid=valid, mask=mask)


def _middle(pixels: Pixels, size: HeightWidth) -> Pixels:
    top, left = ((there - s) // 2 for s, there in zip(size, pixels.shape, strict=False))
    return pixels[top : top + size[0], left : left + size[1]]


def training_scale(data: DataConfig, sizes: Counter[HeightWidth], load_size: HeightWidth) -> float:
    """The scale of training images relative to their files, averaged over all files."""
    if data.resize == "none" or not sizes:
        return 1.0
    ratios = []
    for (height, width), count in sizes.items():
        if data.resize == "stretch":
            ratio = math.sqrt(load_size[0] / height * load_size[1] / width)
        else:
            ratio = max(load_size[0] / height, load_size[1] / width)
        ratios.append(ratio * count)
    return sum(ratios) / sizes.total()


def image_size(data: DataConfig, sizes: Counter[HeightWidth]) -> HeightWidth | None:
    """The typical size of the files: that of the file with the median area.

    None if images are not resized: then the model works on larger images as well.
    """
    if data.resize == "none" or not sizes:
        return None
    return sorted(sizes.elements(), key=math.prod)[sizes.total() // 2]
