"""Which range of values is found in the files of a domain."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from img2img.config import DataConfig, check, load_config
from img2img.data.check import check_data
from img2img.data.domains import resolve_domains
from img2img.data.paired import PairedData
from img2img.data.unpaired import UnpairedData
from img2img.errors import ConfigError
from img2img.images import Picture, write_picture
from tests.conftest import Command

MakeSet = Callable[..., Path]


@pytest.fixture
def deep_pairs(tmp_path: Path) -> MakeSet:
    """`A/` + `B/` of a few 32 x 32 ramps in 16 bits, from one value to another on each side."""

    def make(A: tuple[int, int], B: tuple[int, int] = (0, 4095), count: int = 4) -> Path:
        for side, (low, high) in (("A", A), ("B", B)):
            grey = np.linspace(low, high, 32 * 32).round().astype(np.uint16).reshape(32, 32, 1)
            for number in range(count):
                path = tmp_path / f"deep/{side}/{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_picture(path, Picture(np.repeat(np.roll(grey, number, 0), 3, axis=2)))
        return tmp_path / "deep"

    return make


Ends = tuple[int | float, int | float]


def config(root: Path, layout: str = "auto", **ranges: Any) -> DataConfig:
    tree = load_config("pix2pix").model_dump()
    tree["data"] |= {"root": root, "layout": layout}
    tree["data"] |= {side: {"range": each} for side, each in ranges.items()}
    return check(tree).data


def found(root: Path, **ranges: Any) -> tuple[Ends, Ends]:
    data = config(root, **ranges)
    domains = resolve_domains(data, check_data(PairedData, data, 0).survey.values)
    return domains["A"].ends, domains["B"].ends


@pytest.mark.parametrize(
    ("used", "scaled"),
    [
        ((0, 4095), (0, 4095)),
        ((7, 4000), (0, 4095)),
        ((800, 3300), (0, 4095)),
        ((0, 65535), (0, 65535)),
        ((0, 40000), (0, 65535)),
        ((0, 1023), (0, 1023)),
        ((0, 16383), (0, 16383)),
        ((0, 200), (0, 255)),
        # Far from 0, a depth would be used only a little: what they span, and 5 % around.
        ((30000, 36000), (29699, 36301)),
        ((65000, 65535), (64972, 65535)),
        ((0, 0), (0, 255)),
        ((5000, 5000), (0, 16383)),
    ],
)
def test_auto(used: tuple[int, int], scaled: tuple[int, int], deep_pairs: MakeSet) -> None:
    assert found(deep_pairs(used)) == (scaled, (0, 4095))


@pytest.mark.parametrize(
    ("wanted", "scaled"),
    [
        ("dtype", (0, 65535)),
        ([100, 3000], (100, 3000)),
        ({"percentiles": [0, 100]}, (0, 4095)),
        ({"percentiles": [10, 90]}, (408, 3687)),
    ],
)
def test_what_the_configuration_says(
    wanted: object, scaled: tuple[int, int], deep_pairs: MakeSet
) -> None:
    assert found(deep_pairs((0, 4095)), A=wanted) == (scaled, (0, 4095))


def test_8_bits_are_all_of_them(tiny_pairs: Path) -> None:
    assert found(tiny_pairs) == ((0, 255), (0, 255))
    assert found(tiny_pairs, A=[16, 235]) == ((16, 235), (0, 255))


def test_more_than_8_bits_hold(tiny_pairs: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"data\.A\.range: 4095 is outside the range of uint8 files"
    ):
        found(tiny_pairs, A=[0, 4095])


@pytest.mark.parametrize(
    "wrong",
    ["atuo", [5, 3], [0, 1e999], [1], ["a", "b"], {"percentiles": [99, 1]}, {"x": [1, 2]}],
)
def test_no_range(wrong: object, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^data\.A\.range: a range is auto, dtype, \[low, high\]"
    ):
        config(tmp_path, A=wrong)


def test_held_out_images_do_not_set_the_range(deep_pairs: MakeSet) -> None:
    root = deep_pairs((0, 4095))
    (root / "train").mkdir()
    for side in "AB":
        (root / side).rename(root / "train" / side)
        (root / "val" / side).mkdir(parents=True)
        pixels = np.full((32, 32, 3), 2000, np.uint16)
        pixels[0, 0] = 5000
        write_picture(root / "val" / side / "0.png", Picture(pixels))
    assert found(root) == ((0, 4095), (0, 4095))


def test_both_halves_of_one_file(tmp_path: Path) -> None:
    for number in range(3):
        halves = [np.linspace(0, top, 32 * 16).reshape(32, 16, 1) for top in (4095, 1000)]
        pixels = np.hstack(halves).round().astype(np.uint16).repeat(3, axis=2)
        write_picture(tmp_path / f"pairs/{number}.png", Picture(pixels))
    assert found(tmp_path / "pairs", layout="side_by_side") == ((0, 4095), (0, 1023))


def test_two_domains_without_pairs(deep_pairs: MakeSet) -> None:
    data = config(deep_pairs((0, 1000), (0, 65535)))
    domains = resolve_domains(data, check_data(UnpairedData, data, 0).survey.values)
    assert {side: domain.range for side, domain in domains.items()} == {
        "A": "0..1023 (10 bits)",
        "B": "0..65535 (16 bits)",
    }


class TestToldByDataCheck:
    def test_the_range(self, img2img: Command, deep_pairs: MakeSet) -> None:
        told = img2img("data", "check", "--data", deep_pairs((9, 4000)))
        assert (
            "values    A: uint16 values 9..4000, scaled by 0..4095 (12 bits); "
            "B: uint16 values 0..4095, scaled by 0..4095 (12 bits)"
        ) in told.out
        assert "outside" not in told.out

    def test_8_bits(self, img2img: Command, tiny_pairs: Path) -> None:
        told = img2img("data", "check", "--data", tiny_pairs).out
        assert "values    A and B: uint8\n" in told
        assert "note" not in told

    def test_little_of_it(self, img2img: Command, deep_pairs: MakeSet) -> None:
        command = ("data", "check", "--data", deep_pairs((0, 4095)))
        told = img2img(*command, "--set", "data.A.range=dtype").out
        assert (
            "A uses little of its range: nearly all values are 4..4091, scaled by 0..65535" in told
        )
        assert "--set data.A.range=auto uses the full range" in told
        assert "B uses little" not in told

    def test_an_outlier(self, img2img: Command, deep_pairs: MakeSet) -> None:
        root = deep_pairs((0, 4095))
        pixels = np.full((32, 32, 3), 900, np.uint16)
        pixels[3, 3] = 60000  # a hot pixel
        write_picture(root / "A" / "0.png", Picture(pixels))
        told = img2img("data", "check", "--data", root).out
        assert "--set 'data.A.range={percentiles: [0.1, 99.9]}' uses the full range" in told

    def test_what_is_clipped(self, img2img: Command, deep_pairs: MakeSet) -> None:
        command = ("data", "check", "--data", deep_pairs((0, 4095)))
        told = img2img(*command, "--set", "data.A.range=[0,2047]").out
        assert "A: 50 % of the values to train on are outside 0..2047" in told
        assert "A: 50 % of the values held out are outside 0..2047" in told

    def test_two_depths_in_one_set(self, img2img: Command, deep_pairs: MakeSet) -> None:
        root = deep_pairs((0, 4095))
        write_picture(root / "A" / "0.png", Picture(np.full((32, 32, 3), 90, np.uint8)))
        told = img2img("data", "check", "--data", root).out
        assert (
            "A has 8-bit files (1), scaled by 0..255, and 16-bit files (3), scaled by 0..4095"
            in told
        )


def test_dark_images_are_seen_in_a_preview(
    img2img: Command, deep_pairs: MakeSet, tmp_path: Path
) -> None:
    from PIL import Image

    output = tmp_path / "preview.png"
    outcome = img2img("data", "preview", "--data", deep_pairs((0, 1000)), "--output", output)
    assert outcome.status == 0, outcome.err
    with Image.open(output) as sheet:
        seen = np.asarray(sheet)[30:60, 6:36]  # within the first picture
    assert seen.max() > 100
