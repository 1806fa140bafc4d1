"""What a file says about its pixels: orientation, colour profile, EXIF, XMP, resolution, text."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from img2img.images import exif as blocks
from img2img.images.depths import Pixels
from img2img.images.picture import Picture, Size

# Of a TIFF, whose tags are its EXIF block: those that tell of the picture, not of how it is stored.
# The last line is GeoTIFF's.
DESCRIPTIVE = frozenset(
    {Tag.ImageDescription, Tag.Make, Tag.Model, Tag.Software, Tag.DateTime, Tag.Artist}
    | {Tag.Copyright, IFD.Exif, IFD.GPSInfo}
    | {33550, 33922, 34264, 34735, 34736, 34737}
)


# In XMP: pictures of the picture, by name and as what base64 makes of the first bytes of one;
# where more is, that the result has not; and how samples were stored.
_XMP_PICTURES = [
    rb"<(\w+:(?:Thumbnails|Directory))\b.*?</\1\s*>",
    rb"\s[\w.-]+:[\w.-]+=([\"'])(?:/9j/|iVBORw)[^\"']*\1",
    rb"(?<=>)\s*(?:/9j/|iVBORw)[^<]*(?=<)",
    rb"\sxmpNote:HasExtendedXMP=([\"'])[^\"']*\1",
    rb"<(tiff:(?:BitsPerSample|SamplesPerPixel|PhotometricInterpretation)|photoshop:ColorMode)\b"
    rb".*?</\1\s*>",
    rb"\s(?:tiff:(?:SamplesPerPixel|PhotometricInterpretation)|photoshop:ColorMode)="
    rb"([\"'])[^\"']*\1",
]
_XMP_TAG = 700
_XMP_SIZES = rb"((?:exif:Pixel%cDimension|tiff:Image%s)(?:=[\"']|>))\d+"


def metadata(image: Image.Image, orientation: int) -> dict[str, Any]:
    """The fields of a `Picture` that are not pixels, as they are true of it upright.

    What is damaged is left out, and what shows or tells how the file was: its thumbnails, how its
    samples were stored.
    """
    icc, xmp, dpi = (image.info.get(key) for key in ("icc_profile", "xmp", "dpi"))
    size = image.height, image.width
    if orientation >= 5:
        size = size[::-1]
    exif = image.info.get("exif")
    return {
        "icc": icc if colour_space(icc) == b"RGB " else None,
        "exif": blocks.of_upright(exif, size) if exif else None,
        "xmp": _xmp(xmp, size) if xmp else None,
        "dpi": _dpi(dpi),
        "text": _text(image),
    }


def of_tags(tags: Image.Exif, size: Size) -> dict[str, Any]:
    """The same, from the tags of a TIFF's page; they are its EXIF block, too.

    Args:
        size: of the picture, upright.
    """
    icc, xmp = (_bytes(tags.get(tag)) for tag in (Tag.InterColorProfile, _XMP_TAG))
    try:
        kept = Image.Exif()
        for tag in DESCRIPTIVE & set(tags):
            kept[tag] = tags.get_ifd(tag) if tag in {IFD.Exif, IFD.GPSInfo} else tags[tag]
        exif = kept.tobytes() if kept else None
    except Exception:
        exif = None
    resolution = tags.get(Tag.XResolution), tags.get(Tag.YResolution)
    inches = {None: 1.0, 2: 1.0, 3: 2.54}.get(tags.get(Tag.ResolutionUnit))
    dpi = _dpi(resolution)
    return {
        "icc": icc if colour_space(icc) == b"RGB " else None,
        "exif": blocks.of_upright(exif, size) if exif else None,
        "xmp": _xmp(xmp, size) if xmp else None,
        "dpi": dpi and inches and (dpi[0] * inches, dpi[1] * inches),
    }


def _bytes(value: Any) -> bytes | None:
    return value if isinstance(value, bytes) else None


def with_pixels(picture: Picture, pixels: Pixels, alpha: Pixels | None) -> Picture:
    """Other pixels, perhaps of another size, which the metadata then tell."""
    before, after = picture.size, (len(pixels), len(pixels[0]))
    changed = replace(picture, pixels=pixels, alpha=alpha)
    if before == after:
        return changed
    return replace(
        changed,
        header=picture.header and picture.header.resized(before, after),
        exif=picture.exif and blocks.resized(picture.exif, before, after),
        xmp=picture.xmp and _xmp(picture.xmp, after),
    )


def orientation(image: Image.Image) -> int:
    """How the pixels lie, 1 (upright) to 8, as EXIF numbers it."""
    if image.format == "TIFF":  # Pillow turns a TIFF upright itself
        return 1
    try:
        return int(image.getexif().get(Tag.Orientation, 1))
    except Exception:  # a damaged block says nothing about the pixels
        return 1


def colour_space(icc: bytes | None) -> bytes:
    """Four letters in a profile's header, such as `RGB ` or `GRAY`."""
    return b"" if icc is None else icc[16:20]


def upright(array: Pixels, orientation: int) -> Pixels:
    """Pixels turned from how they lie in the file to how they are seen."""
    turn = _TURNS.get(orientation)
    return array if turn is None else np.ascontiguousarray(turn(array))


# Orientation -> what makes the picture upright.
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


def _xmp(packet: bytes, size: Size) -> bytes:
    packet = re.sub(rb"(tiff:Orientation(?:=[\"']|>))[2-8]", rb"\g<1>1", packet)
    for pictures in _XMP_PICTURES:
        packet = re.sub(pictures, b"", packet, flags=re.DOTALL)
    for letter, side, pixels in ((b"Y", b"Length", size[0]), (b"X", b"Width", size[1])):
        packet = re.sub(_XMP_SIZES % (letter, side), rb"\g<1>%d" % pixels, packet)
    return packet


def _dpi(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = map(float, dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    plain = all(math.isfinite(value) and 0 < value < 2**16 for value in (across, down))
    return (across, down) if plain else None


def _text(image: Image.Image) -> dict[str, str]:
    """Without the chunks that hold XMP and, as ImageMagick writes it, EXIF, and thumbnails' own."""
    chunks: dict[str, str] = getattr(image, "text", {}) if image.format == "PNG" else {}
    other = ("XML:com.adobe.xmp", "Raw profile type", "Thumb::")
    return {key: str(value) for key, value in chunks.items() if not key.startswith(other)}
