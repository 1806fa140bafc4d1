"""Encoding GIF: each frame whole and with a palette of its own.

Pillow's own writer of animations stores what changes between frames and leaves out a frame that
equals the one before it; here, as many frames come out as went in.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
from PIL import Image

from img2img.images.depths import eight_bit
from img2img.images.picture import Picture

_TRANSPARENT = 255  # its place in the palette


def encode_gif(
    frames: Sequence[Picture], durations: Sequence[int] | None = None, loop: int = 1
) -> Iterator[bytes]:
    """The parts of a file. Pixels of less than half opacity become transparent, others opaque.

    Args:
        durations: milliseconds a frame, rounded to hundredths of a second in such a way that they
            do not drift; None for a still.
        loop: how often it is played; 0 is for ever.

    Raises:
        ValueError: longer than the 655 seconds a frame that the format has.
    """
    height, width = frames[0].size
    yield b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0)
    if loop != 1:  # it says how often the animation is repeated
        repeats = min(max(loop - 1, 0), 65535)
        yield b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", repeats) + b"\0"
    ends = [round(end / 10) for end in accumulate(durations or [0] * len(frames), initial=0)]
    for frame, (start, end) in zip(frames, pairwise(ends), strict=True):
        shown, transparent = _indexed(frame)
        if end - start > 65535:
            raise ValueError("a frame is shown for more than 655 seconds")
        clear = 2 if durations else 0  # before the next frame, so that nothing shines through it
        flags = clear << 2 | transparent
        yield b"!\xf9\x04" + struct.pack("<BHBB", flags, end - start, _TRANSPARENT, 0)
        yield _block(shown)
    yield b";"


def _block(indexed: Image.Image) -> bytes:
    """A frame's descriptor, palette and compressed indices, from a file of it alone."""
    buffer = io.BytesIO()
    indexed.save(buffer, "GIF", optimize=False, interlace=0)
    file = buffer.getvalue()
    flags = file[10]  # of the whole: whether it has a palette, and the size of that
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    palette = file[13:at]
    return file[at : at + 9] + bytes([flags & 0x87]) + palette + file[at + 10 : -1]


def _indexed(picture: Picture) -> tuple[Image.Image, bool]:
    """An image with a palette, and whether part of it is transparent."""
    rgb = Image.fromarray(eight_bit(picture.levels))
    hidden = None
    if picture.alpha is not None:
        hidden = eight_bit(picture.alpha) < 128
        rgb = Image.fromarray(np.where(hidden[..., None], np.uint8(0), np.asarray(rgb)))
    colours = 256 if hidden is None else 255
    indexed = rgb.quantize(colours)
    if rgb.getcolors(colours) is None:  # else they are all in the palette
        indexed = rgb.quantize(palette=indexed, dither=Image.Dither.FLOYDSTEINBERG)
    if hidden is None or not hidden.any():
        return indexed, False
    palette = (indexed.getpalette() or [])[: 3 * colours]
    indices = np.where(hidden, np.uint8(_TRANSPARENT), np.asarray(indexed))
    indexed = Image.fromarray(indices)
    indexed.putpalette(palette + [0] * (768 - len(palette)))
    return indexed, True
