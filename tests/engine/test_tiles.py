"""Overlapping tiles."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from img2img.engine.tiles import translate_in_tiles
from img2img.errors import ConfigError


def noise(height: int, width: int, dtype: Any = np.uint8) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, 3), dtype=dtype)


@pytest.mark.parametrize("size", [(64, 64), (40, 72), (16, 96), (33, 17), (1, 1)])
@pytest.mark.parametrize(("tile", "overlap"), [(16, 0), (16, 4), (32, 16), (32, 31), (128, 8)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_weights_sum_to_one(size: tuple[int, int], tile: int, overlap: int, dtype: Any) -> None:
    pixels = noise(*size, dtype)
    got = translate_in_tiles(lambda x: x, pixels, tile=tile, overlap=overlap)
    assert got.dtype == dtype
    assert np.array_equal(got, pixels)


def test_tiles_have_one_shape_and_aligned_places() -> None:
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[..., 0] = np.arange(64)[:, None]
    pixels[..., 1] = np.arange(96)
    places = []

    def run(x: Tensor) -> Tensor:
        assert x.shape == (1, 3, 32, 32)
        places.append(tuple((x[0, :2, 0, 0] + 1).mul(127.5).round().int().tolist()))
        return x

    told: list[tuple[int, int]] = []
    translate_in_tiles(
        run, pixels, tile=32, overlap=8, progress=lambda done, tiles: told.append((done, tiles))
    )
    assert places == [(top, left) for top in (0, 24, 32) for left in (0, 24, 48, 64)]
    assert told == [(number, 12) for number in range(1, 13)]


def test_seams_are_blended_smoothly() -> None:
    """Tiles that are black and white in turn: grey between them, and no step."""
    calls = 0

    def run(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return torch.full_like(x, 1 if calls % 2 else -1)

    got = translate_in_tiles(run, np.zeros((32, 48, 3), np.uint8), tile=32, overlap=16)
    row = got[0, :, 0].astype(int)
    assert (row[:16] == 255).all()
    assert (row[32:] == 0).all()
    assert (np.diff(row) <= 0).all()
    assert np.abs(np.diff(row)).max() < 30
    assert abs(int(row[23]) + int(row[24]) - 255) <= 1


def test_local_networks_are_exact_inside_the_overlap() -> None:
    """Where a pixel sees less far than half of the overlap, only the ramps' ends differ."""
    torch.manual_seed(0)
    blur = nn.Conv2d(3, 3, 3, padding=1, bias=False).requires_grad_(False)
    blur.weight.fill_(1 / 27)
    pixels = noise(48, 80)
    whole = translate_in_tiles(blur, pixels, tile=80, overlap=0)
    parts = translate_in_tiles(blur, pixels, tile=32, overlap=16)
    assert np.abs(whole.astype(int) - parts.astype(int)).max() <= 2


@pytest.mark.parametrize(("tile", "overlap"), [(16, 16), (16, -1), (0, 0)])
def test_tiles_that_make_no_sense(tile: int, overlap: int) -> None:
    with pytest.raises(ConfigError, match="overlap"):
        translate_in_tiles(lambda x: x, noise(8, 8), tile=tile, overlap=overlap)
