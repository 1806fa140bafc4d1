"""The pages of a TIFF: where they are, what their samples are, and what decodes them."""

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import tifffile
from tifffile import TiffPage

from img2img.errors import ImageError
from img2img.images.codecs.base import checked, has_module
from img2img.images.codecs.facts import Palette
from img2img.images.depths import Pixels
from img2img.images.picture import Size
from img2img.runtime.installation import install_extra

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# PhotometricInterpretation: what the first samples are, and how many.
_COLOURS = {
    0: ("grey", 1),
    1: ("grey", 1),
    2: ("RGB", 3),
    3: ("palette", 1),
    5: ("CMYK", 4),
    6: ("YCbCr", 3),
    8: ("LAB", 3),
}
WHITE_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 2, 3, 6
_OTHER_COLOURS = {
    32803: "a camera's raw colours",
    34892: "a camera's raw colours",
    32844: "LogL",
    32845: "LogLuv",
}
_ALPHA, _MULTIPLIED = {1, 2, 999}, 1  # the last of them is an old one of Corel's
JPEG, OLD_JPEG, FAX = 7, 6, {2, 3, 4}
_LZW, DEFLATE = 5, {8, 32946}
# What tifffile decodes by itself: compressions (none, deflate, LZMA, PackBits) and predictors.
_ITS_OWN, _ITS_PREDICTORS = {1, 8, 32946, 34925, 32773}, {1, 2}


@dataclass(frozen=True)
class Kind:
    """What the samples of a page are.

    Attributes:
        channels: besides alpha.
        alpha: which of the samples it is.
        by_pillow: whether Pillow decodes them, to grey or RGB.
    """

    name: str
    dtype: np.dtype[Any]
    channels: int
    alpha: int | None
    multiplied: bool
    by_pillow: bool


def kind_of(page: TiffPage) -> Kind:
    """What the samples of a page are.

    Raises:
        ImageError: nothing that is read.
    """
    colours, compression = int(page.photometric or 0), int(page.compression)
    if compression == OLD_JPEG:
        colours = _YCBCR
    if colours in _OTHER_COLOURS:
        raise ImageError(f"{_OTHER_COLOURS[colours]}, which are not supported")
    name, own = _COLOURS.get(colours, ("channels", page.samplesperpixel))
    if page.dtype is None:
        raise ImageError("samples of different depths are not supported")
    if page.is_volumetric:
        raise ImageError("pixels that have depth are not supported: save slices as pages")
    dtype = checked(page.dtype)
    own = 1 if colours == _YCBCR and page.samplesperpixel == 1 else own
    samples = page.samplesperpixel
    photograph = page.bitspersample <= 8 and samples == own
    if photograph and (name in {"CMYK", "YCbCr", "LAB"} or compression in {JPEG, OLD_JPEG, *FAX}):
        return Kind(
            name, np.dtype(np.uint8), 1 if own == 1 and name != "palette" else 3, None, False, True
        )
    if not (decodes(page) or _others_decode(page, dtype, name)):
        what = f"compressed by {tifffile.COMPRESSION(compression).name}, which needs imagecodecs"
        raise ImageError(f"{what}: {install_extra('science')}")
    # Where nothing is said of a fourth one, it is taken for alpha, as those who write so mean it.
    extra = tuple(map(int, page.extrasamples)) or (2,) * (name == "RGB" and samples == 4)
    extra = (*extra, *[0] * (samples - own - len(extra)))[: max(samples - own, 0)]
    places = [own + at for at, what in enumerate(extra) if what in _ALPHA]
    alpha = places[0] if places and dtype in (np.uint8, np.uint16) and name != "channels" else None
    if alpha is not None and name == "CMYK":
        alpha = None
    channels = samples - (alpha is not None)
    if name == "palette":
        channels, dtype = 3, np.dtype(np.uint8)
    dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
    multiplied = alpha is not None and extra[alpha - own] == _MULTIPLIED
    return Kind(name, dtype, channels, alpha, multiplied, False)


def decodes(page: TiffPage) -> bool:
    """Whether tifffile decodes the page, alone or with imagecodecs."""
    if has_module("imagecodecs"):
        return True
    return page.compression in _ITS_OWN and page.predictor in _ITS_PREDICTORS


def _others_decode(page: TiffPage, dtype: np.dtype[Any], name: str) -> bool:
    """Whether Pillow and OpenCV do."""
    shallow = page.bitspersample <= 8 and name in {"grey", "palette", "RGB"}
    plain_one = dtype == np.uint16 and name in {"grey", "RGB"} and page.planarconfig == 1
    return page.compression == _LZW and (shallow or plain_one) and page.samplesperpixel <= 4


def size_of(page: TiffPage) -> Size:
    """Height and width, as the page is stored."""
    return page.imagelength, page.imagewidth


def orientation_of(page: TiffPage) -> int:
    """How the pixels lie, 1 (upright) to 8, as EXIF numbers it."""
    tag = page.tags.get("Orientation")
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def turned_size(size: Size, page: TiffPage) -> Size:
    """A size as stored, of the page turned upright."""
    return size[::-1] if orientation_of(page) >= 5 else size


def palette_of_page(page: TiffPage) -> Palette | None:
    """The colours of its palette, where it has one."""
    if page.photometric != _PALETTE or page.colormap is None:
        return None
    levels = (page.colormap >> 8).astype(int)
    return tuple((red, green, blue) for red, green, blue in levels.T.tolist())


def divided(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Colours that were multiplied by their opacity, as Pillow has them."""
    top = np.iinfo(pixels.dtype).max
    opacity = alpha.astype(np.uint32)[..., None]
    colours = pixels.astype(np.uint32) * top // np.maximum(opacity, 1)
    return np.where(opacity > 0, np.minimum(colours, top), 0).astype(pixels.dtype)


def directories(file: BinaryIO) -> list[int]:
    """Where the directories of a TIFF are.

    Raises:
        ImageError: one is cut off, or they go round in a circle.
    """
    file.seek(0)
    start = file.read(16)
    if start[:4] not in MAGIC:
        raise ImageError("not a TIFF")
    if len(start) < 16:
        raise ImageError(f"truncated: the file ends at byte {len(start)}")
    order, big = "<" if start.startswith(b"II") else ">", 43 in start[2:4]
    word, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    found: dict[int, None] = {}
    (at,) = struct.unpack_from(order + word, start, 8 if big else 4)
    size = file.seek(0, 2)
    while at:
        if at in found:
            raise ImageError("damaged: its directories go round in a circle")
        found[at] = None
        file.seek(min(at, size))
        head = file.read(struct.calcsize(count))
        cut = ImageError(f"damaged or truncated (the directory of page {len(found)})")
        if len(head) < struct.calcsize(count):
            raise cut
        file.seek(min(size, file.tell() + entry * struct.unpack(order + count, head)[0]))
        link = file.read(struct.calcsize(word))
        if len(link) < struct.calcsize(word):
            raise cut
        (at,) = struct.unpack(order + word, link)
    if not found:
        raise ImageError("damaged or truncated (no page in it)")
    return [*found]
