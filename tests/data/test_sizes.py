"""How the two images of a pair come to be of one size."""

from typing import Any

import numpy as np
import pytest

from img2img.data.sizes import brought_to, same_shape
from img2img.images import Picture


def picture(height: int, width: int, value: int = 50, **more: Any) -> Picture:
    return Picture(np.full((height, width, 3), value, np.uint8), **more)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((300, 200), (450, 300), True),
        ((100, 100), (102, 100), True),
        ((100, 100), (103, 100), False),
        ((333, 500), (666, 1001), True),
        ((48, 41), (48, 40), False),
        ((10, 20), (20, 10), False),
    ],
)
def test_same_shape(one: tuple[int, int], other: tuple[int, int], same: bool) -> None:
    assert same_shape(one, other) is same_shape(other, one) is same


@pytest.mark.parametrize("unequal", ["refuse", "stretch", "fit", "pad"])
def test_the_same_shape_is_only_resized(unequal: Any) -> None:
    changed = brought_to(picture(30, 45), (20, 30), unequal)
    assert changed is not None
    assert changed.size == (20, 30)
    assert (changed.pixels == 50).all()
    same = picture(9, 7)
    assert brought_to(same, (9, 7), unequal) is same


def test_another_shape_is_refused_or_stretched() -> None:
    assert brought_to(picture(30, 30), (20, 30), "refuse") is None
    stretched = brought_to(picture(30, 30), (20, 40), "stretch")
    assert stretched is not None
    assert stretched.size == (20, 40)


def test_fit_keeps_the_middle_at_its_place() -> None:
    # Three bands of 20 columns: to be half as wide, one half of each outer band goes.
    bands = np.repeat(np.array([10, 50, 90], np.uint8), 20)
    pixels = np.broadcast_to(bands[None, :, None], (10, 60, 3)).copy()
    fitted = brought_to(Picture(pixels, alpha=pixels[..., 0]), (10, 40), "fit")
    assert fitted is not None
    assert fitted.alpha is not None
    np.testing.assert_array_equal(fitted.pixels, pixels[:, 10:50])
    np.testing.assert_array_equal(fitted.alpha, pixels[:, 10:50, 0])


def test_pad_shows_all_of_it_on_white() -> None:
    padded = brought_to(picture(20, 40), (20, 20), "pad")
    assert padded is not None
    assert padded.size == (20, 20)
    assert (padded.pixels[5:15] == 50).all()
    assert (padded.pixels[:5] == 255).all()
    assert (padded.pixels[15:] == 255).all()
    # White is what is white to the file: 4095 of 12 bits.
    deep = Picture(np.full((8, 16, 3), 819, np.uint16), values=(0, 4095))
    padded = brought_to(deep, (8, 8), "pad")
    assert padded is not None
    assert {*np.unique(padded.composited())} == {65535 // 5, 65535}
