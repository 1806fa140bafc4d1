"""Images of other libraries as pictures, and back."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from img2img.errors import ImageError
from img2img.images.picture import Picture
from img2img.images.pillow import from_pillow, to_pillow

# An image as Python programs hold it; `as_picture` says which.
ImageLike = Picture | Image.Image | npt.NDArray[Any] | Tensor


def as_picture(image: ImageLike, channels: int = 3, dtype: str = "uint8") -> Picture:
    """A picture of any image.

    Args:
        image: a `Picture`; a Pillow image of any mode but floating-point ones, which is turned
            upright if its EXIF block says so; or an array, uint8 or uint16, of shape (height,
            width) or (height, width, 1) for grey, (height, width, 3) for RGB, (height, width, 4)
            for RGB and alpha; or a floating-point tensor [3, height, width] in [-1, 1], which gives
            float32 pixels in [-1, 1].
        channels: of the picture. With other than 3, an array (height, width, channels), or of one
            channel (height, width), or a tensor [channels, height, width].
        dtype: a type that arrays may have besides, such as `int16`; of floating-point numbers all.

    Raises:
        ImageError: it is something else, or empty.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, Tensor):
        return _of_tensor(image, channels)
    if isinstance(image, Image.Image) and channels == 3:
        return as_rgb(from_pillow(image))
    if not isinstance(image, np.ndarray) or not _is_one_of(image.dtype, np.dtype(dtype)):
        there = f" of {image.dtype}" if isinstance(image, np.ndarray) else ""
        more = "" if dtype in ("uint8", "uint16") else f" or {dtype}"
        raise ImageError(
            f"{type(image).__name__}{there}: give a Picture, a Pillow image, an array of uint8 or"
            f" uint16{more}, or a tensor"
        )
    array = image[..., None] if image.ndim == 2 else image
    if channels != 3:
        if array.ndim != 3 or array.shape[2] != channels or array.size == 0:
            raise ImageError(
                f"array of shape {image.shape}: give (height, width, {channels}), as the model"
                f" takes {channels} channels"
            )
        return Picture(array)
    if array.ndim != 3 or array.shape[2] not in {1, 3, 4} or array.size == 0:
        raise ImageError(
            f"array of shape {image.shape}: give (height, width) or (height, width, 1) for grey,"
            " (height, width, 3) for RGB, (height, width, 4) for RGB and alpha"
        )
    if array.shape[2] == 1:
        return Picture(np.repeat(array, 3, axis=2))
    return Picture(array[..., :3], array[..., 3] if array.shape[2] == 4 else None)


def _is_one_of(there: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    real = there.kind == wanted.kind == "f"
    return real or there in (np.uint8, np.uint16, wanted)


def as_label_map(image: ImageLike) -> Picture:
    """A picture of a label map.

    Args:
        image: a `Picture`; a Pillow image, of whose palette the indexes count; or an array of whole
            numbers, (height, width) or (height, width, 1) for indexes, (height, width, 3) for
            colours.

    Raises:
        ImageError: it is something else, or empty.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, Image.Image):
        return from_pillow(image, indices=True)
    array = image[..., None] if isinstance(image, np.ndarray) and image.ndim == 2 else image
    if not isinstance(array, np.ndarray) or array.ndim != 3 or 0 in array.shape:
        raise ImageError(
            f"{type(image).__name__}: give a Picture, a Pillow image, or an array of indexes"
            " (height, width) or colours (height, width, 3)"
        )
    return Picture(array)


def as_rgb(picture: Picture) -> Picture:
    """A picture as RGB of 8 or 16 bits: grey in all three channels, and colour as it is.

    Raises:
        ImageError: it has other channels or another type of numbers.
    """
    channels, dtype = picture.pixels.shape[2], picture.pixels.dtype
    if channels not in {1, 3} or dtype not in (np.uint8, np.uint16):
        several = "channel" if channels == 1 else "channels"
        raise ImageError(
            f"{channels} {several} of {dtype}, where grey or RGB of 8 or 16 bits is needed"
        )
    if channels == 3:
        return picture
    return replace(picture, pixels=cv2.cvtColor(picture.pixels, cv2.COLOR_GRAY2RGB), channels=None)


def like(picture: Picture, given: ImageLike) -> ImageLike:
    """A picture as the kind of image that was given: what `as_picture` does, undone.

    Colour stays: of grey comes RGB. An array without channels stays so if the picture has one.
    Arrays have their alpha as a fourth channel, and keep their
    16 bits; a Pillow image is 8-bit RGB or RGBA, for Pillow has no colour of 16 bits, and holds the
    metadata in its `info`. A tensor is of the type and on the device of the given one.
    """
    if isinstance(given, Picture):
        return picture
    if isinstance(given, Image.Image):
        if picture.pixels.shape[2] != 3:
            raise ImageError(
                f"a result of {picture.pixels.shape[2]} channels is no Pillow image: give an array"
                " or a tensor"
            )
        return to_pillow(picture)
    if isinstance(given, Tensor):
        return torch.from_numpy(picture.pixels).movedim(2, 0).contiguous().to(given)
    if picture.alpha is None:
        flat = given.ndim == 2 and picture.pixels.shape[2] == 1
        return picture.pixels[..., 0] if flat else picture.pixels
    return np.dstack([picture.pixels, picture.alpha])


def _of_tensor(image: Tensor, channels: int) -> Picture:
    shape = list(image.shape)
    if not image.is_floating_point() or len(shape) != 3 or shape[0] != channels or 0 in shape:
        raise ImageError(
            f"tensor of {image.dtype} and shape {shape}: give floating-point numbers in [-1, 1] of"
            f" shape [{channels}, height, width]"
        )
    pixels = image.detach().movedim(0, 2).float().cpu().contiguous().numpy()
    return Picture(pixels, normalized=True)
