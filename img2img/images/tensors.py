"""Pixels <-> tensors in [-1, 1], and other sizes."""

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from img2img.images.depths import Pixels


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize to (height, width) with the published filter, Pillow's antialiased bicubic.

    Pixels may also be of one channel, (h, w). OpenCV's filter of that name aliases when it shrinks.
    """
    if pixels.shape[:2] == size:
        return pixels
    height, width = size
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] != 3:
        # Pillow would take other numbers of channels for transparency, or for nothing it knows.
        return np.dstack([resized(plane, size) for plane in np.moveaxis(pixels, 2, 0)])
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    planes = np.atleast_3d(pixels)
    levels: Pixels = np.empty((height, width, planes.shape[2]), pixels.dtype)
    for channel in range(planes.shape[2]):  # one by one, as in floats they take a lot of memory
        plane = Image.fromarray(planes[..., channel].astype(np.float32))
        values = np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC))
        if pixels.dtype != np.float32:
            values = values.round().clip(0, 65535)
        levels[..., channel] = values
    return levels.reshape(*size, *pixels.shape[2:])


def nearest(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize to (height, width) without new values: each pixel is the one at its centre."""
    if pixels.shape[:2] == size:
        return pixels
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.intp), old - 1)
        for new, old in zip(size, pixels.shape[:2], strict=True)
    )
    return np.ascontiguousarray(pixels[rows[:, None], columns])


def to_tensor(pixels: Pixels) -> Tensor:
    """(height, width, channels) uint8 or uint16 -> float32 (channels, height, width) in [-1, 1].

    float32 pixels are in [-1, 1] already.
    """
    # In numpy: torch would spread this over threads, which fight for cores with the training.
    planes = np.array(pixels.transpose(2, 0, 1), dtype=np.float32, order="C")
    if pixels.dtype != np.float32:
        planes /= np.float32(np.iinfo(pixels.dtype).max / 2)
        planes -= 1
    return torch.from_numpy(planes)


def to_pixels(image: Tensor, dtype: npt.DTypeLike = np.uint8, *, truncate: bool = False) -> Pixels:
    """(channels, height, width) in [-1, 1] -> (height, width, channels) uint8, uint16 or float32.

    Rounded to the nearest value, or with `truncate` to the one below, and clamped, but for float32.
    (The reference implementation truncates, which makes every picture half a grey level darker.)
    """
    levels = to_levels(image, dtype, truncate=truncate)
    return np.ascontiguousarray(levels.cpu().numpy(), dtype=dtype)


def from_levels(levels: Tensor) -> Tensor:
    """[..., height, width, 3] uint8, uint16 or float32 -> float32 [..., 3, height, width].

    On any device; what were grey levels is then in [-1, 1]. The memory's layout stays.
    """
    x = levels.movedim(-1, -3).float()
    if levels.is_floating_point():
        return x
    return x.mul_(2 / torch.iinfo(levels.dtype).max).sub_(1)


def to_levels(image: Tensor, dtype: npt.DTypeLike, *, truncate: bool = False) -> Tensor:
    """[..., channels, height, width] in [-1, 1] -> [..., height, width, channels], on any device.

    Args:
        dtype: uint8; uint16, which is given as int32, since torch's has few operations; or float32,
            which is left in [-1, 1].
        truncate: what lies between two levels becomes the lower one, not the nearer.
    """
    values = image.detach().float().movedim(-3, -1)
    if dtype == np.float32:
        return values
    top = np.iinfo(np.dtype(dtype)).max
    levels = values.add(1).mul_(top / 2)
    levels = levels.floor_() if truncate else levels.round_()
    return levels.clamp_(0, top).to(torch.uint8 if top == 255 else torch.int32)
