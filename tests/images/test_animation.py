"""Animations and pages: as many as went in, as long, and as seen."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2img.errors import ImageError
from img2img.images import (
    Animation,
    Frames,
    Picture,
    Pixels,
    read_image,
    read_picture,
    writable_suffixes,
    write_image,
)
from img2img.images.codecs import facts

SUFFIXES: list[str] = [
    suffix for suffix in (".gif", ".webp", ".png", ".avif") if suffix in writable_suffixes()
]
DURATIONS = (100, 40, 70, 1000)
RED, BLUE, CLEAR = (255, 0, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)


def flat(colour: tuple[int, int, int], alpha: Pixels | None = None) -> Picture:
    return Picture(np.full((16, 24, 3), colour, np.uint8), alpha)


def animation(loop: int = 0) -> Animation:
    alpha = np.full((16, 24), 255, np.uint8)
    alpha[:, :12] = 0
    colours = [(250, 10, 20), (10, 240, 30), (20, 30, 230), (200, 200, 10)]
    return Animation(tuple(flat(colour, alpha) for colour in colours), DURATIONS, loop)


def read_animation(path: Path) -> Animation:
    image = read_image(path)
    assert isinstance(image, Animation)
    return image


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("loop", [0, 1, 3])
def test_round_trip(tmp_path: Path, suffix: str, loop: int) -> None:
    given = animation(loop)
    write_image(tmp_path / f"x{suffix}", given)
    back = read_animation(tmp_path / f"x{suffix}")
    assert back.durations == DURATIONS
    assert back.loop == (0 if suffix == ".avif" else loop)
    for frame, seen in zip(given.frames, back.frames, strict=True):
        assert frame.alpha is not None
        assert seen.alpha is not None
        np.testing.assert_array_equal(seen.alpha, frame.alpha)
        difference = np.abs(seen.composited().astype(int) - frame.composited())
        assert difference.max() <= (0 if suffix in {".gif", ".png"} else 12)
    first = read_picture(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(first.pixels, back.frames[0].pixels)


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_equal_frames_stay(tmp_path: Path, suffix: str) -> None:
    frames = tuple(flat(colour) for colour in ((9, 9, 9), (9, 9, 9), (1, 1, 1), (1, 1, 1)))
    write_image(tmp_path / f"x{suffix}", Animation(frames, DURATIONS))
    assert read_animation(tmp_path / f"x{suffix}").durations == DURATIONS


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s in {".webp", ".avif"}])
def test_equal_frames_last_as_long(tmp_path: Path, suffix: str) -> None:
    frames = tuple(flat(colour) for colour in ((9, 9, 9), (9, 9, 9), (1, 1, 1), (1, 1, 1)))
    write_image(tmp_path / f"x{suffix}", Animation(frames, DURATIONS))
    assert sum(read_animation(tmp_path / f"x{suffix}").durations) == sum(DURATIONS)


def test_durations_of_a_gif_do_not_drift(tmp_path: Path) -> None:
    frames = tuple(flat((index, 0, 0)) for index in range(9))
    write_image(tmp_path / "x.gif", Animation(frames, (33,) * 9))
    durations = read_animation(tmp_path / "x.gif").durations
    assert sum(durations) == 300
    assert set(durations) == {30, 40}


def test_a_frame_that_no_gif_can_show_for_so_long(tmp_path: Path) -> None:
    frames = flat((0, 0, 0)), flat((9, 9, 9))
    with pytest.raises(ImageError, match=r"x\.gif: .*more than 655 seconds"):
        write_image(tmp_path / "x.gif", Animation(frames, (100, 655_400)))
    assert not (tmp_path / "x.gif").exists()


def test_many_colours_of_a_gif(tmp_path: Path) -> None:
    ramp = np.indices((64, 64)).transpose(1, 2, 0)
    pixels = np.dstack([ramp * 4, ramp.sum(axis=2) * 2]).astype(np.uint8)
    frames = (Picture(pixels), Picture(pixels[::-1].copy()))
    write_image(tmp_path / "x.gif", Animation(frames, (50, 50)))
    for frame, seen in zip(frames, read_animation(tmp_path / "x.gif").frames, strict=True):
        assert np.abs(seen.pixels.astype(int) - frame.pixels).mean() < 8


def test_metadata_and_16_bits_of_a_png(tmp_path: Path) -> None:
    deep = Picture(np.full((4, 4, 3), 40000, np.uint16), xmp=b"<x/>", text={"a": "b"})
    write_image(tmp_path / "x.png", Animation((deep, flat_like(deep)), (10, 70000)))
    back = read_animation(tmp_path / "x.png")
    assert back.frames[0].pixels[0, 0, 0] == 40000 // 256
    assert back.frames[0].text == {"a": "b"}
    assert back.frames[0].xmp == b"<x/>"
    assert back.durations == (10, 70000)
    assert read_picture(tmp_path / "x.png").pixels[0, 0, 0] == 40000


def flat_like(picture: Picture) -> Picture:
    """Of 8 bits and transparent, beside one that is neither."""
    return Picture(np.zeros((*picture.size, 3), np.uint8), np.zeros(picture.size, np.uint8))


@pytest.mark.parametrize("disposal", [1, 2, 3])
def test_frames_of_a_gif_are_seen_on_what_stands(tmp_path: Path, disposal: int) -> None:
    """A red canvas, then blue in its left half, then blue in its right half."""

    def block(left: int, width: int, colour: int, kept: int) -> bytes:
        indexed = Image.new("P", (width, 4), colour)
        indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
        buffer = io.BytesIO()
        indexed.save(buffer, "GIF", optimize=False)
        data = buffer.getvalue()
        pixels = data[data.index(b",\0\0\0\0") + 10 : -1]
        place = struct.pack("<4HB", left, 0, width, 4, 0)
        return b"!\xf9\x04" + struct.pack("<BHBB", kept << 2 | 1, 5, 0, 0) + b"," + place + pixels

    palette = bytes([0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 0])
    blocks = block(0, 4, 1, 1) + block(0, 2, 2, disposal) + block(2, 2, 2, 1)
    header = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0xF1, 0, 0) + palette
    (tmp_path / "x.gif").write_bytes(header + blocks + b";")
    back = read_animation(tmp_path / "x.gif")
    alphas = [np.full((4, 4), 255) if f.alpha is None else f.alpha for f in back.frames]
    rows = [np.dstack([f.pixels, a])[0].tolist() for f, a in zip(back.frames, alphas, strict=True)]
    left = {1: BLUE, 2: CLEAR, 3: RED}[disposal]
    assert rows[0] == [[*RED]] * 4
    assert rows[1] == [[*BLUE]] * 2 + [[*RED]] * 2
    assert rows[2][0][3] == left[3]
    assert left is CLEAR or rows[2][:2] == [[*left]] * 2
    assert rows[2][2:] == [[*BLUE]] * 2
    assert back.durations == (50, 50, 50)
    assert back.loop == 1


def test_the_default_image_of_a_png_is_no_frame(tmp_path: Path) -> None:
    images = [Image.new("RGB", (4, 4), colour) for colour in ("white", "red", "blue")]
    images[0].save(
        tmp_path / "x.png", save_all=True, append_images=images[1:], default_image=True, duration=50
    )
    back = read_animation(tmp_path / "x.png")
    assert [frame.pixels[0, 0].tolist() for frame in back.frames] == [[255, 0, 0], [0, 0, 255]]


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".bmp"])
def test_formats_without_animations(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ImageError, match=r"animation.*\.gif"):
        write_image(tmp_path / f"x{suffix}", animation())


def test_animations_that_are_none() -> None:
    with pytest.raises(ImageError, match="one size"):
        Animation((flat((1, 2, 3)), Picture(np.zeros((1, 1, 3), np.uint8))), (1, 1))
    with pytest.raises(ImageError, match="durations"):
        Animation((flat((1, 2, 3)),), ())


class TestPages:
    def test_round_trip(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        deep = Picture(
            rng.integers(0, 65536, (5, 7, 3), dtype=np.uint16),
            rng.integers(0, 65536, (5, 7), dtype=np.uint16),
            dpi=(300, 150),
        )
        small = Picture(rng.integers(0, 256, (3, 9, 3), dtype=np.uint8), xmp=b"<x/>")
        write_image(tmp_path / "x.tif", Frames((deep, small, deep)))
        back = read_image(tmp_path / "x.tif")
        assert isinstance(back, Frames)
        assert not isinstance(back, Animation)
        for page, seen in zip((deep, small, deep), back.frames, strict=True):
            np.testing.assert_array_equal(seen.pixels, page.pixels)
            assert seen.pixels.dtype == page.pixels.dtype
            assert (seen.alpha is None) == (page.alpha is None)
            assert seen.dpi == page.dpi
            assert seen.xmp == page.xmp
        with Image.open(tmp_path / "x.tif") as image:
            assert getattr(image, "n_frames", 1) == 3
        with pytest.raises(ImageError, match=r"pages.*\.tif"):
            write_image(tmp_path / "x.png", back)

    def test_reduced_copies_are_no_pages(self, tmp_path: Path) -> None:
        whole, small = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (4, 4), "red")
        small.encoderinfo = {"tiffinfo": {254: 1}}
        whole.save(tmp_path / "x.tif", save_all=True, append_images=[small])
        image = read_image(tmp_path / "x.tif")
        assert isinstance(image, Picture)
        assert image.size == (8, 8)


class TestBombs:
    def test_all_frames_count(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for suffix in SUFFIXES:
            write_image(tmp_path / f"x{suffix}", animation())
        page = flat((1, 2, 3))
        write_image(tmp_path / "x.tif", Frames((page,) * 4))
        monkeypatch.setattr(facts, "MAX_PIXELS", 4 * 16 * 24 - 1)
        for suffix in [*SUFFIXES, ".tif"]:
            with pytest.raises(ImageError, match=r"24 x 16 pixels of 4 (frames|pages)"):
                read_image(tmp_path / f"x{suffix}")
        for suffix in SUFFIXES:
            assert read_picture(tmp_path / f"x{suffix}").size == (16, 24)

    def test_gif_of_many_large_frames(self, tmp_path: Path) -> None:
        header = b"GIF89a" + struct.pack("<HHBBB", 9000, 9000, 0, 0, 0)
        block = b"," + struct.pack("<4HB", 0, 0, 9000, 9000, 0) + b"\x02\x01\0\0"
        (tmp_path / "x.gif").write_bytes(header + block * 20000 + b";")
        with pytest.raises(ImageError, match="20000 frames"):
            read_image(tmp_path / "x.gif")

    def test_png_header(self, tmp_path: Path) -> None:
        body = b"IHDR" + struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
        (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\x09IDAT")
        with pytest.raises(ImageError, match="more than"):
            read_image(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".tif"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    frames = tuple(Picture(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(3))
    image = Frames(frames) if suffix == ".tif" else Animation(frames, (10, 20, 30))
    path = tmp_path / f"x{suffix}"
    write_image(path, image)
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(ImageError, match="x"):
            read_image(path)
