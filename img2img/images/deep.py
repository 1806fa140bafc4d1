"""Files of 16 bits a sample. Pillow has no such colour; OpenCV reads them."""

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, PpmImagePlugin, TiffImagePlugin
from PIL.ExifTags import Base as Tag

from img2img.errors import ImageError
from img2img.images.picture import Pixels, bands


def is_deep(image: Image.Image, header: bytes) -> bool:
    """Whether it has 16 bits a sample, and is not of the grey ones that Pillow reads right.

    Args:
        image: opened, and not loaded.
        header: the first bytes of the file.

    Raises:
        ImageError: a PPM of depths other than 1 to 8 and 16.
    """
    if image.format == "PNG":
        return header[24] == 16  # the bit depth in the IHDR chunk
    if isinstance(image, PpmImagePlugin.PpmImageFile) and image.mode == "RGB":
        *_, arguments = image.tile[0]
        top: Any = arguments[-1] if isinstance(arguments, tuple) else 255  # the brightest value
        if 255 < top < 65535:
            raise ImageError(f"samples from 0 to {top} are not supported: convert to 16 bits")
        return bool(top == 65535)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return bool(max(image.tag_v2.get(Tag.BitsPerSample, (1,))) == 16)
    return False


def decode_deep(
    data: npt.NDArray[np.uint8], image: Image.Image, page: int = 0
) -> tuple[Pixels, Pixels | None]:
    """Pixels and alpha of a page, as uint16, turned upright where it is of a TIFF.

    Args:
        data: the file.
        image: what Pillow knows of that page.

    Raises:
        ImageError: OpenCV cannot decode it.
    """
    array: Pixels | None
    if image.mode.startswith("I;16"):  # whose compression OpenCV need not know
        array = np.array(image, np.uint16)
    elif image.format == "TIFF":
        _, found = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, None, (page, page + 1))
        array = found[0] if found else None
    else:
        if image.format == "PNG":
            data = np.frombuffer(_pixels_alone(data.tobytes()), np.uint8)
        array = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise ImageError("this kind of 16-bit file cannot be decoded")
    channels = 1 if array.ndim == 2 else array.shape[2]
    if channels == 1:
        return _grey(array.reshape(array.shape[:2]), image)
    if channels not in {3, 4}:
        raise ImageError(f"a 16-bit file of {channels} channels is not supported")
    for rows in bands(*array.shape[:2]):  # of BGR; in place, where a copy would double the memory
        array[rows, :, :3] = array[rows, :, 2::-1].copy()
    if channels == 3:
        return array, None
    return np.ascontiguousarray(array[..., :3]), np.ascontiguousarray(array[..., 3])


def _pixels_alone(png: bytes) -> bytes:
    """The chunks that pixels are made of, their checksums proved.

    What is wrong with them, or may be with others, libpng would print.

    Raises:
        ImageError: a checksum is wrong.
    """
    parts, at = [png[:8]], 8
    while at + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        end = at + 12 + length
        if kind in {b"IHDR", b"tRNS", b"IDAT", b"IEND"}:
            if zlib.crc32(png[at + 4 : end - 4]) != int.from_bytes(png[end - 4 : end], "big"):
                raise ImageError(f"damaged (the checksum of {kind.decode()})")
            parts.append(png[at:end])
        at = end
    return b"".join(parts)


def _grey(grey: Pixels, image: Image.Image) -> tuple[Pixels, Pixels | None]:
    hidden = image.info.get("transparency")  # a value that stands for "nothing here"
    alpha = None
    if isinstance(hidden, int):
        alpha = np.where(grey == hidden, 0, 65535).astype(np.uint16)
    if _tag(image, Tag.PhotometricInterpretation) == 0:  # white is zero
        np.subtract(65535, grey, out=grey)
    return np.repeat(grey[..., None], 3, axis=2), alpha


def _tag(image: Image.Image, tag: int) -> int | None:
    """A tag of a TIFF, the first of its values; None for other files, and where it is not."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    value = image.tag_v2.get(tag)
    return value[0] if isinstance(value, tuple) else value
