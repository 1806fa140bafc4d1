"""Values of files through a model that was trained on a range of them, and back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from torch import Tensor, nn

import img2img
from img2img import Translator, translate_folder
from img2img.engine.values import ValueConversion
from img2img.errors import ImageError
from img2img.images import (
    Animation,
    Domain,
    Picture,
    read_native,
    read_picture,
    write_image,
    write_picture,
)
from img2img.networks import Generator
from img2img.networks.base import Stage
from img2img.translate.frames import FrameTranslator
from img2img.translate.options import FolderOptions
from img2img.video import Frame
from img2img.video.footage import Film
from tests.engine.conftest import translator

TWELVE = Domain(dtype="uint16", low=0, high=4095)
TEN = Domain(dtype="uint16", low=0, high=1023)
EIGHT = Domain.of_type("uint8")


class Same(Generator):
    """Gives what it is given."""

    size_multiple = 1
    min_size = 1
    local = True

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1, bias=False)
        self.layer.weight.data = torch.eye(3)[..., None, None]

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.layer(x)
        return y

    def stages(self) -> list[Stage]:
        return [Stage(self.layer)]


def same(input: Domain, output: Domain, **options: Any) -> Translator:
    bare = translator(Same())
    spec = bare.spec.model_copy(update={"input": input, "output": output})
    return Translator(Same(), spec, **{"device": "cpu", "precision": "fp32", **options})


def ramp(top: int = 4095) -> np.ndarray:
    values = np.arange(top + 1, dtype=np.uint16).reshape(-1, 64)
    return np.repeat(values[..., None], 3, axis=2)


@pytest.fixture
def said() -> list[str]:
    return []


def test_12_bits_come_back_exactly() -> None:
    result = same(TWELVE, TWELVE).translate(ramp())
    assert result.dtype == np.uint16
    assert np.array_equal(result, ramp())


@pytest.mark.parametrize("tile", [32, "off"])
def test_in_parts_too(tile: Any) -> None:
    assert np.array_equal(same(TWELVE, TWELVE, tile=tile).translate(ramp()), ramp())


def test_to_another_range() -> None:
    result = same(TWELVE, TEN).translate(ramp())
    assert np.array_equal(result, np.rint(ramp() / 4095 * 1023))


@pytest.mark.parametrize(("suffix", "exact"), [(".tif", True), (".png", True), (".jpg", False)])
def test_files(suffix: str, exact: bool, tmp_path: Path, said: list[str]) -> None:
    write_picture(tmp_path / "in.png", Picture(ramp()))
    output = tmp_path / f"out{suffix}"
    translate_folder(same(TWELVE, TWELVE), tmp_path / "in.png", output, say=said.append)
    if exact:
        assert np.array_equal(read_picture(output).pixels, ramp())
        assert not said
    else:
        with Image.open(output) as image:
            assert np.abs(np.asarray(image) - ramp() / 4095 * 255).max() < 5
        assert said == [
            "results have the value range 0..4095 (12 bits), which .jpg cannot hold, so it is"
            " scaled to 0..255 (`image_format=png` or `image_format=tif` keeps it)"
        ]


def test_gallery_and_comparison_are_not_black(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.tif", Picture(ramp()))
    out = tmp_path / "out"
    translate_folder(same(TWELVE, TWELVE), tmp_path / "in", out, gallery=True, compare=True)
    thumbnails = list((out / "gallery").glob("*.jpg"))
    assert len(thumbnails) == 2
    for thumbnail in thumbnails:
        assert read_picture(thumbnail).pixels.max() > 250
    beside = read_picture(out / "compare/a.tif").pixels
    assert beside.dtype == np.uint16
    assert beside.max() == 65535
    assert np.array_equal(beside[:, :64], beside[:, 64:])


class TestFilesOfAnotherType:
    def test_8_bits_are_all_of_them(self) -> None:
        """And have all the numbers of the targets, not 256 of them."""
        grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(4, 64, 1), 3, axis=2)
        result = same(TWELVE, TWELVE).translate(grey)
        assert result.dtype == np.uint16
        assert np.array_equal(result, np.rint(grey / 255 * 4095))

    def test_16_bits_of_a_model_of_8(self) -> None:
        result = same(EIGHT, EIGHT).translate(ramp(65535))
        assert np.array_equal(result, ramp(65535))

    def test_targets_of_8_bits(self) -> None:
        result = same(TWELVE, EIGHT).translate(ramp())
        assert result.dtype == np.uint8
        assert np.array_equal(result, np.rint(ramp() / 4095 * 255))

    def test_targets_of_all_16_bits(self) -> None:
        grey = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
        result = same(EIGHT, Domain.of_type("uint16")).translate(grey)
        assert np.array_equal(result, grey.astype(np.uint16) * 257)

    def test_tensors_are_what_they_are(self) -> None:
        x = torch.rand(3, 8, 8) * 2 - 1
        assert torch.equal(same(TWELVE, TWELVE).translate(x), x)

    def test_opacity_goes_along(self) -> None:
        alpha = np.array([[0, 128, 255]], np.uint8)
        given = Picture(np.full((1, 3, 3), 255, np.uint8), alpha)
        result = same(TWELVE, TWELVE).translate(given)
        assert result.alpha is not None
        assert result.alpha.tolist() == [[0, 128 * 257, 65535]]
        assert result.pixels.max() == 4095

    def test_an_animation(self, tmp_path: Path) -> None:
        grey = np.full((8, 8, 3), 200, np.uint8)
        animation = Animation((Picture(grey), Picture(grey // 2)), (100, 100))
        img2img.write_image(tmp_path / "in.gif", animation)
        translate_folder(same(TWELVE, TWELVE), tmp_path / "in.gif", tmp_path / "out.gif")
        made = img2img.read_image(tmp_path / "out.gif")
        assert isinstance(made, Animation)
        assert [int(frame.pixels[0, 0, 0]) for frame in made.frames] == [200, 100]


def test_8_bit_models_keep_the_type_of_a_picture() -> None:
    for pixels in (ramp(65535), np.arange(192, dtype=np.uint8).reshape(8, 8, 3)):
        result = same(EIGHT, EIGHT).translate(pixels)
        assert result.dtype == pixels.dtype
        assert np.array_equal(result, pixels)


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65535)])
def test_frames_of_videos_are_over_all_of_their_type(dtype: str, top: int) -> None:
    """Whatever files the model was trained on: 10 bits of a video are spread over 16."""
    pixels = np.linspace(0, top, 64 * 64 * 3).astype(dtype).reshape(64, 64, 3)
    frame = Frame(pixels, 0, 1, concealed=False)
    for domains in ((TWELVE, TWELVE), (TWELVE, TEN), (EIGHT, TWELVE)):
        (made,) = FrameTranslator(same(*domains), "off")(iter([frame]))
        assert made.pixels.dtype == dtype
        # No more than the targets' steps apart.
        assert np.abs(made.pixels.astype(int) - pixels).max() <= top / 1023 / 2 + 1


class TestNumberedPictures:
    """The frames of a sequence are files: they have the values of the model's."""

    @pytest.fixture
    def frames(self, tmp_path: Path) -> Path:
        for number in range(3):
            write_picture(tmp_path / f"in/{number:04d}.tif", Picture(ramp()))
        return tmp_path / "in"

    @pytest.mark.parametrize("stabilize", ["off", "light"])
    def test_as_pictures(self, frames: Path, tmp_path: Path, stabilize: Any) -> None:
        video = FolderOptions(stabilize=stabilize, every=2)
        translate_folder(same(TWELVE, TEN), frames, tmp_path / "out", video)
        for number in (0, 2):
            made = read_picture(tmp_path / f"out/{number:04d}.tif").pixels
            assert np.array_equal(made, np.rint(ramp() / 4095 * 1023))

    def test_of_8_bits_to_more(self, tmp_path: Path) -> None:
        for number in range(2):
            write_picture(tmp_path / f"in/{number}.png", Picture(ramp(255).astype(np.uint8)))
        video = FolderOptions(stabilize="light")
        translate_folder(same(EIGHT, TWELVE), tmp_path / "in", tmp_path / "out", video)
        made = read_picture(tmp_path / "out/1.png").pixels
        assert np.array_equal(made, np.rint(ramp(255) / 255 * 4095))

    def test_as_a_video(self, frames: Path, tmp_path: Path) -> None:
        video = FolderOptions(codec="ffv1", pixel_format="yuv444p16le")
        translate_folder(same(TWELVE, TWELVE), frames, tmp_path / "out.mkv", video)
        for frame in Film(tmp_path / "out.mkv").frames():
            assert np.abs(frame.pixels / 65535 - ramp() / 4095).max() < 0.002

    def test_as_an_animation(self, frames: Path, tmp_path: Path) -> None:
        translate_folder(
            same(TWELVE, TWELVE),
            frames,
            tmp_path / "out.gif",
        )
        assert np.abs(read_picture(tmp_path / "out.gif").pixels - ramp() / 4095 * 255).max() < 8

    @pytest.mark.parametrize("name", ["out", "out.gif"])
    def test_what_is_outside_is_counted_once(
        self, frames: Path, tmp_path: Path, name: str, said: list[str]
    ) -> None:
        model = same(TEN, TEN, say=said.append)
        translate_folder(model, frames, tmp_path / name, stabilize="light")
        (line,) = (line for line in said if "outside" in line)
        assert line.startswith("3 pictures have values outside 0..1023")
        assert "75 % of the pixels (9216)" in line


def test_the_identity_depends_on_the_ranges() -> None:
    assert same(TWELVE, TWELVE).identity != same(TWELVE, TEN).identity


class TestRemarks:
    def test_values_outside_once_with_a_count(self, tmp_path: Path, said: list[str]) -> None:
        for number in range(3):
            pixels = ramp().copy()
            pixels[0, :number] = 5000
            write_picture(tmp_path / f"in/{number}.png", Picture(pixels))
        out = tmp_path / "out"
        translate_folder(same(TWELVE, TWELVE, say=said.append), tmp_path / "in", out)
        assert said == [
            "2 pictures have values outside 0..4095, the range that the model was trained on;"
            " 0.024 % of the pixels (3) were clipped to it"
        ]
        assert read_picture(out / "2.png").pixels[0, 0].tolist() == [4095] * 3

    def test_dark_files_to_a_model_of_all_values(self, said: list[str]) -> None:
        same(EIGHT, EIGHT, say=said.append).translate(ramp())
        assert len(said) == 1
        assert said[0].startswith("a picture has only 16-bit values below 16384")

    def test_not_of_each_image_again(self, said: list[str]) -> None:
        one = same(EIGHT, EIGHT, say=said.append)
        for _ in range(3):
            one.translate(ramp())
        assert len(said) == 1

    def test_nothing_where_nothing_is_amiss(self, said: list[str]) -> None:
        one = same(TWELVE, TWELVE, say=said.append)
        one.translate_batch([ramp(), ramp(255).astype(np.uint8)])
        same(EIGHT, EIGHT, say=said.append).translate(ramp(65535))
        assert not said


def test_arrays_of_the_models_own_type() -> None:
    kelvin = Domain(dtype="float32", low=200, high=400)
    given = np.random.default_rng(0).uniform(200, 400, (8, 9, 3))
    for dtype in ("float32", "float64"):
        made = np.asarray(same(kelvin, kelvin).translate(given.astype(dtype)))
        assert made.dtype == np.float32
        np.testing.assert_allclose(made, given, rtol=0, atol=200e-6)
    hounsfield = Domain(dtype="int16", low=-1024, high=3071)
    units = np.random.default_rng(0).integers(-1024, 3072, (8, 9, 3), np.int16)
    assert np.array_equal(same(hounsfield, hounsfield).translate(units), units)
    with pytest.raises(ImageError, match="of float32: give a Picture"):
        same(hounsfield, hounsfield).translate(given.astype(np.float32))


class TestGaps:
    """Integers without data have a value of their own, which TIFF and DICOM files name."""

    DOMAIN = Domain(dtype="int16", channels=("grey",), low=-1000, high=1000)

    def picture(self, lowest: int) -> Picture:
        pixels = np.random.default_rng(0).integers(-900, 900, (16, 16, 1), np.int16)
        pixels[0, 0] = lowest
        valid = np.ones((16, 16), bool)
        valid[4:8, 4:8] = False
        return Picture(pixels, valid=valid)

    def result(self, domain: Domain, picture: Picture) -> Picture:
        """What a network that changes nothing makes of the picture."""
        low, high = domain.ends
        levels = (picture.pixels.astype(np.float64) - low) / (high - low) * 2 - 1
        return ValueConversion(domain, domain).restored(picture, levels.astype(np.float32))

    @pytest.mark.parametrize("suffix", [".tif", ".dcm"])
    def test_are_named(self, suffix: str, tmp_path: Path) -> None:
        given = self.picture(0)
        made = self.result(self.DOMAIN, given)
        write_image(tmp_path / f"x{suffix}", made)
        back = read_native(tmp_path / f"x{suffix}")
        assert isinstance(back, Picture)
        assert back.valid is not None
        assert given.valid is not None
        assert np.array_equal(back.valid, given.valid)
        assert np.array_equal(back.pixels[back.valid], given.pixels[given.valid])
        if suffix == ".tif":
            with rasterio.open(tmp_path / "x.tif") as file:
                assert file.nodata == -32768

    def test_of_a_result_that_has_the_lowest_value(self) -> None:
        whole = Domain(dtype="int16", channels=("grey",))
        made = self.result(whole, self.picture(-32768))
        assert made.header is not None
        assert made.header.nodata == 32767

    def test_have_the_value_that_targets_have(self, tmp_path: Path) -> None:
        output = Domain(dtype="float32", channels=("grey",), low=0, high=1, nodata=-9999)
        pixels = np.full((4, 4, 1), 0.5, np.float32)
        valid = np.eye(4, dtype=bool)
        made = ValueConversion(output, output).file_values(
            Picture(pixels, valid=valid, normalized=True), np.float32
        )
        write_image(tmp_path / "x.tif", made)
        with rasterio.open(tmp_path / "x.tif") as file:
            assert file.nodata == -9999
            assert np.array_equal(file.read(1) == -9999, ~valid)
