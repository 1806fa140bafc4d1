"""Pixels <-> tensors in [-1, 1], and other sizes."""

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from img2img.images.picture import Pixels


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize to (height, width) with the published filter, Pillow's antialiased bicubic.

    OpenCV's filter of that name aliases when it shrinks.
    """
    if pixels.shape[:2] == size:
        return pixels
    height, width = size
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)
        for plane in pixels.astype(np.float32).transpose(2, 0, 1)
    ]
    levels: Pixels = np.dstack([np.asarray(plane) for plane in planes])
    return levels.round().clip(0, 65535).astype(np.uint16)


def to_tensor(pixels: Pixels) -> Tensor:
    """(height, width, 3) uint8 or uint16 -> float32 (3, height, width) in [-1, 1]."""
    # In numpy: torch would spread this over threads, which fight for cores with the training.
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    planes /= np.float32(np.iinfo(pixels.dtype).max / 2)
    planes -= 1
    return torch.from_numpy(planes)


def to_pixels(image: Tensor, dtype: npt.DTypeLike = np.uint8) -> Pixels:
    """(channels, height, width) in [-1, 1] -> (height, width, channels) uint8 or uint16.

    Rounded to the nearest value and clamped. (The reference implementation truncates, which makes
    every picture half a grey level darker.)
    """
    top = np.iinfo(dtype).max
    levels = image.detach().float().add(1).mul_(top / 2).round_().clamp_(0, top)
    # torch's uint16 has few operations: cross over as int32.
    whole = levels.to(torch.uint8 if top == 255 else torch.int32).permute(1, 2, 0)
    return np.ascontiguousarray(whole.cpu().numpy(), dtype=dtype)
