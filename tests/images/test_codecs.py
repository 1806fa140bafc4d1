"""Files of laboratories, satellites and hospitals: read as their own libraries say, and back."""

import gzip
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import OpenEXR
import pydicom
import pytest
import rasterio
import tifffile
from nibabel import orientations
from nibabel.affines import apply_affine
from PIL import Image, ImageCms
from pydicom.pixels import apply_color_lut
from rasterio.control import GroundControlPoint
from rasterio.transform import from_origin

from img2img.data.slices import assembled
from img2img.errors import ImageError
from img2img.images import (
    CODECS,
    Colours,
    Frames,
    Picture,
    Pixels,
    open_rows,
    probe,
    read_image,
    read_native,
    read_picture,
    with_pixels,
    write_image,
    write_rows,
)
from img2img.images.codecs import base
from img2img.images.codecs.tiff_writing import TiffHeader

RNG = np.random.default_rng(3)
HEIGHT, WIDTH = 20, 33
DICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
NIFTI_FILES = Path(nibabel.__file__).parent / "tests" / "data"


Without = Callable[[str], None]


def values(dtype: Any, *shape: int) -> Pixels:
    """Values from all of a type; of floats, around zero."""
    if np.dtype(dtype).kind == "f":
        return RNG.normal(0, 30, shape).astype(dtype)
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def picture_of(path: Path) -> Picture:
    image = read_native(path)
    assert isinstance(image, Picture)
    return image


def frames_of(path: Path) -> Frames:
    image = read_native(path)
    assert isinstance(image, Frames)
    return image


def stack_of(image: Frames) -> Pixels:
    return np.stack([frame.pixels for frame in image.frames])


def says(path: Path, image: Picture | Frames) -> None:
    """Whether `probe` says what was read."""
    frames = image.frames if isinstance(image, Frames) else (image,)
    facts, first = probe(path), frames[0]
    found = (facts.size, facts.channels, facts.dtype, facts.pictures, facts.names, facts.alpha)
    assert found == (
        *(first.size, first.pixels.shape[2], str(first.pixels.dtype), len(frames)),
        *(first.channels, first.alpha is not None),
    )
    assert facts.axis == (image.axis if isinstance(image, Frames) else None)


class TestTiff:
    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 13])
    @pytest.mark.parametrize(
        "dtype", ["uint8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]
    )
    def test_round_trip(self, tmp_path: Path, channels: int, dtype: str) -> None:
        pixels = values(dtype, HEIGHT, WIDTH, channels)
        names = tuple(f"band {n} <&>" for n in range(channels)) if channels > 4 else None
        write_image(tmp_path / "x.tif", Picture(pixels, channels=names))
        seen = tifffile.imread(tmp_path / "x.tif").reshape(pixels.shape)
        np.testing.assert_array_equal(seen, pixels)
        back = picture_of(tmp_path / "x.tif")
        says(tmp_path / "x.tif", back)
        if channels == 4:  # RGB and alpha to everybody, unless it says otherwise
            assert back.alpha is None
        np.testing.assert_array_equal(back.pixels, pixels)
        assert back.pixels.dtype == dtype
        assert back.channels == names

    @pytest.mark.parametrize("compression", ["lzw", "zstd", "lerc", "packbits", "lzma", "jpegxl"])
    def test_compressions(self, tmp_path: Path, compression: str) -> None:
        pixels = values("uint16", HEIGHT, WIDTH, 3)
        tifffile.imwrite(tmp_path / "x.tif", pixels, compression=compression, photometric="rgb")
        np.testing.assert_array_equal(picture_of(tmp_path / "x.tif").pixels, pixels)

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    @pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 7}, {}])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("metadata", [None, {}], ids=["without axes", "with axes"])
    def test_rows_of_it(
        self,
        tmp_path: Path,
        planar: str,
        layout: dict[str, Any],
        compression: str | None,
        metadata: dict[str, Any] | None,
    ) -> None:
        pixels = values("int16", HEIGHT, WIDTH, 5)
        stored = np.moveaxis(pixels, 2, 0) if planar == "separate" else pixels
        tifffile.imwrite(
            tmp_path / "x.tif",
            stored,
            photometric="minisblack",
            planarconfig=planar,
            compression=compression,
            metadata=metadata,
            **layout,
        )
        with open_rows(tmp_path / "x.tif") as reader:
            assert reader.facts == probe(tmp_path / "x.tif")
            assert reader.head.pixels.shape == (0, WIDTH, 5)
            for start, stop in ((0, 5), (5, 6), (6, HEIGHT), (3, 17), (0, HEIGHT)):
                np.testing.assert_array_equal(reader.read(start, stop).pixels, pixels[start:stop])

    @pytest.mark.parametrize("turn", range(1, 9))
    def test_orientation(self, tmp_path: Path, turn: int) -> None:
        """Of types that Pillow reads and does not, in the same way."""
        pixels = values("uint8", HEIGHT, WIDTH, 3)
        found = []
        for dtype in ("uint8", "float32"):
            stored, extra = pixels.astype(dtype), [(274, 3, 1, turn, True)]
            tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", extratags=extra)
            found.append(picture_of(tmp_path / "x.tif"))
            says(tmp_path / "x.tif", found[-1])
            with open_rows(tmp_path / "x.tif") as reader:
                np.testing.assert_array_equal(reader.read(2, 9).pixels, found[-1].pixels[2:9])
        exif = Image.Exif()
        exif[274] = turn
        Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
        np.testing.assert_array_equal(found[0].pixels, picture_of(tmp_path / "x.png").pixels)
        np.testing.assert_array_equal(found[1].pixels, found[0].pixels)

    def test_one_bit(self, tmp_path: Path) -> None:
        mask = values("uint8", HEIGHT, WIDTH) > 99
        for photometric, wanted in (("minisblack", mask), ("miniswhite", ~mask)):
            tifffile.imwrite(tmp_path / "x.tif", mask, photometric=photometric)
            pixels = picture_of(tmp_path / "x.tif").pixels
            np.testing.assert_array_equal(pixels[..., 0], wanted * 255)

    def test_palette(self, tmp_path: Path) -> None:
        indices, table = values("uint8", HEIGHT, WIDTH), values("uint16", 3, 256)
        tifffile.imwrite(tmp_path / "x.tif", indices, photometric="palette", colormap=table)
        with Image.open(tmp_path / "x.tif") as image:
            np.testing.assert_array_equal(
                read_picture(tmp_path / "x.tif").pixels, image.convert("RGB")
            )
        picture = read_native(tmp_path / "x.tif", indices=True)
        assert isinstance(picture, Picture)
        np.testing.assert_array_equal(picture.pixels[..., 0], indices)

    @pytest.mark.parametrize(
        ("axes", "shape", "axis", "frames", "channels"),
        [
            ("ZCYX", (4, 2, HEIGHT, WIDTH), "z", 4, 2),
            ("CYX", (3, HEIGHT, WIDTH), None, 1, 3),
            ("TYX", (5, HEIGHT, WIDTH), "t", 5, 1),
            ("ZYX", (5, HEIGHT, WIDTH), "z", 5, 1),
            ("YX", (HEIGHT, WIDTH), None, 1, 1),
        ],
    )
    @pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_axes(
        self,
        tmp_path: Path,
        axes: str,
        shape: tuple[int, ...],
        axis: str | None,
        frames: int,
        channels: int,
        kind: str,
        dtype: str,
    ) -> None:
        """Channels are channels, slices slices; both come back, with what the file says of them."""
        stored = values(dtype, *shape)
        options: dict[str, Any] = {"metadata": {"axes": axes}, "photometric": "minisblack"}
        if kind == "ome":
            options["metadata"] |= {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
            if channels > 1:
                options["metadata"]["Channel"] = {"Name": [f"c{n}" for n in range(channels)]}
        if kind == "imagej":
            options |= {"resolution": (4.0, 4.0)}
            options["metadata"] |= {"spacing": 0.5, "unit": "um"}
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, stored, imagej=kind == "imagej", ome=kind == "ome", **options)
        image = read_native(path)
        says(path, image)
        pictures = image.frames if isinstance(image, Frames) else (image,)
        wanted = stored.reshape(frames, channels, HEIGHT, WIDTH).transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(np.stack([each.pixels for each in pictures]), wanted)
        assert (image.axis if isinstance(image, Frames) else None) == axis
        if kind == "ome" and channels > 1:
            assert pictures[0].channels == tuple(f"c{n}" for n in range(channels))
        write_image(tmp_path / "y.tif", image)
        with tifffile.TiffFile(tmp_path / "y.tif") as file:
            back = file.asarray()
            assert back.squeeze().shape == shape
            np.testing.assert_array_equal(back.squeeze(), stored)
            if kind == "ome":
                assert 'PhysicalSizeX="0.25"' in (file.ome_metadata or "")
            if kind == "imagej":
                assert file.imagej_metadata is not None
                assert file.imagej_metadata["spacing"] == 0.5
                assert file.pages.first.tags["XResolution"].value == (4, 1)
        assert probe(tmp_path / "y.tif") == probe(path)

    def test_a_time_series_of_volumes(self, tmp_path: Path) -> None:
        stack = values("uint8", 2, 3, HEIGHT, WIDTH)
        tifffile.imwrite(tmp_path / "x.tif", stack, imagej=True, metadata={"axes": "TZYX"})
        for reader in (read_native, probe, read_image):
            with pytest.raises(ImageError, match=r"x.tif: 4 dimensions \(2 T x 3 Z\)"):
                reader(tmp_path / "x.tif")

    def test_pages_of_different_kinds(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            file.write(values("uint8", HEIGHT, WIDTH, 3), photometric="rgb")
            file.write(values("float32", HEIGHT, WIDTH))
        with pytest.raises(ImageError, match=r"x.tif: pages of .* \(page 1: 3 x uint8; page 2: 1"):
            read_native(tmp_path / "x.tif")

    def test_other_files_of_a_set_are_left_alone(self, tmp_path: Path) -> None:
        """An OME file names the others of its set; nothing is opened by such a name."""
        tifffile.imwrite(tmp_path / "secret.tif", values("uint8", HEIGHT, WIDTH))
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
            f'<Image ID="Image:0"><Pixels ID="Pixels:0" SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeZ="2"'
            ' SizeC="1" SizeT="1" DimensionOrder="XYZCT" Type="uint8"><Channel ID="Channel:0:0"/>'
            '<TiffData IFD="0" FirstZ="0"><UUID FileName="x.ome.tif">urn:uuid:1</UUID></TiffData>'
            '<TiffData IFD="0" FirstZ="1"><UUID FileName="secret.tif">urn:uuid:2</UUID></TiffData>'
            "</Pixels></Image></OME>"
        )
        own = values("uint8", HEIGHT, WIDTH)
        path = tmp_path / "x.ome.tif"
        tifffile.imwrite(path, own, description=xml, metadata=None)
        np.testing.assert_array_equal(picture_of(path).pixels[..., 0], own)

    def test_truncated_and_huge(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, values("uint16", 200, 200, 5), bigtiff=True, planarconfig="contig")
        whole = path.read_bytes()
        for length in (4, 12, 40, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(ImageError, match=r"x.tif: (truncated|damaged)"):
                read_native(path)
        path.write_bytes(whole)
        with tifffile.TiffFile(path, mode="r+") as file:
            for tag in ("ImageWidth", "ImageLength"):
                file.pages.first.tags[tag].overwrite(10**6)
        for reader in (read_native, probe, read_picture):
            with pytest.raises(ImageError, match="pixels in 5 channels are more"):
                reader(path)

    def test_rows_that_are_not_in_the_file(self, tmp_path: Path) -> None:
        """A strip without bytes has the value for no data, here 0."""
        pixels = values("uint16", 12, WIDTH, 2) | 1
        path = tmp_path / "x.tif"
        tifffile.imwrite(
            *(path, pixels),
            photometric="minisblack",
            planarconfig="contig",
            compression="zlib",
            rowsperstrip=4,
            metadata=None,
        )
        with tifffile.TiffFile(path, mode="r+") as file:
            for name in ("StripOffsets", "StripByteCounts"):
                tag = file.pages.first.tags[name]
                tag.overwrite([tag.value[0], 0, tag.value[2]])
        pixels[4:8] = 0
        np.testing.assert_array_equal(picture_of(path).pixels, pixels)
        with open_rows(path) as reader:
            np.testing.assert_array_equal(reader.read(2, 10).pixels, pixels[2:10])

    @pytest.mark.parametrize("channels", [1, 3, 5])
    @pytest.mark.parametrize("alpha", [False, True])
    def test_rows_of_large_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, alpha: bool
    ) -> None:
        """What 4 GB do not hold is appended to the file, row by row."""
        monkeypatch.setattr("img2img.images.codecs.tiff.LARGE", 1)
        pixels = values("uint16", HEIGHT, WIDTH, channels)
        pixels[4:7, 3] = 0
        valid = np.asarray(pixels.any(axis=2))
        opacity = values("uint16", HEIGHT, WIDTH) if alpha else None
        names = tuple(f"B{n}" for n in range(channels)) if channels == 5 else None
        whole = Picture(
            *(pixels, opacity),
            valid=valid,
            channels=names,
            dpi=(300, 150),
            icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
            header=TiffHeader(nodata=9),
        )
        path = tmp_path / "x.tif"
        with write_rows(path, whole, (HEIGHT, WIDTH), "uint16") as writer:
            for start in range(0, HEIGHT, 6):
                writer.write(whole.rows(start, start + 6))
        stored = np.where(valid[..., None], pixels, 9)
        if opacity is not None:
            stored = np.dstack([stored, opacity])
        np.testing.assert_array_equal(tifffile.imread(path).reshape(HEIGHT, WIDTH, -1), stored)
        back = picture_of(path)
        np.testing.assert_array_equal(back.pixels, pixels)
        np.testing.assert_array_equal(back.valid, valid)
        assert (back.channels, back.dpi, back.icc) == (names, (300, 150), whole.icc)
        if opacity is not None:
            np.testing.assert_array_equal(back.alpha, opacity)

    @pytest.mark.parametrize("bits", [2, 4])
    @pytest.mark.parametrize("white", [False, True])
    def test_few_bits(self, tmp_path: Path, bits: int, white: bool) -> None:
        """As Pillow shows them: 0 is black, all bits set are white, or the other way about."""
        numbers = np.arange(32, dtype=np.uint8).reshape(4, 8) % 2**bits
        each = 8 // bits
        packed = np.zeros((4, 8 // each), np.uint8)
        for place in range(each):
            packed |= numbers[:, place::each] << (8 - bits * (place + 1))
        strip, tags = packed.tobytes(), (256, 257, 258, 259, 262, 273, 277, 278, 279)
        contents = (8, 4, bits, 1, int(not white), 122, 1, 4, len(strip))
        entries = b"".join(
            struct.pack("<HHII", tag, 3, 1, content)
            for tag, content in zip(tags, contents, strict=True)
        )
        head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
        (tmp_path / "x.tif").write_bytes(head + strip)
        levels = numbers * (255 // (2**bits - 1))
        pixels = picture_of(tmp_path / "x.tif").pixels[..., 0]
        np.testing.assert_array_equal(pixels, 255 - levels if white else levels)

    def test_several_images_in_ome(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "x.ome.tif", ome=True) as file:
            for size in (HEIGHT, 2 * HEIGHT):
                file.write(values("uint16", size, WIDTH), photometric="minisblack")
        for reader in (probe, read_native):
            with pytest.raises(ImageError, match=r"x.ome.tif: 2 images in one file: save each"):
                reader(tmp_path / "x.ome.tif")

    def test_axes_of_photographs_are_pages(self, tmp_path: Path) -> None:
        """JPEG within TIFF is Pillow's, whatever the file says of axes."""
        pages = values("uint8", 3, 1, 1, 3).repeat(32, axis=1).repeat(32, axis=2)
        tifffile.imwrite(tmp_path / "x.tif", pages, photometric="rgb", compression="jpeg")
        image = frames_of(tmp_path / "x.tif")
        says(tmp_path / "x.tif", image)
        assert image.axis == "page"
        np.testing.assert_allclose(stack_of(image).astype(int), pages, atol=6)

    @pytest.mark.parametrize("nodata", ["none", "-99 m"])
    def test_no_value_for_no_data(self, tmp_path: Path, nodata: str) -> None:
        extra = [(42113, 2, None, nodata, True)]
        tifffile.imwrite(tmp_path / "x.tif", values("int16", HEIGHT, WIDTH), extratags=extra)
        assert probe(tmp_path / "x.tif").nodata is None
        assert picture_of(tmp_path / "x.tif").valid is None

    def test_damaged_descriptions(self, tmp_path: Path) -> None:
        """Names of channels are left out where their XML is cut off."""
        pixels = values("int16", HEIGHT, WIDTH, 2)
        xml = "<GDALMetadata><Item role="
        tifffile.imwrite(
            *(tmp_path / "x.tif", pixels),
            photometric="minisblack",
            planarconfig="contig",
            metadata=None,
            extratags=[(42112, 2, None, xml, True)],
        )
        back = picture_of(tmp_path / "x.tif")
        assert back.channels is None
        np.testing.assert_array_equal(back.pixels, pixels)

    def test_no_page(self, tmp_path: Path) -> None:
        (tmp_path / "x.tif").write_bytes(b"II*\0" + bytes(12))
        for reader in (probe, read_native):
            with pytest.raises(ImageError, match=r"x.tif: damaged .*no page in it"):
                reader(tmp_path / "x.tif")

    def test_opacity_within_ome(self, tmp_path: Path) -> None:
        pixels = values("uint8", HEIGHT, WIDTH, 4)
        tifffile.imwrite(
            tmp_path / "x.ome.tif", pixels, photometric="rgb", extrasamples=["unassalpha"]
        )
        for _ in range(2):
            picture = picture_of(tmp_path / "x.ome.tif")
            assert picture.alpha is not None
            np.testing.assert_array_equal(np.dstack([picture.pixels, picture.alpha]), pixels)
            write_image(tmp_path / "x.ome.tif", picture)

    def test_a_camera_s_raw_file(self, tmp_path: Path) -> None:
        """Only a small preview would be read of it."""
        extra = [(50706, 1, 4, b"\1\4\0\0", True)]  # the version of DNG
        tifffile.imwrite(tmp_path / "x.tif", values("uint8", HEIGHT, WIDTH), extratags=extra)
        with pytest.raises(ImageError, match=r"x.tif: a camera's raw file"):
            read_native(tmp_path / "x.tif")

    def test_directories_in_a_circle(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, values("uint8", HEIGHT, WIDTH), metadata=None)
        data = bytearray(path.read_bytes())
        (at,) = struct.unpack_from("<I", data, 4)
        (entries,) = struct.unpack_from("<H", data, at)
        struct.pack_into("<I", data, at + 2 + 12 * entries, at)
        path.write_bytes(data)
        with pytest.raises(ImageError, match=r"x.tif: damaged: its directories go round"):
            read_native(path)

    def test_colours_multiplied_by_their_opacity(self, tmp_path: Path) -> None:
        """Half of a level at half opacity was that level; of no opacity, nothing is known."""
        stored = np.array([[[100, 64, 0, 128], [9, 8, 7, 0], [1, 2, 3, 255]]], np.uint8)
        tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", extrasamples=[1])
        picture = picture_of(tmp_path / "x.tif")
        assert picture.pixels.tolist() == [[[199, 127, 0], [0, 0, 0], [1, 2, 3]]]
        assert picture.alpha is not None
        assert picture.alpha.tolist() == [[128, 0, 255]]

    def test_colours_in_planes(self, tmp_path: Path) -> None:
        pixels = values("uint16", HEIGHT, WIDTH, 3)
        planes = np.moveaxis(pixels, 2, 0)
        tifffile.imwrite(
            tmp_path / "x.tif", planes, photometric="rgb", planarconfig="separate", metadata=None
        )
        np.testing.assert_array_equal(picture_of(tmp_path / "x.tif").pixels, pixels)

    def test_sizes_of_pixels_follow_the_size(self, tmp_path: Path) -> None:
        """Twice as many pixels are half as large."""
        pixels = values("float32", HEIGHT, WIDTH)
        sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 3.0}
        tifffile.imwrite(tmp_path / "x.ome.tif", pixels, metadata=sizes)
        larger = np.ones((2 * HEIGHT, 4 * WIDTH, 1), np.float32)
        changed = with_pixels(picture_of(tmp_path / "x.ome.tif"), larger, None)
        write_image(tmp_path / "y.tif", changed)
        with tifffile.TiffFile(tmp_path / "y.tif") as file:
            text = file.ome_metadata or ""
        assert 'PhysicalSizeX="0.125"' in text
        assert 'PhysicalSizeY="0.125"' in text
        assert 'PhysicalSizeZ="3.0"' in text
        tifffile.imwrite(
            tmp_path / "x.tif", pixels, imagej=True, resolution=(4, 5), metadata={"unit": "um"}
        )
        changed = with_pixels(picture_of(tmp_path / "x.tif"), larger, None)
        write_image(tmp_path / "y.tif", changed)
        with tifffile.TiffFile(tmp_path / "y.tif") as file:
            assert file.pages.first.resolution == (16, 10)

    def test_gaps(self, tmp_path: Path) -> None:
        pixels = values("float32", HEIGHT, WIDTH, 2)
        pixels[3, 4, 1], pixels[5, 6, 0] = np.nan, np.inf
        tifffile.imwrite(
            tmp_path / "x.tif", pixels, photometric="minisblack", planarconfig="contig"
        )
        picture = picture_of(tmp_path / "x.tif")
        assert picture.valid is not None
        assert [*np.argwhere(~picture.valid).tolist()] == [[3, 4], [5, 6]]
        assert np.isfinite(picture.pixels).all()
        assert not picture.pixels[3, 4].any()
        write_image(tmp_path / "y.tif", picture)
        assert np.isnan(tifffile.imread(tmp_path / "y.tif")[3, 4]).all()
        # GDAL's value for no data, without any coordinates.
        pixels[~picture.valid] = -99
        extra = [(42113, 2, None, "-99", True)]
        tifffile.imwrite(
            tmp_path / "x.tif",
            pixels,
            photometric="minisblack",
            planarconfig="contig",
            extratags=extra,
        )
        again = picture_of(tmp_path / "x.tif")
        np.testing.assert_array_equal(again.valid, picture.valid)
        write_image(tmp_path / "y.tif", again)
        with rasterio.open(tmp_path / "y.tif") as file:
            assert file.nodata == -99
            np.testing.assert_array_equal(np.moveaxis(file.read(), 0, 2), pixels)


class TestGeoTiff:
    @pytest.fixture(params=["uint8", "uint16", "int16", "float32"])
    def ground(self, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
        """Six bands of which some pixels have no data."""
        bands = values(request.param, 6, 300, 280)
        nodata = 0 if bands.dtype.kind == "u" else -999
        bands[bands == nodata] = 1
        bands[:, 10:20, 30:50] = nodata
        bands[2, 100, 100] = nodata
        path = tmp_path / "ground.tif"
        with rasterio.open(
            *(path, "w"),
            driver="GTiff",
            height=300,
            width=280,
            count=6,
            dtype=bands.dtype,
            crs="EPSG:32633",
            transform=from_origin(5e5, 4e6, 10, 20),
            nodata=nodata,
            tiled=True,
            blockxsize=128,
            blockysize=64,
            compress="lzw",
        ) as file:
            file.write(bands)
            file.descriptions = tuple(f"B{n:02}" for n in range(6))
        return path

    def test_round_trip(self, ground: Path, tmp_path: Path) -> None:
        picture = picture_of(ground)
        says(ground, picture)
        with rasterio.open(ground) as file:
            bands, wanted = file.read(), file.profile
            assert probe(ground).nodata == file.nodata
        assert picture.channels == tuple(f"B{n:02}" for n in range(6))
        assert picture.valid is not None
        assert (~picture.valid).sum() == 200  # where all bands say so
        np.testing.assert_array_equal(
            np.moveaxis(picture.pixels, 2, 0), np.where(picture.valid, bands, 0)
        )
        write_image(tmp_path / "y.tif", picture)
        with rasterio.open(tmp_path / "y.tif") as file:
            np.testing.assert_array_equal(file.read(), bands)
            for key in ("crs", "transform", "nodata", "dtype", "count"):
                assert file.profile[key] == wanted[key]
            assert file.descriptions == picture.channels

    def test_rows(self, ground: Path, tmp_path: Path) -> None:
        whole = picture_of(ground)
        with open_rows(ground) as reader:
            size = reader.facts.size
            with write_rows(tmp_path / "y.tif", reader.head, size, whole.pixels.dtype) as writer:
                for start in range(0, 300, 70):
                    rows = reader.read(start, min(start + 70, 300))
                    np.testing.assert_array_equal(rows.pixels, whole.pixels[start : start + 70])
                    writer.write(rows)
        with rasterio.open(ground) as file, rasterio.open(tmp_path / "y.tif") as other:
            np.testing.assert_array_equal(file.read(), other.read())
            assert file.transform == other.transform

    def test_other_sizes_and_bands(self, ground: Path, tmp_path: Path) -> None:
        picture = picture_of(ground)
        half = with_pixels(picture, picture.pixels[::2, ::2, :1], None)
        half = replace(half, channels=("height",), valid=None)
        write_image(tmp_path / "y.tif", half)
        with rasterio.open(tmp_path / "y.tif") as file, rasterio.open(ground) as whole:
            assert file.count == 1
            assert file.res == (20, 40)
            assert file.bounds == whole.bounds
            assert file.descriptions == ("height",)

    def test_without_rasterio(self, ground: Path, tmp_path: Path, without: Without) -> None:
        """The values and the value for no data stay."""
        without("rasterio")
        picture = picture_of(ground)
        says(ground, picture)
        assert picture.channels == tuple(f"B{n:02}" for n in range(6))
        assert picture.valid is not None
        assert (~picture.valid).sum() == 200
        write_image(tmp_path / "y.tif", picture)
        with rasterio.open(ground) as file, rasterio.open(tmp_path / "y.tif") as other:
            np.testing.assert_array_equal(file.read(), other.read())
            assert (file.transform, file.crs) == (other.transform, other.crs)

    def test_masks_and_alpha(self, tmp_path: Path) -> None:
        bands = values("uint8", 3, HEIGHT, WIDTH)
        mask = values("uint8", HEIGHT, WIDTH) > 50
        place = {"crs": "EPSG:4326", "transform": from_origin(7, 47, 0.01, 0.01)}
        size = {"height": HEIGHT, "width": WIDTH, "dtype": "uint8"}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                tmp_path / "m.tif", "w", driver="GTiff", count=3, **size, **place
            ) as file,
        ):
            file.write(bands)
            file.write_mask(mask)
        picture = picture_of(tmp_path / "m.tif")
        np.testing.assert_array_equal(picture.valid, mask)
        write_image(tmp_path / "y.tif", picture)
        with rasterio.open(tmp_path / "y.tif") as file:
            np.testing.assert_array_equal(file.dataset_mask() > 0, mask)
        with rasterio.open(
            tmp_path / "a.tif",
            "w",
            driver="GTiff",
            count=4,
            photometric="rgb",
            alpha="yes",
            **size,
            **place,
        ) as file:
            file.write(np.concatenate([bands, mask[None] * np.uint8(200)]))
            assert file.colorinterp[3].name == "alpha"
        picture = picture_of(tmp_path / "a.tif")
        np.testing.assert_array_equal(picture.alpha, mask * 200)
        np.testing.assert_array_equal(picture.pixels, np.moveaxis(bands, 0, 2))
        write_image(tmp_path / "y.tif", picture)
        with rasterio.open(tmp_path / "y.tif") as file:
            assert file.colorinterp[3].name == "alpha"
            np.testing.assert_array_equal(file.read(4), mask * 200)

    def test_ground_control_points(self, tmp_path: Path) -> None:
        """Where single pixels lie, in place of a transform."""
        bands = values("int16", 2, HEIGHT, WIDTH)
        points = [GroundControlPoint(r, c, 10.0 + c, 50.0 - r) for r, c in ((0, 0), (0, 9), (9, 0))]
        shape = {"height": HEIGHT, "width": WIDTH, "count": 2}
        with rasterio.open(tmp_path / "x.tif", "w", "GTiff", dtype="int16", **shape) as file:
            file.write(bands)
            file.gcps = points, "EPSG:4326"
        write_image(tmp_path / "y.tif", read_native(tmp_path / "x.tif"))
        with rasterio.open(tmp_path / "y.tif") as file:
            np.testing.assert_array_equal(file.read(), bands)
            found, crs = file.gcps
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]
        assert crs == "EPSG:4326"

    def test_palette_of_land_cover(self, tmp_path: Path) -> None:
        """Of which one index is the value for no data, as a colour's number is not."""
        classes = RNG.integers(0, 3, (1, HEIGHT, WIDTH), np.uint8)
        classes[0, 0, :5] = 10
        colours = {0: (0, 0, 255, 255), 1: (0, 128, 0, 255), 2: (200, 200, 10, 255)}
        shape = {"height": HEIGHT, "width": WIDTH, "count": 1, "dtype": "uint8", "nodata": 10}
        place = {"crs": "EPSG:32633", "transform": from_origin(5e5, 4e6, 10, 10)}
        with rasterio.open(tmp_path / "x.tif", "w", "GTiff", **shape, **place) as file:
            file.write(classes)
            file.write_colormap(1, colours)
        table = np.zeros((11, 3), np.uint8)
        table[:3] = [colour[:3] for colour in colours.values()]
        picture = picture_of(tmp_path / "x.tif")
        np.testing.assert_array_equal(picture.valid, classes[0] != 10)
        says(tmp_path / "x.tif", picture)
        np.testing.assert_array_equal(picture.pixels, table[classes[0]])
        indices = read_native(tmp_path / "x.tif", indices=True)
        assert isinstance(indices, Picture)
        np.testing.assert_array_equal(indices.pixels[..., 0], classes[0] * (classes[0] != 10))
        np.testing.assert_array_equal(indices.valid, picture.valid)
        assert indices.colours
        assert indices.colours.palette[:3] == tuple(colour[:3] for colour in colours.values())


class TestNpy:
    @pytest.mark.parametrize(
        ("shape", "channels"),
        [((20, 33), 1), ((20, 33, 5), 5), ((5, 20, 33), 5), ((20, 33, 20), 20), ((1, 20, 33), 1)],
    )
    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    @pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float64", ">f4", "int64"])
    def test_round_trip(
        self, tmp_path: Path, shape: tuple[int, ...], channels: int, suffix: str, dtype: str
    ) -> None:
        array, path = values(np.dtype(dtype).newbyteorder("="), *shape), tmp_path / f"x{suffix}"
        array = array.astype(dtype)
        np.save(path, array) if suffix == ".npy" else np.savez(path, array)
        picture = picture_of(path)
        says(path, picture)
        assert picture.pixels.shape == (20, 33, channels)
        wanted = np.moveaxis(array, 0, 2) if shape[1:] == (20, 33) else array
        np.testing.assert_array_equal(picture.pixels, wanted.reshape(20, 33, channels))
        with open_rows(path) as reader:
            np.testing.assert_array_equal(reader.read(3, 9).pixels, picture.pixels[3:9])
        write_image(tmp_path / f"y{suffix}", picture)
        back = np.load(tmp_path / f"y{suffix}")
        back = back if suffix == ".npy" else back["image"]
        np.testing.assert_array_equal(back, array)

    def test_written_by_rows(self, tmp_path: Path) -> None:
        pixels = values("float32", HEIGHT, WIDTH, 4)
        path = tmp_path / "x.npy"
        with write_rows(path, Picture(pixels[:0]), (HEIGHT, WIDTH), "float32") as writer:
            for start in range(0, HEIGHT, 6):
                writer.write(Picture(pixels[start : start + 6]))
        np.testing.assert_array_equal(np.load(path), pixels)
        with (
            pytest.raises(ImageError, match="6 rows of 20"),
            write_rows(path, Picture(pixels[:0]), (HEIGHT, WIDTH), "float32") as writer,
        ):
            writer.write(Picture(pixels[:6]))
        with (
            pytest.raises(RuntimeError, match="of the caller"),
            write_rows(path, Picture(pixels[:0]), (HEIGHT, WIDTH), "float32") as writer,
        ):
            raise RuntimeError("of the caller")
        np.testing.assert_array_equal(np.load(path), pixels)

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_files_that_are_written_whole(self, tmp_path: Path, suffix: str) -> None:
        pixels, opacity = values("uint8", HEIGHT, WIDTH, 3), values("uint8", HEIGHT, WIDTH)
        head, path = Picture(pixels[:0], opacity[:0], dpi=(300, 300)), tmp_path / f"x{suffix}"
        with write_rows(path, head, (HEIGHT, WIDTH), "uint8") as writer:
            for start in range(0, HEIGHT, 6):
                writer.write(Picture(pixels, opacity, dpi=(300, 300)).rows(start, start + 6))
        back = picture_of(path)
        np.testing.assert_array_equal(back.pixels, pixels)
        np.testing.assert_array_equal(back.alpha, opacity)
        assert back.dpi is not None
        assert round(back.dpi[0]) == 300

    @pytest.mark.parametrize(
        ("array", "reason"),
        [
            (np.zeros((3, 3), complex), "complex numbers"),
            (np.zeros((3, 3), "U3"), "values of <U3"),
            (np.zeros(3), r"shape \(3,\), where \(height, width\)"),
            (np.zeros((2, 3, 4, 5)), r"shape \(2, 3, 4, 5\)"),
            (np.zeros((0, 3)), r"shape \(0, 3\)"),
            (np.array([[{}]]), "Python objects"),
        ],
    )
    def test_others(self, tmp_path: Path, array: Any, reason: str) -> None:
        np.save(tmp_path / "x.npy", array, allow_pickle=True)
        for reader in (probe, read_native):
            with pytest.raises(ImageError, match=f"x.npy: .*{reason}"):
                reader(tmp_path / "x.npy")

    def test_no_arrays(self, tmp_path: Path) -> None:
        bad = tmp_path / "x.npy"
        bad.write_bytes(pickle.dumps([1]))
        with pytest.raises(ImageError, match="a pickle"):
            read_native(bad)
        np.save(bad, values("uint8", HEIGHT, WIDTH))
        bad.write_bytes(bad.read_bytes()[:-1])
        with pytest.raises(ImageError, match="truncated"):
            read_native(bad)
        np.savez(tmp_path / "x.npz", a=np.zeros((3, 3)), b=np.zeros((3, 3)))
        with pytest.raises(ImageError, match=r"2 arrays \(a \(3, 3\), b \(3, 3\)\)"):
            probe(tmp_path / "x.npz")

    def test_two_terabytes(self, tmp_path: Path) -> None:
        about = np.lib.format.header_data_from_array_1_0(np.zeros(0))
        with (tmp_path / "x.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, about | {"shape": (500000, 500000)})
        for reader in (probe, read_native, open_and_close):
            with pytest.raises(ImageError, match="500000 x 500000 pixels are more than"):
                reader(tmp_path / "x.npy")


def open_and_close(path: Path) -> None:
    with open_rows(path):
        pass


class TestDicom:
    @pytest.mark.parametrize(
        "name",
        [
            *("CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm"),
            *("rtdose.dcm", "liver_1frame.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm"),
            *("SC_rgb_rle_2frame.dcm", "image_dfl.dcm", "693_J2KI.dcm", "ExplVR_BigEnd.dcm"),
        ],
    )
    def test_in_units_and_back(self, tmp_path: Path, name: str) -> None:
        path = DICOM_FILES / name
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array
        slope = dataset.get("RescaleSlope", dataset.get("DoseGridScaling", 1))
        wanted = stored * float(slope) + float(dataset.get("RescaleIntercept", 0))
        if dataset.BitsAllocated == 1:
            wanted = wanted * 255
        image = read_native(path)
        says(path, image)
        pixels = stack_of(image) if isinstance(image, Frames) else image.pixels[None]
        wanted = wanted.reshape(pixels.shape)
        if isinstance(image, Picture) and image.valid is not None:
            wanted = np.where(image.valid[..., None], wanted, 0)
        np.testing.assert_array_equal(pixels, wanted.astype(pixels.dtype))
        write_image(tmp_path / "y.dcm", image)
        back = read_native(tmp_path / "y.dcm")
        again = stack_of(back) if isinstance(back, Frames) else back.pixels[None]
        # Real numbers, as of a dose, are stored in 16 bits.
        step = float(np.ptp(pixels)) / 65535 if "DoseGridScaling" in dataset else 0
        np.testing.assert_allclose(again, pixels, rtol=0, atol=step)
        copy = pydicom.dcmread(tmp_path / "y.dcm")
        assert copy.SOPInstanceUID not in {dataset.SOPInstanceUID, ""}
        assert copy.SeriesInstanceUID != dataset.SeriesInstanceUID
        assert copy.StudyInstanceUID == dataset.get("StudyInstanceUID", copy.StudyInstanceUID)
        assert copy.PatientID == dataset.get("PatientID", "")
        assert copy.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert "WindowCenter" not in copy

    def test_monochrome1_padding_and_floats(self, tmp_path: Path) -> None:
        dataset = pydicom.dcmread(DICOM_FILES / "CT_small.dcm")
        stored = dataset.pixel_array.astype(np.uint16)
        dataset.PhotometricInterpretation = "MONOCHROME1"
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        if "PixelPaddingValue" in dataset:
            del dataset.PixelPaddingValue
        dataset.PixelData = stored.tobytes()
        dataset.save_as(tmp_path / "x.dcm")
        np.testing.assert_array_equal(picture_of(tmp_path / "x.dcm").pixels[..., 0], 4095 - stored)
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-3"
        dataset.add_new("PixelPaddingValue", "US", int(stored[0, 0]))
        dataset.save_as(tmp_path / "x.dcm")
        picture = picture_of(tmp_path / "x.dcm")
        assert picture.valid is not None
        np.testing.assert_array_equal(picture.valid, stored != stored[0, 0])
        np.testing.assert_array_equal(
            picture.pixels[..., 0], np.where(picture.valid, stored * 0.5 - 3, 0)
        )
        degrees = values("float32", HEIGHT, WIDTH, 1)
        write_image(tmp_path / "y.dcm", replace(picture, pixels=degrees, valid=None))
        apart = np.abs(picture_of(tmp_path / "y.dcm").pixels - degrees).max()
        assert apart <= np.ptp(degrees) / 65535 * 0.51

    def test_of_another_kind_of_file(self, tmp_path: Path) -> None:
        grey = values("uint16", HEIGHT, WIDTH, 1)
        write_image(tmp_path / "x.dcm", Picture(grey))
        dataset = pydicom.dcmread(tmp_path / "x.dcm")
        np.testing.assert_array_equal(dataset.pixel_array, grey[..., 0])
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        with pytest.raises(ImageError, match=r"holds 1 channel, or 3 .* 5 channels of int16; use"):
            write_image(tmp_path / "x.dcm", Picture(values("int16", HEIGHT, WIDTH, 5)))

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("rtplan.dcm", r"a DICOM without pixels \(RTPLAN\)"),
            ("MR_truncated.dcm", "damaged or truncated"),
        ],
    )
    def test_without_pixels(self, name: str, reason: str) -> None:
        with pytest.raises(ImageError, match=f"{name}: {reason}") as caught:
            read_native(DICOM_FILES / name)
        assert "\n" not in str(caught.value)


def test_a_resized_dicom_stays_in_its_place() -> None:
    """Its corner, half a pixel before the middle of the first one, is where it was."""
    picture = picture_of(DICOM_FILES / "CT_small.dcm")
    small = with_pixels(picture, picture.pixels[::2, ::4], None)
    before, after = (each.header.dataset for each in (picture, small))  # type: ignore[union-attr]
    assert np.allclose(np.array(after.PixelSpacing), np.array(before.PixelSpacing) * (2, 4))
    corners = []
    for dataset in (before, after):
        down, right = (float(s) for s in dataset.PixelSpacing)
        axes = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        first = np.array(dataset.ImagePositionPatient, float)
        corners.append(first - right / 2 * axes[0] - down / 2 * axes[1])
    assert np.allclose(corners[0], corners[1], atol=1e-6)


def test_results_of_one_series_are_one_series(tmp_path: Path) -> None:
    picture = picture_of(DICOM_FILES / "CT_small.dcm")
    series = set()
    for name in ("a.dcm", "b.dcm"):
        write_image(tmp_path / name, picture)
        series.add(pydicom.dcmread(tmp_path / name).SeriesInstanceUID)
    assert len(series) == 1


def test_a_dose_is_in_its_units(tmp_path: Path) -> None:
    path = DICOM_FILES / "rtdose_1frame.dcm"
    dataset = pydicom.dcmread(path)
    picture = picture_of(path)
    wanted = dataset.pixel_array * float(dataset.DoseGridScaling)
    np.testing.assert_allclose(picture.pixels[..., 0], wanted, rtol=1e-6)
    write_image(tmp_path / "x.dcm", picture)
    again = pydicom.dcmread(tmp_path / "x.dcm")
    assert "DoseGridScaling" not in again
    span = float(wanted.max() - wanted.min())
    back = picture_of(tmp_path / "x.dcm").pixels[..., 0]
    np.testing.assert_allclose(back, wanted, atol=span / 65535)


def test_signed_units_are_not_inverted(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(DICOM_FILES / "CT_small.dcm")
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.save_as(tmp_path / "x.dcm")
    units = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    picture = picture_of(tmp_path / "x.dcm")
    seen = np.ones(picture.size, bool) if picture.valid is None else picture.valid
    assert np.array_equal(picture.pixels[..., 0][seen], units[seen])


def test_palette_of_dicom() -> None:
    path = DICOM_FILES / "examples_palette.dcm"
    dataset = pydicom.dcmread(path)
    picture = picture_of(path)
    says(path, picture)
    np.testing.assert_array_equal(picture.pixels, apply_color_lut(dataset.pixel_array, dataset))


def test_dicom_without_a_size(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(DICOM_FILES / "CT_small.dcm")
    dataset.Rows = 0
    dataset.save_as(tmp_path / "x.dcm")
    with pytest.raises(ImageError, match=r"x.dcm: a DICOM image without a size"):
        read_native(tmp_path / "x.dcm")


class TestNifti:
    def test_colours(self, tmp_path: Path) -> None:
        colours = values("uint8", WIDTH, HEIGHT, 4, 3)
        stored = colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
        nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), tmp_path / "x.nii")
        image = frames_of(tmp_path / "x.nii")
        says(tmp_path / "x.nii", image)
        # Up is +y.
        wanted = colours.transpose(2, 1, 0, 3)[:, ::-1]
        np.testing.assert_array_equal(stack_of(image), wanted)

    def test_a_single_slice(self, tmp_path: Path) -> None:
        stored = values("int16", WIDTH, HEIGHT)
        nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), tmp_path / "x.nii")
        picture = picture_of(tmp_path / "x.nii")
        np.testing.assert_array_equal(picture.pixels[..., 0], stored.T[::-1])
        write_image(tmp_path / "y.nii", picture)
        back = nibabel.load(tmp_path / "y.nii")
        assert back.shape == (WIDTH, HEIGHT)
        np.testing.assert_array_equal(back.dataobj, stored)

    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
    @pytest.mark.parametrize(
        "name", ["anatomical.nii", "standard.nii.gz", "reoriented_anat_moved.nii"]
    )
    def test_round_trip(self, tmp_path: Path, name: str, suffix: str) -> None:
        image = frames_of(NIFTI_FILES / name)
        says(NIFTI_FILES / name, image)
        assert image.axis == "z"
        write_image(tmp_path / f"y{suffix}", image)
        before, after = nibabel.load(NIFTI_FILES / name), nibabel.load(tmp_path / f"y{suffix}")
        np.testing.assert_array_equal(np.asarray(before.dataobj), np.asarray(after.dataobj))
        np.testing.assert_array_equal(before.affine, after.affine)
        assert before.get_data_dtype() == after.get_data_dtype()

    @pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SLA"])
    def test_slices_lie_as_they_are_seen(self, tmp_path: Path, codes: str) -> None:
        volume = values("float32", 5, 6, 7)  # along x, y, z
        turn = orientations.ornt_transform(
            orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt(codes)
        )
        stored = orientations.apply_orientation(volume, turn)
        affine = np.diag([2.0, 3, 4, 1]) @ orientations.inv_ornt_aff(turn, volume.shape)
        nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "x.nii")
        image = frames_of(tmp_path / "x.nii")
        assert len(image.frames) == 7
        for at, frame in enumerate(image.frames):
            np.testing.assert_array_equal(frame.pixels[..., 0], volume[:, ::-1, at].T)
        write_image(tmp_path / "y.nii", image)
        back = nibabel.load(tmp_path / "y.nii")
        np.testing.assert_array_equal(np.asarray(back.dataobj), stored)
        np.testing.assert_array_equal(back.affine, affine)

    def test_units(self, tmp_path: Path) -> None:
        image = nibabel.Nifti1Image(values("float32", 4, 5, 3), np.eye(4))
        image.header.set_data_dtype(np.int16)
        nibabel.save(image, tmp_path / "x.nii")
        wanted = nibabel.load(tmp_path / "x.nii").get_fdata(dtype=np.float32)
        seen = frames_of(tmp_path / "x.nii")
        assert probe(tmp_path / "x.nii").dtype == "float32"
        np.testing.assert_allclose(
            stack_of(seen)[..., 0], wanted[:, ::-1].transpose(2, 1, 0), rtol=1e-6, atol=1e-5
        )
        write_image(tmp_path / "y.nii", seen)
        back = nibabel.load(tmp_path / "y.nii")
        assert back.get_data_dtype() == np.float32
        np.testing.assert_allclose(back.get_fdata(), wanted, rtol=1e-6, atol=1e-5)

    def test_bad_ones(self, tmp_path: Path) -> None:
        path = tmp_path / "x.nii"
        nibabel.save(nibabel.Nifti1Image(values("uint8", 4, 5, 3), np.eye(4)), path)
        whole = bytearray(path.read_bytes())
        lost = whole.copy()
        lost[254:256], lost[280:328] = b"\1\0", bytes(48)
        huge = whole.copy()
        struct.pack_into("<4h", huge, 40, 3, 30000, 30000, 3000)
        cases: list[tuple[bytes | bytearray, str]] = [
            (lost, "affine is zero or singular"),
            (huge, "30000 x 30000 pixels of 3000 slices are more than"),
            (whole[:-9], "damaged or truncated"),
            (b"no volume " * 99, "not a NIfTI file"),
        ]
        for data, reason in cases:
            path.write_bytes(data)
            with pytest.raises(ImageError, match=f"x.nii: .*{reason}"):
                read_native(path)
            (tmp_path / "x.nii.gz").write_bytes(gzip.compress(data))
            with pytest.raises(ImageError, match=r"x.nii.gz: "):
                read_native(tmp_path / "x.nii.gz")
        with pytest.raises(ImageError, match="128 x 96 x 24 x 2, a time series"):
            probe(NIFTI_FILES / "example4d.nii.gz")
        nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.complex64), np.eye(4)), path)
        with pytest.raises(ImageError, match="complex numbers"):
            probe(path)


def test_a_resized_volume_stays_in_its_place(tmp_path: Path) -> None:
    """Its corners in space, half a voxel beyond the middles of the outermost ones."""
    affine = np.array([[0, -2.0, 0, 5], [3, 0, 0, -7], [0, 0, 4, 1], [0, 0, 0, 1]])
    volume = values(np.int16, 12, 8, 3)
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "x.nii")
    given = frames_of(tmp_path / "x.nii")
    halves = [with_pixels(each, each.pixels[::2, ::4], None) for each in given.frames]
    write_image(tmp_path / "y.nii", assembled(halves, given, "z"))
    corners = []
    for name in ("x.nii", "y.nii"):
        image = nibabel.load(tmp_path / name)
        ends = np.array([(-0.5,) * 3, np.array(image.shape) - 0.5])
        corners.append(np.sort(apply_affine(image.affine, ends), axis=0))
    assert np.allclose(corners[0], corners[1], atol=1e-5)


class TestHighDynamicRange:
    @pytest.mark.parametrize("channels", [1, 3, 4, 5])
    @pytest.mark.parametrize("dtype", ["float16", "float32", "uint32"])
    def test_exr(self, tmp_path: Path, channels: int, dtype: str) -> None:
        pixels = values(dtype, HEIGHT, WIDTH, channels)
        write_image(tmp_path / "x.exr", Picture(pixels))
        picture = picture_of(tmp_path / "x.exr")
        says(tmp_path / "x.exr", picture)
        np.testing.assert_array_equal(picture.pixels, pixels)
        assert (
            picture.channels
            == {
                1: ("Y",),
                3: ("R", "G", "B"),
                4: ("R", "G", "B", "A"),
                5: tuple("12345"),
            }[channels]
        )
        with OpenEXR.File(str(tmp_path / "x.exr"), separate_channels=True) as file:
            seen = file.channels()
            for at, name in enumerate(picture.channels or ()):
                np.testing.assert_array_equal(seen[name].pixels, pixels[..., at])
        whole = (tmp_path / "x.exr").read_bytes()
        for length in (9, 200, len(whole) - 20):
            (tmp_path / "x.exr").write_bytes(whole[:length])
            with pytest.raises(ImageError, match=r"x.exr"):
                read_native(tmp_path / "x.exr")

    def test_hdr(self, tmp_path: Path) -> None:
        pixels = np.abs(values("float32", HEIGHT, WIDTH, 3))
        write_image(tmp_path / "x.hdr", Picture(pixels))
        picture = picture_of(tmp_path / "x.hdr")
        says(tmp_path / "x.hdr", picture)
        assert np.all(np.abs(picture.pixels - pixels) <= pixels.max(axis=2, keepdims=True) / 128)


class TestPng:
    @pytest.mark.parametrize(
        ("channels", "alpha"),
        [(1, False), (1, True), (2, False), (3, False), (3, True), (4, False)],
    )
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_round_trip(self, tmp_path: Path, channels: int, dtype: str, alpha: bool) -> None:
        pixels = values(dtype, HEIGHT, WIDTH, channels)
        opacity = values(dtype, HEIGHT, WIDTH) if alpha else None
        write_image(tmp_path / "x.png", Picture(pixels, opacity))
        back = picture_of(tmp_path / "x.png")
        says(tmp_path / "x.png", back)
        seen = back.pixels if back.alpha is None else np.dstack([back.pixels, back.alpha])
        wanted = pixels if opacity is None else np.dstack([pixels, opacity])
        np.testing.assert_array_equal(seen, wanted)
        assert seen.dtype == dtype

    def test_indices(self, tmp_path: Path) -> None:
        indices = values("uint8", HEIGHT, WIDTH) % 5
        palette = tuple((n * 50, 255 - n * 50, n) for n in range(5))
        picture = Picture(indices[..., None], colours=Colours(palette))
        write_image(tmp_path / "x.png", picture)
        with Image.open(tmp_path / "x.png") as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), indices)
        back = read_native(tmp_path / "x.png", indices=True)
        assert isinstance(back, Picture)
        np.testing.assert_array_equal(back.pixels[..., 0], indices)
        assert back.colours
        assert back.colours.palette[:5] == palette
        assert (probe(tmp_path / "x.png").palette or ())[:5] == palette
        np.testing.assert_array_equal(
            picture_of(tmp_path / "x.png").pixels, np.array(palette)[indices]
        )


@pytest.mark.parametrize(
    ("suffix", "pixels", "reason"),
    [
        (
            ".png",
            values("float32", 4, 4, 3),
            "holds 1 to 4 channels of uint8 or uint16, and this is",
        ),
        (".png", values("uint8", 4, 4, 5), "5 channels of uint8; use .*.tif"),
        (".jpg", values("int16", 4, 4, 1), "holds grey or RGB of 8 bits, and this is 1 channel"),
        (".hdr", values("uint8", 4, 4, 3), "3 channels of float32"),
        (".exr", values("uint8", 4, 4, 3), "float16, float32 or uint32"),
        (".nii", values("uint8", 4, 4, 3), "holds 1 channel"),
        (".xyz", values("uint8", 4, 4, 3), "cannot write a picture in this format; use .png"),
    ],
)
def test_what_a_suffix_cannot_hold(
    tmp_path: Path, suffix: str, pixels: Pixels, reason: str
) -> None:
    with pytest.raises(ImageError, match=f"x{suffix}: .*{reason}"):
        write_image(tmp_path / f"x{suffix}", Picture(pixels))
    assert not [*tmp_path.iterdir()]


def test_a_volume_is_a_volume_in_tiff_and_nifti(tmp_path: Path) -> None:
    slices = tuple(Picture(values("float32", HEIGHT, WIDTH, 1)) for _ in range(4))
    for suffix in (".tif", ".nii.gz", ".dcm"):
        write_image(tmp_path / f"x{suffix}", Frames(slices, axis="z"))
        back = frames_of(tmp_path / f"x{suffix}")
        assert back.axis == "z"
        assert len(back.frames) == 4
    with pytest.raises(ImageError, match="cannot write a volume in this format; use"):
        write_image(tmp_path / "x.png", Frames(slices, axis="z"))


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Without:
    """Makes a library seem not to be installed."""

    def hide(name: str) -> None:
        there = base.has_module
        for module in [each for each in sys.modules.values() if hasattr(each, "has_module")]:
            monkeypatch.setattr(module, "has_module", lambda m: m != name and there(m))

    return hide


@pytest.mark.parametrize(
    ("library", "suffix"),
    [("pydicom", ".dcm"), ("nibabel", ".nii"), ("OpenEXR", ".exr"), ("imagecodecs", ".tif")],
)
def test_a_missing_library_is_named(
    tmp_path: Path, without: Without, library: str, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(
            path, values("uint16", 5, 4, 4), compression="zstd", photometric="minisblack"
        )
    else:
        write_image(path, Picture(values("uint32", 4, 4, 1)))
    without(library)
    for reader in (read_native, probe, read_picture):
        with pytest.raises(ImageError, match=rf"{path.name}: .*which needs {library}: .*install"):
            reader(path)


def test_lzw_without_imagecodecs(tmp_path: Path) -> None:
    """What Pillow and OpenCV decode is read without it, and is the same."""
    kinds: dict[str, Pixels] = {}
    for dtype in ("uint8", "uint16"):
        for channels in (1, 3, 4):
            pixels = values(dtype, HEIGHT, WIDTH, channels)
            path = tmp_path / f"{dtype}-{channels}.tif"
            tifffile.imwrite(
                path,
                pixels[..., 0] if channels == 1 else pixels,
                photometric="minisblack" if channels == 1 else "rgb",
                compression="lzw",
                predictor=True,
            )
            picture = read_native(path)
            assert isinstance(picture, Picture)
            alpha = [] if picture.alpha is None else [picture.alpha]
            kinds[path.name] = np.dstack([picture.pixels, *alpha])
            np.testing.assert_array_equal(kinds[path.name], pixels)
    for name, pixels in kinds.items():
        np.save(tmp_path / f"{name}.npy", pixels)
    code = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from img2img.images import read_native\n"
        "from img2img.images.codecs import base\n"
        "assert not base.has_module('imagecodecs')\n"
        "folder = Path(sys.argv[1])\n"
        "for path in folder.glob('*.tif'):\n"
        "    picture = read_native(path)\n"
        "    alpha = [] if picture.alpha is None else [picture.alpha]\n"
        "    wanted = np.load(f'{path}.npy')\n"
        "    np.testing.assert_array_equal(np.dstack([picture.pixels, *alpha]), wanted)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_a_bomb_in_a_strip(tmp_path: Path, without: Without) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, values("uint8", 16, 16, 1), compression="zlib")
    strip = zlib.compress(bytes(2**22))
    with tifffile.TiffFile(path, mode="r+") as file:
        place = file.filehandle.size
        file.pages.first.tags["StripOffsets"].overwrite(place)
        file.pages.first.tags["StripByteCounts"].overwrite(len(strip))
    path.write_bytes(path.read_bytes() + strip)
    for hidden in ("nothing", "imagecodecs"):
        without(hidden)
        with pytest.raises(ImageError, match=r"x.tif: damaged"):
            read_native(path)


def test_every_codec_says_what_it_is() -> None:
    for part in CODECS:
        codec = part.factory()
        assert part.summary
        assert codec.suffixes or codec.special
        assert codec.library is None or (codec.extra and codec.kind)
