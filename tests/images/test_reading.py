"""Image files of every usual kind, read right."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from img2img.errors import ImageError
from img2img.images import (
    Picture,
    eight_bit,
    read_picture,
    write_picture,
)
from img2img.images.codecs import facts
from tests.images.pixels import ALPHA, ALPHA16, RGB, RGB16, SRGB, bgr, exif_block


class TestRead:
    @pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm"])
    def test_rgb(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"x{suffix}"
        Image.fromarray(RGB).save(path)
        picture = read_picture(path)
        np.testing.assert_array_equal(picture.pixels, RGB)
        assert picture.alpha is None
        assert picture.size == (5, 7)

    @pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
    def test_grey_becomes_rgb(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"x{suffix}"
        Image.fromarray(ALPHA).save(path)
        np.testing.assert_array_equal(read_picture(path).pixels, np.dstack([ALPHA] * 3))

    def test_one_bit(self, tmp_path: Path) -> None:
        Image.fromarray(ALPHA > 99).save(tmp_path / "x.png")
        pixels = read_picture(tmp_path / "x.png").pixels
        np.testing.assert_array_equal(pixels[..., 1], np.where(ALPHA > 99, 255, 0))

    def test_palette(self, tmp_path: Path) -> None:
        image = Image.fromarray(RGB).quantize(35)
        image.save(tmp_path / "x.png")
        np.testing.assert_array_equal(
            read_picture(tmp_path / "x.png").pixels, np.asarray(image.convert("RGB"))
        )

    def test_palette_with_transparency(self, tmp_path: Path) -> None:
        image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
        image.putpalette([10, 20, 30, 40, 50, 60])
        image.save(tmp_path / "x.png", transparency=1)
        picture = read_picture(tmp_path / "x.png")
        assert picture.pixels.tolist() == [[[10, 20, 30], [40, 50, 60]]]
        assert picture.alpha is not None
        assert picture.alpha.tolist() == [[255, 0]]
        assert picture.composited().tolist() == [[[10, 20, 30], [255, 255, 255]]]

    def test_transparent_colour_key(self, tmp_path: Path) -> None:
        key = tuple(int(value) for value in RGB[2, 3])
        Image.fromarray(RGB).save(tmp_path / "x.png", transparency=key)
        alpha = read_picture(tmp_path / "x.png").alpha
        assert alpha is not None
        assert alpha[2, 3] == 0
        assert alpha[0, 0] == 255

    def test_rgba_and_grey_with_alpha(self, tmp_path: Path) -> None:
        Image.fromarray(np.dstack([RGB, ALPHA])).save(tmp_path / "rgba.png")
        Image.fromarray(np.dstack([RGB[..., 0], ALPHA]), "LA").save(tmp_path / "la.png")
        rgba, la = read_picture(tmp_path / "rgba.png"), read_picture(tmp_path / "la.png")
        np.testing.assert_array_equal(rgba.pixels, RGB)
        np.testing.assert_array_equal(la.pixels, np.dstack([RGB[..., 0]] * 3))
        for picture in (rgba, la):
            assert picture.alpha is not None
            np.testing.assert_array_equal(picture.alpha, ALPHA)

    def test_cmyk_jpeg(self, tmp_path: Path) -> None:
        Image.new("RGB", (16, 16), (200, 30, 60)).convert("CMYK").save(
            tmp_path / "x.jpg", quality=100
        )
        pixel = read_picture(tmp_path / "x.jpg").pixels[8, 8].astype(int)
        assert np.abs(pixel - [200, 30, 60]).max() < 6

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize("kind", ["grey", "rgb", "rgba"])
    def test_sixteen_bits_are_kept(self, tmp_path: Path, suffix: str, kind: str) -> None:
        path = tmp_path / f"x{suffix}"
        grey = RGB16[..., 0]
        array = {"grey": grey, "rgb": bgr(RGB16), "rgba": bgr(RGB16, ALPHA16)}[kind]
        assert cv2.imwrite(str(path), array)
        picture = read_picture(path)
        wanted = np.dstack([grey] * 3) if kind == "grey" else RGB16
        np.testing.assert_array_equal(picture.pixels, wanted)
        assert (picture.alpha is None) == (kind != "rgba")
        if picture.alpha is not None:
            np.testing.assert_array_equal(picture.alpha, ALPHA16)

    def test_pillows_own_16_bit_grey(self, tmp_path: Path) -> None:
        for suffix in (".png", ".tif", ".pgm"):
            Image.fromarray(RGB16[..., 0]).save(tmp_path / f"x{suffix}")
            pixels = read_picture(tmp_path / f"x{suffix}").pixels
            np.testing.assert_array_equal(pixels[..., 2], RGB16[..., 0])

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize(
        ("suffix", "depth"), [(".png", 8), (".tif", 8), (".png", 16), (".jpg", 8)]
    )
    def test_orientation(self, tmp_path: Path, orientation: int, suffix: str, depth: int) -> None:
        # Large flat quarters survive JPEG.
        stored = np.kron(np.array([[10, 80], [150, 220]], np.uint8), np.ones((16, 24), np.uint8))
        stored = np.dstack([stored] * 3)
        upright = {
            1: stored,
            2: stored[:, ::-1],
            3: stored[::-1, ::-1],
            4: stored[::-1],
            5: stored.transpose(1, 0, 2),
            6: np.rot90(stored, -1),
            7: stored[::-1, ::-1].transpose(1, 0, 2),
            8: np.rot90(stored),
        }[orientation]
        path = tmp_path / f"x{suffix}"
        if depth == 16:
            wide = stored.astype(np.uint16) * 257
            write_picture(path, Picture(wide, exif=exif_block(orientation)))
        else:
            Image.fromarray(stored).save(path, exif=exif_block(orientation))
        picture = read_picture(path)
        assert picture.size == upright.shape[:2]
        difference = eight_bit(picture.pixels).astype(int) - upright
        assert np.abs(difference).max() <= (3 if suffix == ".jpg" else 0)
        if picture.exif is not None:
            kept = Image.Exif()
            kept.load(picture.exif)
            assert kept.get(0x0112, 1) == 1
            assert kept[0x013B] == "someone"

    def test_pillow_agrees_on_orientation(self, tmp_path: Path) -> None:
        for orientation in range(1, 9):
            Image.fromarray(RGB).save(tmp_path / "x.png", exif=exif_block(orientation))
            with Image.open(tmp_path / "x.png") as image:
                wanted = np.asarray(ImageOps.exif_transpose(image))
            np.testing.assert_array_equal(read_picture(tmp_path / "x.png").pixels, wanted)

    def test_first_frame_of_an_animation(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
        frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
        assert read_picture(tmp_path / "x.gif").pixels[0, 0].tolist() == [255, 0, 0]

    @pytest.mark.parametrize("size", [(1, 1), (100, 20000)])
    def test_extreme_sizes(self, tmp_path: Path, size: tuple[int, int]) -> None:
        Image.new("RGB", size[::-1]).save(tmp_path / "x.png")
        assert read_picture(tmp_path / "x.png").size == size

    def test_profile_of_another_colour_space_is_not_kept(self, tmp_path: Path) -> None:
        grey_profile = SRGB[:16] + b"GRAY" + SRGB[20:]
        Image.fromarray(ALPHA).save(tmp_path / "x.png", icc_profile=grey_profile)
        assert read_picture(tmp_path / "x.png").icc is None


class TestBadFiles:
    def test_each_is_named_with_its_reason(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, "JPEG")
        cases = {
            "cut.jpg": (buffer.getvalue()[:2000], "truncated"),
            "empty.png": (b"", "empty"),
            "text.png": (b"this is no picture\n" * 9, "not an image"),
        }
        for name, (data, reason) in cases.items():
            (tmp_path / name).write_bytes(data)
            with pytest.raises(ImageError, match=reason) as caught:
                read_picture(tmp_path / name)
            assert str(tmp_path / name) in str(caught.value)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_truncated_16_bit(self, tmp_path: Path, suffix: str) -> None:
        noise = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
        path = tmp_path / f"x{suffix}"
        write_picture(path, Picture(noise))
        path.write_bytes(path.read_bytes()[:9000])
        with pytest.raises(ImageError, match="x"):
            read_picture(path)

    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="No such file"):
            read_picture(tmp_path / "nothing.png")
        with pytest.raises(ImageError):
            read_picture(tmp_path)

    def test_float_tiff(self, tmp_path: Path) -> None:
        Image.fromarray(RGB[..., 0].astype(np.float32)).save(tmp_path / "x.tif")
        with pytest.raises(ImageError, match="1 channel of float32"):
            read_picture(tmp_path / "x.tif")

    def test_pixel_bound_is_checked_before_decoding(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Image.new("1", (100, 100)).save(tmp_path / "x.png")
        monkeypatch.setattr(facts, "MAX_PIXELS", 9999)
        with pytest.raises(ImageError, match="100 x 100"):
            read_picture(tmp_path / "x.png")

    def test_a_damaged_exif_block_costs_nothing_but_itself(self, tmp_path: Path) -> None:
        Image.fromarray(RGB).save(tmp_path / "x.png", exif=b"Exif\0\0II*\0garbage")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(read_picture(tmp_path / "x.png").pixels, RGB)
