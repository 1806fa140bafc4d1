"""What the numbers in files mean: 12 bits in 16, and other ranges than a type's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from img2img.images import (
    Domain,
    Picture,
    count_outside,
    read_picture,
    to_tensor,
    write_image,
)

TWELVE = Domain(dtype="uint16", low=0, high=4095)


def ramp(low: int, high: int) -> np.ndarray:
    """Every value from one to another, grey, in one row of RGB."""
    values = np.arange(low, high + 1, dtype=np.uint16)
    return np.repeat(values[None, :, None], 3, axis=2)


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (800, 3300), (0, 1023), (30000, 36000)])
def test_every_value_comes_back(low: int, high: int) -> None:
    domain = Domain(dtype="uint16", low=low, high=high)
    spread = domain.seen(Picture(ramp(low, high))).levels
    assert (spread.min(), spread.max()) == (0, 65535)
    assert np.array_equal(domain.written(spread), ramp(low, high))


def test_black_and_white_are_minus_one_and_one() -> None:
    x = to_tensor(TWELVE.seen(Picture(ramp(0, 4095))).composited())
    wanted = np.arange(4096) / 4095 * 2 - 1
    assert x[0, 0].numpy() == pytest.approx(wanted, abs=2 / 65535)
    assert (x.min().item(), x.max().item()) == (-1, 1)


def test_eight_bits_with_a_range() -> None:
    domain = Domain(dtype="uint8", low=16, high=235)
    pixels = ramp(16, 235).astype(np.uint8)
    assert np.array_equal(domain.written(domain.seen(Picture(pixels)).levels), pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_all_of_a_type_is_as_it_is(dtype: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(dtype)
    domain = Domain.of_type("uint8" if dtype == "uint8" else "uint16")
    assert domain.whole
    assert domain.seen(Picture(pixels)).composited() is pixels


def test_other_types_are_left_alone() -> None:
    picture = Picture(np.full((2, 2, 3), 200, np.uint8))
    assert TWELVE.seen(picture) is picture


def test_what_is_outside_is_clipped_and_counted() -> None:
    pixels = ramp(0, 4095).copy()
    pixels[0, 7] = (5000, 10, 6000)
    pixels[0, 9, 1] = 4096
    picture = TWELVE.seen(Picture(pixels))
    assert count_outside(picture) == 2
    assert count_outside(Picture(pixels)) == 0
    assert picture.levels[0, 7].tolist() == [65535, 160, 65535]


def test_seen_on_white() -> None:
    alpha = np.array([[65535, 0]], np.uint16)
    picture = Picture(np.full((1, 2, 3), 4095, np.uint16) // 2, alpha, values=(0, 4095))
    assert picture.composited()[0, :, 0].tolist() == [32759, 65535]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_files_of_16_bits_keep_the_numbers(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"ramp{suffix}"
    write_image(path, Picture(ramp(0, 4095), values=(0, 4095)))
    assert np.array_equal(read_picture(path).pixels, ramp(0, 4095))


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".webp", ".gif"])
def test_files_of_8_bits_show_the_range(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"ramp{suffix}"
    pixels = np.repeat(ramp(0, 4095)[:, ::16], 16, axis=0)
    write_image(path, Picture(pixels, values=(0, 4095)), 100)
    with Image.open(path) as image:
        seen = np.asarray(image.convert("L")).astype(int)
    assert np.abs(seen - np.round(pixels[..., 0] / 4095 * 255)).max() <= 2


def test_each_channel_has_a_range_of_its_own() -> None:
    domain = Domain(dtype="uint16", channels=("DAPI", "GFP"), low=(100, 0), high=(1100, 4095))
    assert str(domain) == "uint16 DAPI 100..1100, GFP 0..4095"
    assert (domain.ends, domain.bits, domain.whole, domain.is_rgb) == (
        (0, 4095),
        None,
        False,
        False,
    )
    pixels = np.array([[[100, 0], [1100, 4095], [600, 2048]]], np.uint16)
    picture = domain.seen(Picture(pixels))
    assert picture.levels[0, :2].tolist() == [[0, 0], [65535, 65535]]
    assert picture.levels[0, 2].tolist() == [32768, 32776]
    assert np.array_equal(domain.written(picture.levels), pixels)
    assert count_outside(replace(picture, pixels=pixels - np.array([1, 0], np.uint16))) == 1
    assert Domain.model_validate_json(domain.model_dump_json()) == domain


def test_names_of_channels() -> None:
    assert Domain(dtype="uint8").is_rgb
    assert Domain.of_type("uint8", 1).channels == ("grey",)
    assert Domain.of_type("uint16", 5).channels == ("1", "2", "3", "4", "5")
    assert not Domain(dtype="uint8", kind="labels").is_rgb


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": ()},
        {"channels": ("a", "a")},
        {"channels": tuple(map(str, range(65)))},
        {"channels": ("",)},
        {"low": (0, 0)},
        {"high": (255, 255, 256)},
        {"nodata": 256},
        {"kind": "video"},
        {"dtype": "float128"},
    ],
)
def test_domains_that_there_are_not(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Domain.model_validate({"dtype": "uint8"} | wrong)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 256), ("uint16", 5, 5), ("uint16", -1, 9)]
)
def test_ranges_that_a_type_has_not(dtype: str, low: int, high: int) -> None:
    with pytest.raises(ValidationError):
        Domain.model_validate({"dtype": dtype, "low": low, "high": high})


def test_channels_in_another_order_are_put_right_by_name() -> None:
    domain = Domain.of_type("uint16", ("B2", "B3", "B4"))
    pixels = np.arange(12, dtype=np.uint16).reshape(2, 2, 3)
    seen = domain.seen(Picture(pixels, channels=("B4", "B2", "B3")))
    assert np.array_equal(seen.pixels, pixels[..., [1, 2, 0]])
    assert seen.channels == ("B2", "B3", "B4")
