"""The grid's energy, on images whose spectrum is known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from img2img.metrics.checkerboard import checkerboard_energy

SIDE = 64
Floats = NDArray[np.float64]


def wave(x_cycles: float, y_cycles: float = 0, amplitude: float = 1, side: int = SIDE) -> Floats:
    """[side, side, 1]: a cosine of so many cycles a pixel."""
    y, x = np.mgrid[:side, :side]
    image: Floats = amplitude * np.cos(2 * math.pi * (x_cycles * x + y_cycles * y))
    return image[..., None]


def test_known_amplitude() -> None:
    """A cosine of amplitude a has two peaks of (a/2)^2, or one of a^2 at half a cycle a pixel."""
    assert checkerboard_energy(wave(1 / 2)) == pytest.approx(1, rel=1e-2)
    assert checkerboard_energy(wave(1 / 4)) == pytest.approx(1 / 2, rel=1e-2)
    assert checkerboard_energy(wave(1 / 8)) == pytest.approx(1 / 2, rel=1e-2)
    assert checkerboard_energy(wave(1 / 8, 3 / 8)) == pytest.approx(1 / 2, rel=1e-2)


def test_energy_is_the_square_of_amplitude_and_the_mean_over_channels() -> None:
    one = checkerboard_energy(wave(1 / 4))
    assert checkerboard_energy(wave(1 / 4, amplitude=3)) == pytest.approx(9 * one)
    beside_nothing = np.concatenate([wave(1 / 4), np.zeros((SIDE, SIDE, 3))], axis=-1)
    assert checkerboard_energy(beside_nothing) == pytest.approx(one / 4)


def test_smooth_images_have_none() -> None:
    grid = checkerboard_energy(wave(1 / 8, amplitude=1))
    assert checkerboard_energy(np.full((SIDE, SIDE, 3), 0.7)) == pytest.approx(0, abs=1e-20)
    ramp = np.linspace(0, 1, SIDE)[:, None, None] * np.ones((SIDE, SIDE, 1))
    assert checkerboard_energy(ramp) < 1e-4 * grid
    assert checkerboard_energy(wave(1 / SIDE)) < 1e-4 * grid


def test_other_frequencies_do_not_count() -> None:
    assert checkerboard_energy(wave(3 / 16)) < 1e-3 * checkerboard_energy(wave(2 / 16))


def test_what_a_transposed_convolution_leaves() -> None:
    """Every second row and column brighter: peaks at (1/2, 0), (0, 1/2) and (1/2, 1/2)."""
    y, x = np.mgrid[:SIDE, :SIDE]
    grid = ((y % 2 == 0) & (x % 2 == 0)).astype(np.float64)[..., None]
    # 1/4 (1 + cos pi y)(1 + cos pi x): three peaks of amplitude 1/4.
    assert checkerboard_energy(grid) == pytest.approx(3 / 16, rel=2e-2)


def test_any_range_and_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    part = pixels[:48, :64].astype(np.float32)
    assert checkerboard_energy(pixels) == pytest.approx(checkerboard_energy(part))


def test_an_image_without_a_whole_block() -> None:
    with pytest.raises(ValueError, match="smaller than 8 x 8"):
        checkerboard_energy(np.zeros((7, 30, 3), np.uint8))
