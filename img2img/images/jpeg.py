"""JPEG files that lack nothing but the marker of their end, as cameras and transfers leave them."""

import io
import re
from collections.abc import Iterator

from PIL import Image, ImageChops

_END = b"\xff\xd9"
# Where coded pixels would go on, they would come out otherwise for this than for the end marker.
_OTHERWISE = b"\xa5" * 64
_START_OF_FRAME, _START_OF_SCAN = {0xC0, 0xC1, 0xC2}, 0xDA
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # none that stands within a scan


def completed(data: bytes) -> Image.Image | None:
    """The image, loaded, if every pixel of the file is there; None if any is missing.

    libjpeg takes missing pixels for grey ones. So the file is decoded twice, with other bytes where
    the end should be: only what is whole gives the same image.
    """
    data = data.removesuffix(b"\xff")
    if not _has_all_coefficients(data):
        return None
    image, other = (Image.open(io.BytesIO(data + end)) for end in (_END, _OTHERWISE + _END))
    image.load()
    other.load()
    return image if ImageChops.difference(image, other).getbbox() is None else None


def _has_all_coefficients(data: bytes) -> bool:
    """Whether the scans, each perhaps of some coefficients or of some bits, add up to the whole."""
    missing: set[tuple[int, int]] = set()
    frame = False
    for marker, body in _segments(data):
        if marker in _START_OF_FRAME:
            components = body[6::3]
            missing = {(component, k) for component in components for k in range(64)}
            frame = True
        elif marker == _START_OF_SCAN:
            *selected, first, last, approximation = body[1:]
            if approximation & 0b1111 == 0:  # no lower bits are to come
                scan = {(c, k) for c in selected[::2] for k in range(first, last + 1)}
                missing -= scan
    return frame and not missing


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers that have a body, and it."""
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        start = found.end()
        length = int.from_bytes(data[start : start + 2], "big")
        yield data[start - 1], data[start + 2 : start + length]
        at = start + length
