"""Pictures embedded in a page."""

import io
import math
from base64 import b64encode

from markupsafe import Markup
from PIL import Image

from img2img.images import Picture, resized
from img2img.images.display import visible

# How often the number of pixels is halved at most to fit.
_STEPS = 16
# Profiles of colour spaces are smaller; larger ones are tables, mostly for printers.
_PROFILE_BYTES = 4096
_QUALITY = 82


def fit_within(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Height and width, reduced where a side is longer than that."""
    factor = min(1.0, max_side / max(size))
    height, width = (max(1, round(factor * side)) for side in size)
    return height, width


def embedded(picture: Picture, max_side: int, max_bytes: int) -> Markup:
    """A picture as a data URL.

    Args:
        max_side: the most pixels of its longer side.
        max_bytes: the most bytes of the URL; the picture is reduced until it fits.
    """
    pixels = visible(picture, fit_within(picture.size, max_side))
    profile = picture.icc if picture.icc and len(picture.icc) <= _PROFILE_BYTES else None
    address = Markup()
    for step in range(_STEPS):
        side = max(1, round(max(pixels.shape[:2]) / math.sqrt(2) ** step))
        small = Image.fromarray(resized(pixels, fit_within(pixels.shape[:2], side)))
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=_QUALITY, icc_profile=profile)
        address = Markup("data:image/webp;base64," + b64encode(buffer.getvalue()).decode())
        if len(address) <= max_bytes:
            break
    return address
