"""Turning frames upright according to their display matrix, and back."""

from collections.abc import Sequence

import numpy as np

from img2img.images import Pixels


def upright(pixels: Pixels, matrix: Sequence[int] | None) -> Pixels:
    """Pixels as they are shown.

    Args:
        pixels: pixels as coded, (H, W, 3).
        matrix: the display matrix: x' = m0 x + m3 y, y' = m1 x + m4 y. If it does more than mirror
            and turn by multiples of 90 degrees, it is left to the player.
    """
    if matrix is None or not _is_by_quarters(matrix):
        return pixels
    a, b, _, c, d = matrix[:5]
    if a == 0:
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return pixels[:: _sign(d), :: _sign(a)]


def as_coded(pixels: Pixels, matrix: Sequence[int] | None) -> Pixels:
    """The inverse of `upright`."""
    if matrix is None or not _is_by_quarters(matrix):
        return pixels
    a, b, _, c, d = matrix[:5]
    if a == 0:
        return pixels[:: _sign(b), :: _sign(c)].swapaxes(0, 1)
    return pixels[:: _sign(d), :: _sign(a)]


def _is_by_quarters(matrix: Sequence[int]) -> bool:
    linear = np.array(matrix).reshape(3, 3)[:2, :2]
    return bool(((linear != 0).sum(axis=0) == 1).all() and ((linear != 0).sum(axis=1) == 1).all())


def _sign(number: int) -> int:
    return 1 if number > 0 else -1
