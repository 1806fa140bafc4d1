"""What a file says of its picture is true of what it is written with."""

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from img2img.images import Picture, read_picture, with_pixels, write_picture
from img2img.images.exif import of_upright, resized
from tests.images.pixels import RGB, RGB16

THUMBNAIL = b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9"


def block(
    *, thumbnail: bytes = THUMBNAIL, maker: bytes = b"maker's own", end: str = "<", turned: int = 1
) -> bytes:
    """Orientation, artist, size, maker note; and a second directory with a thumbnail."""

    def directory(at: int, entries: list[tuple[int, int, int, bytes]], following: int) -> bytes:
        """Tag, type, count and value of each."""
        behind = at + 2 + 12 * len(entries) + 4
        table, data = struct.pack(f"{end}H", len(entries)), b""
        for tag, kind, count, value in entries:
            place = value.ljust(4, b"\0")
            if len(value) > 4:
                place = struct.pack(f"{end}I", behind + len(data))
                data += value
            table += struct.pack(f"{end}HHI", tag, kind, count) + place
        return table + struct.pack(f"{end}I", following) + data

    def short(value: int) -> bytes:
        return struct.pack(f"{end}H", value)

    def long(value: int) -> bytes:
        return struct.pack(f"{end}I", value)

    def whole(sub: int, following: int) -> bytes:
        entries = [
            (0x112, 3, 1, short(turned)),
            (0x13B, 2, 8, b"someone\0"),
            (0x8769, 4, 1, long(sub)),
        ]
        return directory(8, entries, following)

    sub = 8 + len(whole(0, 0))
    entries = [
        (0x9003, 2, 20, b"2020:01:02 03:04:05\0"),
        (0x927C, 7, len(maker), maker),
        (0xA002, 3, 1, short(7)),
        (0xA003, 4, 1, long(5)),
    ]
    inner = directory(sub, entries, 0)
    following = sub + len(inner)
    preview = directory(
        following,
        [
            (0x201, 4, 1, long(following + 2 + 24 + 4)),
            (0x202, 4, 1, long(len(thumbnail))),
        ],
        0,
    )
    header = b"II*\0" if end == "<" else b"MM\0*"
    return b"Exif\0\0" + header + long(8) + whole(sub, following) + inner + preview + thumbnail


def tags(data: bytes) -> Any:
    exif = Image.Exif()
    exif.load(data)
    return exif


@pytest.mark.parametrize("end", ["<", ">"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_no_thumbnail_of_another_picture_is_kept(tmp_path: Path, kind: str, end: str) -> None:
    given = block(end=end, turned=6)
    Image.fromarray(RGB).save(tmp_path / "x", kind, exif=given)
    picture = read_picture(tmp_path / "x")
    assert picture.exif is not None
    assert THUMBNAIL[:20] not in picture.exif
    for suffix in (".jpg", ".png", ".webp", ".tif"):
        write_picture(tmp_path / f"y{suffix}", picture)
        data = (tmp_path / f"y{suffix}").read_bytes()
        assert THUMBNAIL[4:40] not in data
        kept = read_picture(tmp_path / f"y{suffix}").exif
        assert kept is not None
        exif = tags(kept)
        assert exif[0x13B] == "someone"
        inner = exif.get_ifd(0x8769)
        assert inner[0x9003] == "2020:01:02 03:04:05"
        assert inner[0x927C] == b"maker's own"
        assert (inner[0xA002], inner[0xA003]) == (5, 7)  # upright, it is 5 wide
        assert exif.get(0x112, 1) == 1


def test_all_else_stays_where_it_is() -> None:
    given = block()
    mended = of_upright(given, (5, 7))
    assert mended is not None
    changed = [at for at, byte in enumerate(mended) if byte != given[at]]
    link = 6 + 8 + 2 + 3 * 12  # to the directory of the thumbnail, which is cut off behind
    assert {*changed} <= {*range(link, link + 4)}
    maker = given.index(b"maker's own")
    assert mended[maker : maker + 11] == b"maker's own"
    assert of_upright(mended, (5, 7)) == mended


def test_a_preview_within_a_maker_note(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "x.jpg", exif=block(maker=b"MAKER" + THUMBNAIL))
    kept = read_picture(tmp_path / "x.jpg").exif
    assert kept is not None
    inner = tags(kept).get_ifd(0x8769)
    assert 0x927C not in inner
    assert inner[0xA002] == 7
    assert THUMBNAIL[4:40] not in kept


def test_damaged_blocks_are_left_out() -> None:
    given = block()
    random = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(given[: random.integers(6, len(given))])
        for _ in range(int(random.integers(0, 9))):
            bad[random.integers(0, len(bad))] = random.integers(0, 256)
        for mended in (of_upright(bytes(bad), (5, 7)), resized(bytes(bad), (5, 7), (10, 14))):
            assert mended is None or len(mended) <= len(bad)
    assert of_upright(b"Exif\0\0garbage", (5, 7)) is None


def test_another_size_is_told(tmp_path: Path) -> None:
    """Pixels, and of a GeoTIFF the ground that a pixel covers."""
    scale, tied = (10.0, 20.0, 0.0), (3.0, 4.0, 0.0, 500.0, 600.0, 0.0)
    matrix = tuple(float(value) for value in range(1, 17))
    values = {33550: scale, 33922: tied, 34264: matrix}
    extra = [(tag, "d", len(each), each, True) for tag, each in values.items()]
    tifffile.imwrite(tmp_path / "x.tif", RGB16, photometric="rgb", extratags=extra)
    picture = replace(read_picture(tmp_path / "x.tif"), header=None)  # as without rasterio
    large = with_pixels(picture, np.zeros((20, 14, 3), np.uint16), None)  # 4 times as high, 2 wide
    write_picture(tmp_path / "y.tif", large)
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        found = file.pages.first.tags
        assert found[33550].value == (5.0, 5.0, 0.0)
        assert found[33922].value == (6.0, 16.0, 0.0, 500.0, 600.0, 0.0)
        assert found[34264].value[:4] == (0.5, 0.5, 3.0, 4.0)
    same = with_pixels(picture, np.zeros_like(picture.pixels), None)
    assert same.exif == picture.exif
    wide = with_pixels(
        Picture(RGB, exif=of_upright(block(), (5, 7))), np.zeros((9, 70000, 3)), None
    )
    assert wide.exif is not None
    assert tags(wide.exif).get_ifd(0x8769)[0xA002] == 70000


@pytest.mark.parametrize(
    ("description", "stays"),
    [
        ("Grandmother, 1950", True),
        ("ImageJ=1.53t\nimages=5\nslices=5\n", False),
        ('<?xml version="1.0"?><!-- x -->\n<OME xmlns="x"><Image/></OME>', False),
        ('{"shape": [5, 48, 40]}', False),
        ('{"axes": "YX"}', False),
        ("Aperio Image Library v11\r\n46920x33014 (256x256)|AppMag = 20", False),
    ],
)
@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_descriptions_of_samples(tmp_path: Path, kind: str, description: str, stays: bool) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = description, "someone"
    Image.fromarray(RGB).save(tmp_path / "x", kind, exif=exif.tobytes())
    kept = read_picture(tmp_path / "x").exif
    assert kept is not None
    assert tags(kept).get(0x010E) == (description if stays else None)
    assert tags(kept)[0x013B] == "someone"


def test_xmp(tmp_path: Path) -> None:
    packet = (
        b'<x:xmpmeta><rdf:Description tiff:Orientation="6" exif:PixelXDimension="7" '
        b"tiff:SamplesPerPixel='1' GImage:Data='/9j/4AAQSkZJRg==' xmpNote:HasExtendedXMP='AB12'>"
        b"<exif:PixelYDimension>5</exif:PixelYDimension>"
        b"<xmp:Thumbnails><rdf:Alt><xmpGImg:image>/9j/4AAQ</xmpGImg:image></rdf:Alt>"
        b"</xmp:Thumbnails><dc:title>Boats</dc:title>"
        b"<p:preview>\niVBORw0KGgo=</p:preview></rdf:Description></x:xmpmeta>"
    )
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG", xmp=packet)
    (tmp_path / "x.jpg").write_bytes(buffer.getvalue())
    picture = read_picture(tmp_path / "x.jpg")
    assert picture.size == (7, 5)
    assert picture.xmp == (
        b'<x:xmpmeta><rdf:Description tiff:Orientation="1" exif:PixelXDimension="5">'
        b"<exif:PixelYDimension>7</exif:PixelYDimension><dc:title>Boats</dc:title>"
        b"<p:preview></p:preview></rdf:Description></x:xmpmeta>"
    )
    large = with_pixels(picture, np.zeros((70, 50, 3), np.uint8), None)
    assert large.xmp is not None
    assert b'PixelXDimension="50"' in large.xmp


def test_thumbnails_in_the_text_of_a_png(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    for key, value in {"Thumb::URI": "file:///home/me/secret.png", "Title": "Boats"}.items():
        text.add_text(key, value)
    Image.fromarray(RGB).save(tmp_path / "x.png", pnginfo=text)
    assert read_picture(tmp_path / "x.png").text == {"Title": "Boats"}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_seen_on_white(dtype: type) -> None:
    """By hand: half opacity can show 128 to 255, and of 100 the nearest is black."""
    one = 257 if dtype == np.uint16 else 1
    alpha = np.array([[0, 128, 128, 255, 64]], dtype) * dtype(one)
    wanted = np.array([[30, 200, 100, 30, 250]], dtype) * dtype(one)
    picture = Picture(np.zeros((1, 5, 3), dtype), alpha)
    result = picture.seen_as(np.repeat(wanted[..., None], 3, axis=2))
    colours = result.pixels[0, :, 0].astype(float) / one
    assert np.abs(colours - [30, 145.43, 0, 30, 235.08]).max() < 0.5
    seen = result.composited()[0, :, 0].astype(float) / one
    assert np.abs(seen - [255, 200, 127, 30, 250]).max() <= 1
