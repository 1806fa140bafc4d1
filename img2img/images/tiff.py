"""Encoding TIFF, of any depth and channels and of several pages, with what EXIF blocks say.

By hand: neither Pillow nor OpenCV nor tifffile writes all of that. Each page is deflated strips, of
differences between neighbours where the values are integers.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from img2img.images.depths import Pixels, bands
from img2img.images.metadata import DESCRIPTIVE
from img2img.images.picture import Picture

# GDAL's, of GeoTIFF: names of channels, and the value that stands for no data.
GDAL_METADATA, NODATA = 42112, 42113
_XMP = 700
# Level 6 takes four times as long for 7 % less.
_LEVEL = 1
_FORMATS = {"u": 1, "i": 2, "f": 3}


def encode_tiff(pages: Sequence[tuple[Picture, Pixels]]) -> Iterator[bytes]:
    """The parts of a file: for each page its directory, then its pixels.

    Args:
        pages: pictures, each with the pixels that are written.
    """
    yield b"II*\0" + struct.pack("<I", 8)
    offset = 8
    for index, (page, pixels) in enumerate(pages):
        strips = [*_deflated(page, pixels)]
        lengths = [len(strip) for strip in strips]
        tags = _directory(page, pixels, lengths)
        directory = bytearray(tags.tobytes(offset))
        odd = (len(directory) + sum(lengths)) % 2
        end = offset + len(directory) + sum(lengths) + odd
        if index + 1 < len(pages):  # where the next directory is stands behind the entries
            struct.pack_into("<I", directory, 2 + 12 * len(tags), end)
        yield bytes(directory)
        yield from strips
        yield b"\0" * odd  # directories begin at even places
        offset = end


def named_channels(names: Sequence[str]) -> str:
    """The names of channels as GDAL writes them."""
    items = (
        f'<Item name="DESCRIPTION" sample="{at}" role="description">{escape(name)}</Item>'
        for at, name in enumerate(names)
    )
    return f"<GDALMetadata>{''.join(items)}</GDALMetadata>"


def _deflated(picture: Picture, pixels: Pixels) -> Iterator[bytes]:
    for rows in bands(*picture.size):
        band = pixels[rows]
        if picture.alpha is not None:
            band = np.dstack([band, picture.alpha[rows]])
        if _has_predictor(pixels):
            differences = band.copy()
            differences[:, 1:] -= band[:, :-1]  # wraps, as it should
            band = differences
        yield zlib.compress(band.astype(band.dtype.newbyteorder("<")).tobytes(), _LEVEL)


def _has_predictor(pixels: Pixels) -> bool:
    return pixels.dtype.kind in "iu" and pixels.itemsize <= 4


def _directory(
    picture: Picture, pixels: Pixels, lengths: Sequence[int]
) -> TiffImagePlugin.ImageFileDirectory_v2:
    (height, width), channels = picture.size, pixels.shape[2]
    samples = channels + (picture.alpha is not None)
    colour = channels == 3 and picture.channels is None and pixels.dtype.kind == "u"
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if picture.exif:
        exif = Image.Exif()
        exif.load(picture.exif)
        for tag in DESCRIPTIVE & set(exif):
            tags[tag] = exif.get_ifd(tag) if tag in {IFD.Exif, IFD.GPSInfo} else exif[tag]
    tags[Tag.ImageWidth] = width
    tags[Tag.ImageLength] = height
    tags[Tag.BitsPerSample] = (pixels.itemsize * 8,) * samples
    tags[Tag.Compression] = 8  # deflate
    tags[Tag.PhotometricInterpretation] = 2 if colour else 1  # RGB, or black is zero
    if picture.colours and channels == 1 and pixels.dtype == np.uint8:
        tags[Tag.PhotometricInterpretation] = 3  # indices of a palette
        palette = np.zeros((256, 3), int)
        palette[: len(picture.colours.palette)] = picture.colours.palette
        tags[Tag.ColorMap] = tuple(map(int, palette.T.ravel() * 257))
    # Counted from the end of the directory.
    tags[Tag.StripOffsets] = tuple(int(at) for at in np.cumsum([0, *lengths[:-1]]))
    tags[Tag.SamplesPerPixel] = samples
    tags[Tag.RowsPerStrip] = next(bands(height, width)).stop
    tags[Tag.StripByteCounts] = tuple(lengths)
    tags[Tag.Predictor] = 2 if _has_predictor(pixels) else 1  # horizontal differences, or none
    if pixels.dtype.kind != "u":
        tags[Tag.SampleFormat] = (_FORMATS[pixels.dtype.kind],) * samples
    extra = (0,) * (0 if colour else channels - 1) + (2,) * (picture.alpha is not None)
    if extra:  # of no meaning that is told; alpha, not multiplied into the colours
        tags[Tag.ExtraSamples] = extra
    if picture.dpi:
        tags[Tag.XResolution], tags[Tag.YResolution] = picture.dpi
        tags[Tag.ResolutionUnit] = 2  # inch
    for tag, data in ((Tag.InterColorProfile, picture.icc), (_XMP, picture.xmp)):
        if data:
            tags.tagtype[tag] = 7  # bytes
            tags[tag] = data
    texts = {}
    if picture.channels:
        texts[GDAL_METADATA] = named_channels(picture.channels)
    if picture.header is not None and picture.header.nodata is not None:
        texts[NODATA] = f"{picture.header.nodata:.17g}"
    for tag, text in texts.items():
        tags.tagtype[tag] = 2  # text
        tags[tag] = text
    return tags
