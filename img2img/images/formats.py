"""The formats that are read, the decoders behind them, and what other files are called."""

import ctypes
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, BinaryIO

import cv2
from PIL import Image, features

from img2img.runtime.installation import install
from img2img.runtime.scoped import TemporarySetting

HAS_AVIF = "avif" in features.modules and features.check_module("avif")


def _heif() -> Any:
    """What reads HEIC, if it is here: pi-heif, or pillow-heif, which can write as well."""
    for name in ("pi_heif", "pillow_heif"):
        with suppress(ImportError):
            return import_module(name)
    return None


HEIF = _heif()
HAS_HEIF = HEIF is not None
_HEIF = f"HEIC, which needs pi-heif: {install(['pi-heif'])}"
_AVIF = f"AVIF, which needs a newer Pillow: {install(['-U', 'pillow'])}"

# Pillow knows more, among them some that start other programs.
FORMATS = ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM"]
FORMATS += ["AVIF"] * HAS_AVIF

# What a header may promise before anything is decoded, of all frames together: 512 megapixels are
# 1.5 GB of 8-bit RGB. Pillow's own bound is lower.
MAX_PIXELS = 512 * 2**20

# How files of other kinds begin, and what to say of them.
_OTHERS = [
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\n", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"<svg", "SVG"),
    (0, b"DDS ", "DDS"),
    (0, b"\0\0\1\0", "an icon"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"qoif", "QOI"),
    (0, b"P7\n", "PAM"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (4, b"ftypcrx", "a camera's raw file"),
]
if not HAS_AVIF:
    _OTHERS.append((4, b"ftypavif", _AVIF))
if not HAS_HEIF:
    brands = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
    _OTHERS += [(4, b"ftyp" + brand, _HEIF) for brand in brands]


def other_kind(start: bytes) -> str | None:
    """What a file is that begins like this and is of a kind that is not read; None: unknown."""
    for at, magic, what in _OTHERS:
        if start[at:].startswith(magic):
            return what if what in {_HEIF, _AVIF} else f"{what}, which is not supported"
    return None


def open_image(file: BinaryIO) -> Image.Image:
    """A file that is one of the formats, opened and not decoded.

    Raises:
        UnidentifiedImageError: it is of none of them.
    """
    file.seek(0)
    kind = HEIF.get_file_mimetype(file.read(12)) if HEIF else ""
    file.seek(0)
    # Not through Pillow: its list of formats is the whole process's.
    if kind.startswith("image/hei"):
        found: Image.Image = HEIF.HeifImageFile(file)
        return found
    return Image.open(file, formats=FORMATS)


@contextmanager
def quietly() -> Iterator[None]:
    """Read or write files of up to `MAX_PIXELS`, while no decoder writes to standard error.

    What is wrong becomes an error that names the file. What Pillow warns of is the caller's to
    filter: filters of warnings cannot be set for one thread.
    """
    with _OPENCV, _TIFF, _LIMIT, _LOGS:
        yield


def _silence_opencv(level: int) -> None:
    _OPENCV_LOG.setLogLevel(level)


class _TiffHandlers:
    """What libtiff calls with errors and warnings, of which it has one each; by default it prints.

    It is linked to Pillow's core. Where it is inside of it, on Windows, it cannot be reached.
    """

    def __init__(self) -> None:
        self._setters: list[Any] = []
        with suppress(OSError, AttributeError):
            decoders = ctypes.CDLL(import_module("PIL._imaging").__file__)
            setters = [decoders.TIFFSetErrorHandler, decoders.TIFFSetWarningHandler]
            for setter in setters:
                setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            self._setters = setters

    def read(self) -> list[int | None]:
        found = [setter(None) for setter in self._setters]
        self.write(found)
        return found

    def write(self, handlers: list[int | None] | None) -> None:
        for setter, handler in zip(self._setters, handlers or [None, None], strict=False):
            setter(handler)


def _limit_pixels(most: int | None) -> None:
    Image.MAX_IMAGE_PIXELS = most


_handlers = _TiffHandlers()
_TIFF = TemporarySetting(_handlers.read, _handlers.write, None)
_OPENCV_LOG = getattr(cv2.utils, "logging", cv2)  # OpenCV 4 has them at the top
_OPENCV = TemporarySetting(_OPENCV_LOG.getLogLevel, _silence_opencv, 0)
# Of libraries that log what is wrong with a file before they raise it, or instead. Disabled each:
# to set a level takes as long as to read a small picture.
_LOGGERS = [
    logging.getLogger(name)
    for name in (
        *("tifffile", "pydicom", "nibabel.global"),
        *("rasterio", *(f"rasterio.{part}" for part in ("_base", "_env", "_err", "_io"))),
    )
]


def _disable(disabled: list[bool]) -> None:
    for logger, off in zip(_LOGGERS, disabled, strict=True):
        logger.disabled = off


_LOGS = TemporarySetting(
    lambda: [logger.disabled for logger in _LOGGERS], _disable, [True] * len(_LOGGERS)
)
_LIMIT = TemporarySetting(lambda: Image.MAX_IMAGE_PIXELS, _limit_pixels, MAX_PIXELS)
