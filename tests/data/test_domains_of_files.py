"""The domain that is found in a folder of files of any type and of any channels."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from img2img.config import DataConfig, check, load_config
from img2img.data.check import check_data
from img2img.data.domains import as_config, channels_of, resolve_domains
from img2img.data.paired import PairedData
from img2img.errors import ConfigError, DataError
from img2img.images import Domain, Picture, Pixels, write_image
from tests.conftest import Command


def config(root: Path, **A: Any) -> DataConfig:
    tree = load_config("pix2pix").model_dump()
    tree["data"] |= {"root": root, "A": A}
    return check(tree).data


def domain(root: Path, **A: Any) -> Domain:
    """Of the inputs, with a section `data.A` of the configuration."""
    data = config(root, **A)
    return resolve_domains(data, check_data(PairedData, data, 0).survey.values)["A"]


def folder(root: Path, *images: Pixels, names: tuple[str, ...] | None = None) -> Path:
    """`A/` with images, by name 0, 1 and so on, and `B/` with a small grey one for each."""
    for number, pixels in enumerate(images):
        for side in "AB":
            (root / side).mkdir(parents=True, exist_ok=True)
        if names:
            write_image(root / f"A/{number}.tif", Picture(pixels, channels=names))
        else:
            tifffile.imwrite(
                root / f"A/{number}.tif",
                pixels,
                photometric="minisblack",
                planarconfig="contig" if pixels.ndim == 3 else None,
                metadata=None,
            )
        Image.fromarray(np.full(pixels.shape[:2], number, np.uint8)).save(root / f"B/{number}.png")
    return root


def ramp(low: float, high: float, dtype: str) -> Pixels:
    """32 x 32 values from one to another, both included."""
    return np.linspace(low, high, 1024).astype(dtype).reshape(32, 32)


@pytest.mark.parametrize(
    ("dtype", "used", "scaled"),
    [
        # What is used, and 5 % of it and one value more on both sides.
        ("int16", (-100, 900), (-151, 951)),
        ("uint32", (1000, 3000), (899, 3101)),
        ("int32", (-2000, 2000), (-2201, 2201)),
        # Never beyond the type.
        ("int16", (-32768, 32767), (-32768, 32767)),
        ("uint32", (0, 100), (0, 106)),
        # Of floats, 5 % alone.
        ("float16", (10, 20), (9.5, 20.5)),
        ("float32", (-1, 1), (-1.1, 1.1)),
        ("float64", (280, 300), (279, 301)),
        # All of 8 bits.
        ("int8", (-3, 5), (-128, 127)),
        # A single value, with room for another.
        ("float32", (5, 5), (5, 6)),
        ("int16", (7, 7), (6, 8)),
        ("int32", (2**31 - 1, 2**31 - 1), (2**31 - 2, 2**31 - 1)),
    ],
)
def test_auto(
    tmp_path: Path, dtype: str, used: tuple[float, float], scaled: tuple[float, float]
) -> None:
    found = domain(folder(tmp_path, ramp(*used, dtype), ramp(*used, dtype)))
    assert (found.dtype, found.channels) == (dtype, ("grey",))
    assert (found.low, found.high) == ((scaled[0],), (scaled[1],))


def test_a_few_outliers_do_not_count(tmp_path: Path) -> None:
    spoilt = ramp(10, 20, "float32")
    spoilt[0, 0] = 1e6
    found = domain(folder(tmp_path, spoilt, ramp(10, 20, "float32")))
    assert found.ends == pytest.approx((9.5, 20.5), abs=0.1)


def test_pixels_without_data_do_not_count(tmp_path: Path) -> None:
    holes = np.full((33, 32), np.nan, np.float32)
    holes[1:] = ramp(10, 20, "float32")
    assert domain(folder(tmp_path / "nan", holes)).ends == (9.5, 20.5)
    filled = np.full((33, 32), -9999, np.int16)
    filled[1:] = ramp(-100, 900, "int16")
    found = domain(folder(tmp_path / "value", filled), nodata=-9999)
    assert found.nodata == -9999
    assert found.ends == pytest.approx((-151, 951), abs=1)


def test_what_is_said_of_a_set_leaves_them_out(img2img: Command, tmp_path: Path) -> None:
    filled = ramp(10, 20, "float32")
    filled[:20] = -9999
    arguments = ("data", "check", "--data", folder(tmp_path, *[filled] * 4))
    told = img2img(*arguments, "--set", "data.A.nodata=-9999").out
    assert re.search(r"A: 1 channel, float32 values 16\.\d*\.\.20, scaled by 16", told)
    assert "outside" not in told
    assert "A uses little" not in told


class TestEachChannel:
    @pytest.fixture
    def bands(self, tmp_path: Path) -> Path:
        """Two channels: 0 to 100, and 1000 to 3000."""
        image = np.dstack([ramp(0, 100, "int16"), ramp(1000, 3000, "int16")])
        return folder(tmp_path, image, image)

    @pytest.mark.parametrize(
        ("section", "low", "high"),
        [
            ({}, (-151, -151), (3151, 3151)),
            ({"per_channel": True}, (-6, 899), (106, 3101)),
            ({"per_channel": True, "range": {"percentiles": [0, 100]}}, (0, 1000), (100, 3000)),
            ({"per_channel": True, "range": "dtype"}, (-32768,) * 2, (32767,) * 2),
            ({"range": [-5, 4000]}, (-5, -5), (4000, 4000)),
            ({"range": [[0, 50], [1500, 2500]]}, (0, 1500), (50, 2500)),
            ({"range": {"percentiles": [0, 100]}}, (0, 0), (3000, 3000)),
        ],
    )
    def test_ranges(
        self, bands: Path, section: dict[str, Any], low: tuple[int, ...], high: tuple[int, ...]
    ) -> None:
        found = domain(bands, **section)
        assert (found.low, found.high) == (low, high)
        # What a run keeps of it finds the same again.
        again = as_config(found).model_dump(exclude_defaults=True)
        assert domain(bands, **again) == found

    def test_another_number_of_ranges(self, bands: Path) -> None:
        with pytest.raises(ConfigError, match=r"data\.A\.range: 3 ranges, but 2 channels"):
            domain(bands, range=[[0, 1], [0, 1], [0, 1]])

    def test_nothing_within_the_range(self, bands: Path) -> None:
        message = r"data\.A\.range: no value is within 5000\.\.6000: the files have 0\.\.3000"
        with pytest.raises(ConfigError, match=message):
            domain(bands, range=[5000, 6000])


class TestChannels:
    NAMES = ("B02", "B03", "B04")

    @pytest.fixture
    def named(self, tmp_path: Path) -> Path:
        image = np.dstack([ramp(0, top, "int16") for top in (100, 200, 400)])
        return folder(tmp_path, image, image, names=self.NAMES)

    def test_their_names_are_those_of_the_files(self, named: Path) -> None:
        assert domain(named).channels == self.NAMES
        assert domain(named, channels=3).channels == self.NAMES

    def test_some_of_them_in_any_order(self, named: Path) -> None:
        found = domain(named, channels=["B04", "B02"], per_channel=True)
        assert found.channels == ("B04", "B02")
        assert found.high == (421, 106)
        picture = found.seen(Picture(np.array([[[1, 2, 3]]], np.int16), channels=self.NAMES))
        assert picture.pixels.tolist() == [[[3, 1]]]

    def test_other_names_for_all_of_them(self, named: Path) -> None:
        assert domain(named, channels=["x", "y", "z"]).channels == ("x", "y", "z")

    @pytest.mark.parametrize(
        ("wanted", "reason"),
        [
            (2, r"2, but the files have 3 channels \(B02, B03, B04\)"),
            (5, r"5, but the files have 3 channels"),
            (["B02", "B08"], r"B02, B08, but the files have 3 channels"),
        ],
    )
    def test_that_there_are_not(self, named: Path, wanted: object, reason: str) -> None:
        with pytest.raises(ConfigError, match=rf"data\.A\.channels: {reason}"):
            domain(named, channels=wanted)

    def test_without_names_they_are_numbered(self, tmp_path: Path) -> None:
        found = domain(folder(tmp_path, np.zeros((32, 32, 5), np.uint16)))
        assert found.channels == ("1", "2", "3", "4", "5")

    def test_grey_among_colour_is_read_as_colour(self, tmp_path: Path) -> None:
        colour = np.zeros((32, 32, 3), np.uint8)
        colour[..., 0] = ramp(0, 255, "uint8")
        root = folder(tmp_path, ramp(0, 255, "uint8"), colour)
        assert domain(root).is_rgb
        assert domain(root, channels=3).is_rgb
        with pytest.raises(ConfigError, match="1, but the files have 3 channels"):
            domain(root, channels=1)

    def test_colour_that_is_grey_can_be_one_channel(self, tmp_path: Path) -> None:
        grey = ramp(0, 255, "uint8")
        root = folder(tmp_path, np.dstack([grey] * 3), np.dstack([grey] * 3))
        assert domain(root).is_rgb
        assert domain(root, channels=1).channels == ("grey",)

    def test_alpha_is_a_channel_if_asked_for(self, tmp_path: Path) -> None:
        pixels = np.dstack([ramp(0, 1000, "uint16")] * 3)
        root = folder(tmp_path, pixels)
        opacity = np.full((32, 32), 65535, np.uint16)
        write_image(root / "A/0.tif", Picture(pixels, opacity))
        assert domain(root).channels == ("R", "G", "B")
        found = domain(root, channels=4)
        assert found.channels == ("R", "G", "B", "alpha")
        assert found.high == (1023, 1023, 1023, 65535)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (
            np.zeros((32, 32), np.int16),
            np.zeros((32, 32), np.float32),
            r"data\.A: .*1\.tif holds float32, but .*0\.tif int16; all images",
        ),
        (
            np.zeros((32, 32, 2), np.uint16),
            np.zeros((32, 32, 5), np.uint16),
            r"data\.A\.channels: .*0\.tif has 2, but .*1\.tif has 5; all images",
        ),
    ],
)
def test_files_that_are_no_one_domain(
    tmp_path: Path, one: Pixels, other: Pixels, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        domain(folder(tmp_path, one, other))


def test_how_many_channels_images_have() -> None:
    domains = {
        "A": Domain.of_type("uint8", 1),
        "B": Domain.of_type("uint16", 5),
        "C": Domain(dtype="uint8", kind="labels", channels=("sky", "road")),
    }
    assert channels_of(domains) == {1, 5}


def test_bands_in_another_order_are_counted_by_name(tmp_path: Path) -> None:
    """Ranges are of the channels, wherever they are in a file."""
    for number, order in enumerate(([0, 1, 2], [2, 0, 1], [0, 1, 2], [1, 2, 0])):
        bands = np.stack([np.full((8, 8), 100 * n + number, np.float32) for n in (1, 2, 3)], -1)
        names = tuple(("B2", "B3", "B4")[n] for n in order)
        for side in "AB":
            path = tmp_path / side / f"{number}.tif"
            write_image(path, Picture(bands[..., order], channels=names))
    found = domain(tmp_path, channels=["B4", "B2", "B3"], per_channel=True)
    assert found.channels == ("B4", "B2", "B3")
    assert [round(low / 100) for low in found.low] == [3, 1, 2]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_of_64_bits(dtype: str, tmp_path: Path) -> None:
    root = folder(tmp_path, np.zeros((8, 8), np.int16))
    (root / "A/0.tif").unlink()
    np.save(root / "A/0.npy", np.zeros((8, 8), dtype))
    (problem,) = check_data(PairedData, config(root), 0).problems
    assert problem.message.endswith(
        f"0.npy: values of {dtype} are not supported: save them as int32 or float64"
    )
