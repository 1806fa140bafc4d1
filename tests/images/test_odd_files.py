"""Files as other programs write them, and damaged ones."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from img2img.errors import ImageError
from img2img.images import (
    Frames,
    Picture,
    Pixels,
    eight_bit,
    probe,
    read_image,
    read_native,
    read_picture,
    writable_suffixes,
    write_image,
    write_picture,
)

RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
ALPHA16 = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def tiff(samples: Pixels, colours: int, *, big: bool = False, extra: int | None = None) -> bytes:
    """A TIFF of one strip. (planes, height, width) is stored separate planes.

    Args:
        colours: PhotometricInterpretation.
        big: the order of bytes.
        extra: ExtraSamples.
    """
    end: Literal["<", ">"] = ">" if big else "<"
    planar = samples.ndim == 3 and samples.shape[0] == 3
    planes = [*samples] if planar else [samples]
    height, width = planes[0].shape[:2]
    channels = 3 if planar else samples.size // (height * width)
    strips = [np.ascontiguousarray(p).astype(p.dtype.newbyteorder(end)).tobytes() for p in planes]
    starts = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    tags = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [samples.itemsize * 8] * channels),
        259: ("H", [1]),
        262: ("H", [colours]),
        273: ("I", starts),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if planar else 1]),
        **({} if extra is None else {338: ("H", [extra])}),
    }
    offset = 8 + sum(map(len, strips))
    behind, entries = offset + 2 + 12 * len(tags) + 4, b""
    data = b""
    for tag, (kind, values) in tags.items():
        raw = struct.pack(f"{end}{len(values)}{kind}", *values)
        if len(raw) > 4:
            place = struct.pack(f"{end}I", behind + len(data))
            data, raw = data + raw, place
        entries += struct.pack(f"{end}HHI", tag, {"H": 3, "I": 4}[kind], len(values))
        entries += raw.ljust(4, b"\0")
    header = (b"MM\0*" if big else b"II*\0") + struct.pack(f"{end}I", offset)
    count = struct.pack(f"{end}H", len(tags))
    return header + b"".join(strips) + count + entries + b"\0\0\0\0" + data


def read(folder: Path, data: bytes, name: str = "x.tif") -> Picture:
    (folder / name).write_bytes(data)
    return read_picture(folder / name)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


class TestTiff:
    @pytest.mark.parametrize("big", [False, True])
    def test_order_of_bytes(self, tmp_path: Path, big: bool) -> None:
        rgba = np.dstack([RGB16, ALPHA16])
        picture = read(tmp_path, tiff(rgba, 2, big=big, extra=2))
        np.testing.assert_array_equal(picture.pixels, RGB16)
        np.testing.assert_array_equal(picture.alpha, ALPHA16)
        grey = read(tmp_path, tiff(ALPHA16, 1, big=big))
        np.testing.assert_array_equal(grey.pixels[..., 2], ALPHA16)

    def test_a_sample_that_would_be_lost(self, tmp_path: Path) -> None:
        for pixels, extra in ((RGB, ALPHA), (RGB16, ALPHA16)):
            with pytest.raises(ImageError, match=f"4 channels of {pixels.dtype}"):
                read(tmp_path, tiff(np.dstack([pixels, extra]), 2, extra=0))

    def test_white_is_zero(self, tmp_path: Path) -> None:
        for grey in (ALPHA, ALPHA16):
            pixels = read(tmp_path, tiff(grey, 0)).pixels
            np.testing.assert_array_equal(pixels[..., 1], np.iinfo(grey.dtype).max - grey)

    def test_planes(self, tmp_path: Path) -> None:
        for pixels in (RGB, RGB16):
            planes = pixels.transpose(2, 0, 1)
            np.testing.assert_array_equal(read(tmp_path, tiff(planes, 2)).pixels, pixels)

    def test_multiplied_alpha(self, tmp_path: Path) -> None:
        picture = read(tmp_path, tiff(np.dstack([RGB, ALPHA]), 2, extra=1))
        assert picture.alpha is not None
        with Image.open(tmp_path / "x.tif") as image:
            np.testing.assert_array_equal(
                np.dstack([picture.pixels, picture.alpha]), np.asarray(image.convert("RGBA"))
            )
        multiplied = (RGB16 * (ALPHA16[..., None] / 65535)).astype(np.uint16)
        picture = read(tmp_path, tiff(np.dstack([multiplied, ALPHA16]), 2, extra=1))
        apart = np.abs(picture.pixels.astype(float) - RGB16) * (ALPHA16[..., None] / 65535)
        assert apart.max() <= 2

    @pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
    def test_other_colours(self, tmp_path: Path, mode: str) -> None:
        wanted = Image.new("RGB", (16, 16), (200, 60, 90))
        if mode == "LAB":
            profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
            image = ImageCms.profileToProfile(wanted, *profiles, outputMode="LAB")
            assert image is not None
        else:
            image = wanted.convert(mode)
        pixel = read(tmp_path, saved(image, "TIFF")).pixels[8, 8].astype(int)
        assert np.abs(pixel - [200, 60, 90]).max() <= 3

    def test_descriptions(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x013B] = "someone"
        exif[0x0112] = 6
        exif[0x8769] = {0x9003: "2020:01:02 03:04:05"}
        exif[33550] = (10.0, 10.0, 0.0)  # GeoTIFF: metres a pixel
        picture = read(tmp_path, saved(Image.fromarray(RGB), "TIFF", exif=exif.tobytes()))
        assert picture.size == (7, 5)
        for pixels in (RGB, RGB16):
            write_picture(tmp_path / "y.tif", Picture(pixels, exif=picture.exif))
            block = read_picture(tmp_path / "y.tif").exif
            assert block is not None
            kept = Image.Exif()
            kept.load(block)
            assert kept[0x013B] == "someone"
            assert kept.get(0x0112, 1) == 1
            assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
            assert kept[33550] == (10.0, 10.0, 0.0)


class TestOtherKinds:
    def test_cmyk_jpeg(self, tmp_path: Path) -> None:
        image = Image.new("CMYK", (16, 16), (10, 200, 150, 30))
        wanted = np.asarray(image.convert("RGB"))[0, 0].astype(int)
        plain = saved(image, "JPEG", quality=100)
        at = plain.index(b"Adobe")
        assert np.abs(read(tmp_path, plain).pixels[8, 8] - wanted).max() <= 3
        # Inks are inverted as Adobe's are in files without its mark, too.
        unmarked = plain[: at - 4] + plain[at + 12 :]
        assert np.abs(read(tmp_path, unmarked).pixels[8, 8] - wanted).max() <= 3

    def test_cmyk_with_a_broken_profile(self, tmp_path: Path) -> None:
        image = Image.new("CMYK", (16, 16), (10, 200, 150, 30))
        wanted = np.asarray(image.convert("RGB"))[0, 0].astype(int)
        broken = SRGB[:16] + b"CMYK" + SRGB[20:]
        for kind in ("JPEG", "TIFF"):
            picture = read(tmp_path, saved(image, kind, icc_profile=broken))
            assert np.abs(picture.pixels[8, 8] - wanted).max() <= 6
            assert picture.icc is None

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
    def test_orientation_in_xmp_and_exif(self, tmp_path: Path, kind: str) -> None:
        image = Image.new("RGB", (16, 32), "white")
        exif = Image.Exif()
        exif[0x0112] = 8
        assert read(tmp_path, saved(image, kind, exif=exif)).size == (16, 32)

    def test_turned_xmp_says_upright(self, tmp_path: Path) -> None:
        xmp = b'<x:xmpmeta tiff:Orientation="6"/>'
        picture = read(tmp_path, saved(Image.new("RGB", (16, 32)), "JPEG", xmp=xmp))
        assert picture.size == (16, 32)
        assert picture.xmp == b'<x:xmpmeta tiff:Orientation="1"/>'

    def test_interlaced_png(self, tmp_path: Path) -> None:
        """Of one pixel, all of which is in the first of seven passes."""
        for depth, samples in ((8, b"\1\2\3"), (16, b"\0\1\0\2\0\3")):
            header = struct.pack(">IIBBBBB", 1, 1, depth, 2, 0, 0, 1)
            chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + samples)), (b"IEND", b"")]
            data = b"\x89PNG\r\n\x1a\n"
            for kind, body in chunks:
                check = struct.pack(">I", zlib.crc32(kind + body))
                data += struct.pack(">I", len(body)) + kind + body + check
            picture = read(tmp_path, data, "x.png")
            assert picture.pixels.tolist() == [[[1, 2, 3]]]
            assert picture.pixels.itemsize * 8 == depth

    def test_a_hidden_value_of_deep_grey(self, tmp_path: Path) -> None:
        grey = RGB16[..., 0]
        data = saved(Image.fromarray(grey), "PNG")
        body = b"tRNS" + struct.pack(">H", grey[2, 3])
        hidden = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
        at = data.index(b"IDAT") - 4
        picture = read(tmp_path, data[:at] + hidden + data[at:], "x.png")
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.pixels[..., 0], grey)
        np.testing.assert_array_equal(picture.alpha, np.where(grey == grey[2, 3], 0, 65535))

    def test_a_wrong_checksum_of_deep_pixels(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "y.png", Picture(RGB16))
        data = bytearray((tmp_path / "y.png").read_bytes())
        data[data.rindex(b"IEND") - 5] ^= 1
        with pytest.raises(ImageError, match=r"damaged \(the checksum of IDAT\)"):
            read(tmp_path, bytes(data), "x.png")

    @pytest.mark.parametrize(
        "exif", [b"Exif\0\0", b"Exif\0\0no directory", b"MM\0*\xff\xff\xff\xff"]
    )
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_damaged_exif_turns_nothing(self, tmp_path: Path, kind: str, exif: bytes) -> None:
        data = saved(Image.fromarray(RGB), kind, exif=exif)
        assert read(tmp_path, data).size == (5, 7)

    def test_progressive_jpeg(self, tmp_path: Path) -> None:
        image = Image.new("RGB", (32, 32), (200, 60, 90))
        picture = read(tmp_path, saved(image, "JPEG", progressive=True))
        assert np.abs(picture.pixels[8, 8].astype(int) - [200, 60, 90]).max() <= 3

    def test_bmp_of_32_bits(self, tmp_path: Path) -> None:
        rgba = np.dstack([RGB, ALPHA])
        picture = read(tmp_path, saved(Image.fromarray(rgba), "BMP"), "x.bmp")
        np.testing.assert_array_equal(picture.pixels, RGB)

    @pytest.mark.parametrize("top", [65535, 1023])
    def test_pnm_of_16_bits(self, tmp_path: Path, top: int) -> None:
        samples = (RGB16.astype(int) % (top + 1)).astype(">u2")
        grey = read(tmp_path, b"P5 7 5 %d\n" % top + samples[..., 0].tobytes(), "x.pgm").pixels
        assert grey.dtype == np.uint16
        wanted = np.round(samples[..., 0] * (65535 / top))
        np.testing.assert_array_equal(grey[..., 1], wanted)
        colour = b"P6\n# a remark\n7 5 %d\n" % top + samples.tobytes()
        if top == 65535:
            np.testing.assert_array_equal(read(tmp_path, colour, "x.ppm").pixels, samples)
        else:
            with pytest.raises(ImageError, match="1023"):
                read(tmp_path, colour, "x.ppm")

    def test_floating_point_pnm(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="1 channel of float32"):
            read(tmp_path, b"Pf 1 1 -1.0\n\0\0\0\0", "x.pgm")

    def test_the_content_decides_not_the_name(self, tmp_path: Path) -> None:
        data = saved(Image.fromarray(RGB), "PNG")
        for name in ("x.jpg", "x.PNG", "x"):
            np.testing.assert_array_equal(read(tmp_path, data, name).pixels, RGB)

    def test_kinds_that_are_not_read(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="PostScript, which is not supported"):
            read(tmp_path, saved(Image.fromarray(RGB), "EPS"), "x.png")


def held(suffix: str, pixels: Pixels) -> Pixels:
    """Such pixels as files of a suffix hold."""
    if suffix in {".exr", ".hdr"}:
        return pixels.astype(np.float32)
    return pixels[..., :1] if suffix in {".dcm", ".nii", ".nii.gz"} else pixels


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("suffix", writable_suffixes())
def test_truncated(tmp_path: Path, suffix: str, deep: bool) -> None:
    """Never a crash or half a picture: an error, or a picture of which the end was no pixels."""
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    path = tmp_path / f"x{suffix}"
    write_picture(path, Picture(held(suffix, noise if deep else eight_bit(noise))))
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        for reader in (read_picture, read_image, read_native):
            with pytest.raises(ImageError, match="x"):
                reader(path)


@pytest.mark.parametrize("chunk", [b"iCCP", b"zTXt"])
def test_a_bomb_in_a_chunk(tmp_path: Path, chunk: bytes) -> None:
    data = saved(Image.fromarray(RGB), "PNG")
    body = b"a\0\0" + zlib.compress(bytes(2**27), 9)
    check = struct.pack(">I", zlib.crc32(chunk + body))
    bomb = struct.pack(">I", len(body)) + chunk + body + check
    with pytest.raises(ImageError, match="too large"):
        read(tmp_path, data[:33] + bomb + data[33:], "x.png")


@pytest.mark.parametrize("suffix", writable_suffixes())
def test_damaged_bytes_give_pictures_or_errors(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    write_picture(path, Picture(held(suffix, RGB16)))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        bad = whole.copy()
        bad[rng.integers(0, len(bad), 5)] = rng.integers(0, 256, 5)
        path.write_bytes(bad.tobytes())
        with suppress(ImageError):
            assert min(read_picture(path).size) > 0
        with suppress(ImageError):
            image = read_native(path)
            pictures = image.frames if isinstance(image, Frames) else (image,)
            facts = probe(path)
            assert (facts.size, facts.pictures) == (pictures[0].size, len(pictures))
            assert facts.dtype == pictures[0].pixels.dtype


def test_opencv_reads_what_is_written(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        for pixels in (RGB, RGB16):
            write_picture(tmp_path / f"x{suffix}", Picture(pixels))
            array = cv2.imread(str(tmp_path / f"x{suffix}"), cv2.IMREAD_UNCHANGED)
            assert array is not None
            np.testing.assert_array_equal(array[..., ::-1], pixels)


def test_metadata_are_kept(tmp_path: Path) -> None:
    text = {"parameters": "größer", "Comment": "x"}
    given = Picture(RGB, None, SRGB, None, b"<x:xmpmeta/>", (300.0, 150.0), text)
    for suffix in (".png", ".tif", ".jpg", ".webp", ".bmp", ".avif"):
        if suffix not in writable_suffixes():
            continue
        write_picture(tmp_path / f"x{suffix}", given)
        back = read_picture(tmp_path / f"x{suffix}")
        if suffix != ".bmp":
            assert back.icc == SRGB
            assert back.xmp == b"<x:xmpmeta/>"
        if suffix in {".png", ".tif", ".jpg", ".bmp"}:
            assert back.dpi is not None
            assert [round(value) for value in back.dpi] == [300, 150]
        assert back.text == (text if suffix == ".png" else {})


def test_a_truncated_document_never_loses_pages(tmp_path: Path) -> None:
    """Of a writer whose directories are behind the pixels, where a cut finds them."""
    path = tmp_path / "x.tif"
    pages = [Image.fromarray(ALPHA16) for _ in range(3)]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_lzw")
    whole = path.read_bytes()
    read = read_image(path)
    assert isinstance(read, Frames)
    assert len(read.frames) == 3
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            part = read_image(path)
        except ImageError:
            continue
        assert isinstance(part, Frames)
        assert len(part.frames) == 3


def test_decoders_say_nothing_themselves(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.tif"
    write_image(path, Frames((Picture(RGB16), Picture(RGB16))))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 8])
    with pytest.raises(ImageError):
        read_image(path)
    assert capfd.readouterr().err == ""
