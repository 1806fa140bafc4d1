"""Image files that are written, and read back."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from img2img.errors import ImageError
from img2img.images import Picture, read_picture, write_picture
from tests.images.pixels import ALPHA, ALPHA16, LOSSLESS, RGB, RGB16, SRGB, bgr, exif_block


class TestWrite:
    @pytest.mark.parametrize("suffix", LOSSLESS)
    @pytest.mark.parametrize("deep", [False, True])
    @pytest.mark.parametrize("with_alpha", [False, True])
    def test_round_trip_is_exact(
        self, tmp_path: Path, suffix: str, deep: bool, with_alpha: bool
    ) -> None:
        alpha = (ALPHA16 if deep else ALPHA) if with_alpha else None
        path = tmp_path / f"new/x{suffix}"
        write_picture(path, Picture(RGB16 if deep else RGB, alpha, SRGB, exif_block()))
        back = read_picture(path)
        assert back.pixels.dtype == (np.uint16 if deep else np.uint8)
        np.testing.assert_array_equal(back.pixels, RGB16 if deep else RGB)
        assert (back.alpha is None) == (alpha is None)
        if alpha is not None and back.alpha is not None:
            np.testing.assert_array_equal(back.alpha, alpha)
        assert back.icc == SRGB
        if suffix == ".png":
            assert back.exif == exif_block()
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_opencv_reads_our_16_bit_files(self, tmp_path: Path) -> None:
        for suffix in LOSSLESS:
            path = tmp_path / f"x{suffix}"
            write_picture(path, Picture(RGB16, ALPHA16, SRGB, exif_block()))
            np.testing.assert_array_equal(
                cv2.imread(str(path), cv2.IMREAD_UNCHANGED), bgr(RGB16, ALPHA16)
            )

    def test_jpeg_is_composited_and_keeps_metadata(self, tmp_path: Path) -> None:
        flat = np.full((16, 16, 3), 100, np.uint8)
        alpha = np.zeros((16, 16), np.uint8)
        write_picture(tmp_path / "x.jpg", Picture(flat, alpha, SRGB, exif_block()))
        back = read_picture(tmp_path / "x.jpg")
        assert back.pixels.min() >= 254
        assert back.icc == SRGB
        assert back.exif == exif_block()
        with Image.open(tmp_path / "x.jpg") as image:
            assert {component[1:3] for component in image.layer} == {(1, 1)}  # type: ignore[attr-defined]

    def test_webp_keeps_alpha_and_metadata(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "x.webp", Picture(RGB, ALPHA, SRGB, exif_block()))
        back = read_picture(tmp_path / "x.webp")
        assert back.alpha is not None
        np.testing.assert_array_equal(back.alpha, ALPHA)
        assert back.icc == SRGB
        assert back.exif is not None

    def test_eight_bit_formats_round_16_bits(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "x.bmp", Picture((RGB // 2).astype(np.uint16) * 257 + 128))
        np.testing.assert_array_equal(read_picture(tmp_path / "x.bmp").pixels, RGB // 2)

    def test_errors(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"\.png"):
            write_picture(tmp_path / "x.tga", Picture(RGB))
        with pytest.raises(ImageError, match=r"x\.webp"):
            write_picture(tmp_path / "x.webp", Picture(np.zeros((1, 16384, 3), np.uint8)))
        assert not list(tmp_path.iterdir())

    def test_composited_16_bit(self) -> None:
        pixels = np.full((1, 3, 3), 65535, np.uint16)
        pixels[0, 1:] = 0
        alpha = np.array([[65535, 32768, 65535]], np.uint16)
        assert Picture(pixels, alpha).composited()[0, :, 0].tolist() == [65535, 32767, 0]
