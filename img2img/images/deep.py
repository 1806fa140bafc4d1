"""Files of 16 bits a sample. Pillow has no such colour; OpenCV reads them."""

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, PpmImagePlugin

from img2img.errors import ImageError
from img2img.images.depths import Pixels, bands


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
    return False


def decode_deep(
    data: npt.NDArray[np.uint8], image: Image.Image, *, grey: bool
) -> tuple[Pixels, Pixels | None]:
    """Pixels and alpha of a PNG or PPM, as uint16: grey or RGB.

    Args:
        data: the file.
        image: what Pillow knows of it.
        grey: whether it has one channel besides alpha.

    Raises:
        ImageError: OpenCV cannot decode it.
    """
    array: Pixels | None
    if image.mode.startswith("I;16"):
        array = np.array(image, np.uint16)
    else:
        if image.format == "PNG":
            data = np.frombuffer(_pixels_alone(data.tobytes()), np.uint8)
        array = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise ImageError("this kind of 16-bit file cannot be decoded")
    if array.ndim == 2:
        return array[..., None], _hidden(array, image)
    if array.shape[2] == 4:
        colours = array[..., :1] if grey else array[..., 2::-1]
        return np.ascontiguousarray(colours), np.ascontiguousarray(array[..., 3])
    for rows in bands(*array.shape[:2]):  # of BGR; in place, where a copy would double the memory
        array[rows] = array[rows, :, ::-1].copy()
    return array, None


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


def _hidden(grey: Pixels, image: Image.Image) -> Pixels | None:
    """The opacity, where one value stands for "nothing here"."""
    value = image.info.get("transparency")
    if not isinstance(value, int):
        return None
    return np.where(grey == value, 0, 65535).astype(np.uint16)
