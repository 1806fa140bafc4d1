"""Images of any channels as RGB, for people to look at."""

import numpy as np
from numpy.typing import NDArray

from img2img.images.picture import Pixels, eight_bit


def visible(pixels: Pixels) -> NDArray[np.uint8]:
    """8-bit RGB of pixels over the whole of their type.

    One channel is shown as grey, two as red and green, more by the first three.

    Args:
        pixels: (height, width, channels), uint8, uint16 or float32 in [-1, 1].
    """
    pixels = eight_bit(pixels[..., :3])
    missing = 3 - pixels.shape[2]
    if missing == 2:
        return np.repeat(pixels, 3, axis=2)
    if missing:
        return np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])
    return pixels
