"""Whole files of every kind: read exactly, or refused by what they are."""

import base64
import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from img2img.errors import ImageError
from img2img.images import (
    Frames,
    Picture,
    count_unreadable,
    formats,
    list_images,
    measure,
    open_rows,
    probe,
    read_image,
    read_native,
    read_picture,
    readable_suffixes,
    unreadable_suffixes,
    writable_suffixes,
    write_picture,
)
from tests.images.pixels import ALPHA, ALPHA16, RGB, RGB16

GREY, GREY16 = RGB[..., 0], RGB16[..., 0]
# 16 x 16 of one colour, written by pillow-heif.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA"
    "AAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAADQAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABo"
    "dmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEA"
    "GEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAAD"
    "AIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAEAAAAAEA"
    "AAAQAAAAAf///9AAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAAPG1k"
    "YXQAAAAwKAGvCchZmNA5I1d//65C//SIaH7FS7Vn8Tr+gOxlOspDn0Sxk847vgyAh4O4Xstw"
)


def stacked(*planes: np.ndarray) -> np.ndarray:
    return np.dstack(planes)


# Of RGB, other numbers of channels and other types of numbers are refused; each stays as it is in
# `read_native`.
OTHER: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "float32": (RGB16[..., 0].astype(np.float32), {}, "1 channel of float32"),
    "float16": (RGB[..., 0].astype(np.float16), {}, "1 channel of float16"),
    "float64": (RGB[..., 0].astype(np.float64), {}, "1 channel of float64"),
    "float RGB": (RGB.astype(np.float32), {"photometric": "rgb"}, "3 channels of float32"),
    "int8": (RGB[..., 0].astype(np.int8), {}, "1 channel of int8"),
    "int16": (RGB[..., 0].astype(np.int16), {}, "1 channel of int16"),
    "int32": (RGB[..., 0].astype(np.int32), {}, "1 channel of int32"),
    "uint32": (RGB[..., 0].astype(np.uint32), {}, "1 channel of uint32"),
    "two": (stacked(GREY, ALPHA), {"extrasamples": ["unspecified"]}, "2 channels of uint8"),
    "four": (
        stacked(RGB, ALPHA),
        {"photometric": "rgb", "extrasamples": ["unspecified"]},
        "4 channels of uint8",
    ),
    "five": (
        stacked(*[GREY16] * 5),
        {"photometric": "minisblack", "planarconfig": "contig"},
        "5 channels of uint16",
    ),
    "two hundred": (
        stacked(*[GREY] * 200),
        {"photometric": "minisblack", "planarconfig": "contig"},
        "200 channels",
    ),
    "16-bit CMYK": (stacked(RGB16, ALPHA16), {"photometric": "separated"}, "4 channels of uint16"),
    "zstd": (
        RGB16[..., :2],
        {"compression": "zstd", "planarconfig": "contig", "photometric": "minisblack"},
        "2 channels of uint16",
    ),
    "tiles": (
        np.dstack([GREY16] * 5),
        {"tile": (16, 16), "photometric": "minisblack", "planarconfig": "contig"},
        "5 channels",
    ),
    "planes": (
        np.stack([GREY16] * 5),
        {"photometric": "minisblack", "planarconfig": "separate"},
        "5 channels",
    ),
    "predictor of floats": (
        RGB16.astype(np.float32),
        {"photometric": "rgb", "compression": "zlib", "predictor": 3},
        "3 channels of float32",
    ),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", OTHER)
def test_a_tiff_of_other_numbers_is_read_as_it_is(
    tmp_path: Path, kind: str, big: bool, order: Any
) -> None:
    pixels, options, reason = OTHER[kind]
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, pixels, bigtiff=big, byteorder=order, **options)
    assert measure(path).size == (5, 7)
    for reader in (read_picture, read_image):
        with pytest.raises(ImageError, match=f"{reason}.*, where grey or RGB") as caught:
            reader(path)
        assert "\n" not in str(caught.value)
    picture = read_native(path)
    assert isinstance(picture, Picture)
    wanted = np.atleast_3d(np.moveaxis(pixels, 0, 2) if kind == "planes" else pixels)
    np.testing.assert_array_equal(picture.pixels, wanted)
    assert picture.pixels.dtype == pixels.dtype
    facts = probe(path)
    assert (facts.size, facts.channels, facts.dtype) == ((5, 7), wanted.shape[2], str(pixels.dtype))
    with open_rows(path) as rows:
        np.testing.assert_array_equal(rows.read(2, 4).pixels, wanted[2:4])


@pytest.mark.parametrize(
    ("photometric", "dtype", "reason"),
    [("cfa", np.uint16, "a camera's raw colours"), ("minisblack", np.complex64, "complex numbers")],
)
def test_a_tiff_is_refused_by_what_it_is(
    tmp_path: Path, photometric: str, dtype: Any, reason: str
) -> None:
    tifffile.imwrite(tmp_path / "x.tif", GREY16.astype(dtype), photometric=photometric)
    for reader in (read_native, probe, read_picture, measure):
        with pytest.raises(ImageError, match=f"x.tif: {reason}"):
            reader(tmp_path / "x.tif")


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["grey", "grey alpha", "rgb", "rgba", "planes"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_tiff_is_read_exactly(
    tmp_path: Path, big: bool, order: Any, kind: str, deep: bool
) -> None:
    rgb, alpha = (RGB16, ALPHA16) if deep else (RGB, ALPHA)
    grey = rgb[..., 0]
    pixels = {
        "grey": grey,
        "rgb": rgb,
        "rgba": stacked(rgb, alpha),
        "grey alpha": stacked(grey, alpha),
        "planes": np.moveaxis(rgb, 2, 0),
    }[kind]
    options: dict[str, Any] = {"photometric": "minisblack" if "grey" in kind else "rgb"}
    if "a" in kind.removeprefix("grey") and kind != "planes":
        options["extrasamples"] = ["unassalpha"]
    if kind == "planes":
        options["planarconfig"] = "separate"
    tifffile.imwrite(tmp_path / "x.tif", pixels, bigtiff=big, byteorder=order, **options)
    picture = read_picture(tmp_path / "x.tif")
    wanted = np.dstack([grey] * 3) if "grey" in kind else rgb
    np.testing.assert_array_equal(picture.pixels, wanted)
    assert picture.pixels.dtype == rgb.dtype
    if "extrasamples" in options:
        np.testing.assert_array_equal(picture.alpha, alpha)
    extent = measure(tmp_path / "x.tif")
    held = picture.pixels.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
    assert (extent.size, extent.pixels, extent.held) == ((5, 7), 35, held)
    native = read_native(tmp_path / "x.tif")
    assert isinstance(native, Picture)
    np.testing.assert_array_equal(native.pixels, grey[..., None] if "grey" in kind else rgb)
    with open_rows(tmp_path / "x.tif") as rows:
        part = rows.read(1, 4)
        np.testing.assert_array_equal(part.pixels, native.pixels[1:4])
        if native.alpha is not None:
            np.testing.assert_array_equal(part.alpha, native.alpha[1:4])


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
def test_grey_of_16_bits_in_any_compression(tmp_path: Path, compression: str) -> None:
    try:
        Image.fromarray(GREY16).save(tmp_path / "x.tif", compression=compression)
    except (OSError, KeyError):
        pytest.skip(f"this release of Pillow has no {compression}")
    np.testing.assert_array_equal(read_picture(tmp_path / "x.tif").pixels[..., 1], GREY16)


def test_grey_with_alpha_of_16_bits_in_a_png(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    rows = stacked(GREY16, ALPHA16).astype(">u2")
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", 7, 5, 16, 4, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    picture = read_picture(tmp_path / "x.png")
    np.testing.assert_array_equal(picture.pixels, stacked(*[GREY16] * 3))
    np.testing.assert_array_equal(picture.alpha, ALPHA16)


def test_one_bit_with_a_transparent_value(tmp_path: Path) -> None:
    Image.fromarray(ALPHA > 99).save(tmp_path / "x.png", transparency=0)
    picture = read_picture(tmp_path / "x.png")
    np.testing.assert_array_equal(picture.pixels[..., 0], np.where(ALPHA > 99, 255, 0))
    np.testing.assert_array_equal(picture.alpha, np.where(ALPHA > 99, 255, 0))


class TestPages:
    @pytest.fixture
    def stack(self, tmp_path: Path) -> Path:
        tifffile.imwrite(tmp_path / "x.tif", np.stack([GREY16] * 5), photometric="minisblack")
        return tmp_path / "x.tif"

    def test_a_stack_is_not_one_picture(self, stack: Path) -> None:
        with pytest.raises(ImageError, match="5 pages, but a single picture"):
            read_picture(stack)
        image = read_image(stack)
        assert isinstance(image, Frames)
        assert len(image.frames) == 5

    def test_the_page_that_is_not_read_is_named(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            file.write(GREY16, photometric="minisblack")
            file.write(GREY16.astype(np.float32), photometric="minisblack")
        with pytest.raises(ImageError, match="page 1: 1 x uint16; page 2: 1 x float32"):
            read_image(tmp_path / "x.tif")

    def test_directories_in_a_circle(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            file.write(GREY)
            file.write(GREY)
        data = bytearray((tmp_path / "x.tif").read_bytes())
        first = struct.unpack_from("<I", data, 4)[0]
        entries = struct.unpack_from("<H", data, first)[0]
        second = struct.unpack_from("<I", data, first + 2 + 12 * entries)[0]
        entries = struct.unpack_from("<H", data, second)[0]
        struct.pack_into("<I", data, second + 2 + 12 * entries, first)
        (tmp_path / "x.tif").write_bytes(data)
        with pytest.raises(ImageError, match="circle"):
            read_image(tmp_path / "x.tif")

    def test_a_preview_is_not_the_picture(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "x.dng") as file:
            file.write(RGB, photometric="rgb", subifds=1, subfiletype=1)
            file.write(GREY16, photometric="cfa", subfiletype=0)
        with pytest.raises(ImageError, match="raw file"):
            read_picture(tmp_path / "x.dng")


class TestJpegWithoutItsEnd:
    @pytest.fixture
    def jpeg(self) -> bytes:
        noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, "JPEG")
        return buffer.getvalue()

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
    @pytest.mark.parametrize("left", [b"", b"\xff"])
    def test_is_read_whole(self, tmp_path: Path, options: dict[str, Any], left: bytes) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, "JPEG", **options)
        whole = buffer.getvalue()
        assert whole.endswith(b"\xff\xd9")
        (tmp_path / "x.jpg").write_bytes(whole)
        wanted = read_picture(tmp_path / "x.jpg").pixels
        (tmp_path / "x.jpg").write_bytes(whole[:-2] + left)
        np.testing.assert_array_equal(read_picture(tmp_path / "x.jpg").pixels, wanted)
        for lacking in (4, 8, 40, 400, len(whole) // 2):
            (tmp_path / "x.jpg").write_bytes(whole[:-lacking])
            with pytest.raises(ImageError, match="truncated"):
                read_picture(tmp_path / "x.jpg")

    def test_a_lost_scan_is_not_passed_for_whole(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        Image.fromarray(RGB).resize((64, 64)).save(buffer, "JPEG", progressive=True)
        whole = buffer.getvalue()
        last_scan = whole.rindex(b"\xff\xda")
        tables = whole.rindex(b"\xff\xc4", 0, last_scan)
        (tmp_path / "x.jpg").write_bytes(whole[:tables])
        with pytest.raises(ImageError, match="truncated"):
            read_picture(tmp_path / "x.jpg")


@pytest.mark.skipif(not formats.HAS_HEIF, reason="pi-heif is not here")
def test_heic(tmp_path: Path) -> None:
    for name in ("x.heic", "x.jpg", "x.HIF"):
        (tmp_path / name).write_bytes(HEIC)
        picture = read_picture(tmp_path / name)
        assert picture.size == (16, 16)
        assert np.abs(picture.pixels[8, 8].astype(int) - [200, 60, 90]).max() <= 2
        (tmp_path / name).write_bytes(HEIC[:-30])
        with pytest.raises(ImageError, match="x"):
            read_picture(tmp_path / name)


def test_heic_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_OTHERS", [(4, b"ftypheic", formats._HEIF)])
    monkeypatch.setattr(formats, "HEIF", None)
    (tmp_path / "x.jpg").write_bytes(HEIC)
    with pytest.raises(ImageError, match="pip install pi-heif"):
        read_picture(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"8BPS\0\1", "Photoshop"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"<svg xmlns=''>", "SVG"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_kinds_are_named(tmp_path: Path, start: bytes, name: str) -> None:
    (tmp_path / "x.png").write_bytes(start + b"\0" * 64)
    with pytest.raises(ImageError, match=f"x.png: {name}, which is not supported"):
        read_picture(tmp_path / "x.png")


def test_every_suffix_is_read_or_counted(tmp_path: Path) -> None:
    pixels = Image.fromarray(RGB)
    for suffix, kind in {
        ".jpe": "JPEG",
        ".jif": "JPEG",
        ".jfif": "JPEG",
        ".mpo": "JPEG",
        ".dib": "BMP",
        ".pnm": "PPM",
    }.items():
        pixels.save(tmp_path / f"x{suffix}", kind)
    pixels.convert("1").save(tmp_path / "x.pbm")
    found = list_images(tmp_path)
    assert len(found) == 7
    assert all(read_picture(path).size == (5, 7) for path in found)
    assert not readable_suffixes() & unreadable_suffixes()
    others = [".psd", ".CR2", ".jp2", ".ico", ".tga", ".jxl", ".svg"]
    for suffix in others:
        (tmp_path / f"y{suffix}").touch()
    assert count_unreadable(tmp_path) == {suffix.lower(): 1 for suffix in others}


@pytest.mark.parametrize("suffix", [".jpe", ".jif", ".dib"])
def test_other_names_of_formats_are_written(tmp_path: Path, suffix: str) -> None:
    write_picture(tmp_path / f"x{suffix}", Picture(RGB))
    with Image.open(tmp_path / f"x{suffix}") as image:
        assert image.format == ("BMP" if suffix == ".dib" else "JPEG")


MUTATED = [".png", ".jpg", ".tif", ".webp", ".gif", ".bmp", ".ppm", ".avif", ".heic", ".lzw.tif"]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("suffix", MUTATED)
def test_decoders_do_not_speak(
    tmp_path: Path, suffix: str, deep: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of 20 mutated files of each kind nothing is on standard error, by libraries or by Pillow."""
    path = tmp_path / f"x{suffix}"
    rgb = np.random.default_rng(0).integers(0, 65536, (24, 24, 3), dtype=np.uint16)
    if suffix == ".heic":
        path.write_bytes(HEIC)
    elif suffix == ".ppm":
        assert cv2.imwrite(str(path), rgb if deep else (rgb >> 8).astype(np.uint8))
    elif suffix == ".lzw.tif":
        array = rgb[..., 0] if deep else (rgb >> 8).astype(np.uint8)
        Image.fromarray(array).save(path, compression="tiff_lzw")
    elif suffix in writable_suffixes():
        write_picture(path, Picture(rgb if deep else (rgb >> 8).astype(np.uint8)))
    else:
        pytest.skip(f"{suffix} is not written here")
    whole = path.read_bytes()
    capfd.readouterr()
    for seed in range(40):
        random = np.random.default_rng(seed)
        data = bytearray(whole)
        for _ in range(int(random.integers(1, 8))):
            data[random.integers(0, len(data))] = random.integers(0, 256)
        if seed % 4 == 0:
            del data[int(random.integers(1, len(data))) :]
        path.write_bytes(data)
        with suppress(ImageError):
            read_image(path)
    assert capfd.readouterr().err == ""
