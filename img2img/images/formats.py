"""The formats that are read, the decoders behind them, and what other files are called."""

import ctypes
import logging
import warnings
from contextlib import suppress
from importlib import import_module

from PIL import Image, features

from img2img.runtime.installation import install

HAS_AVIF = "avif" in features.modules and features.check_module("avif")


def _has_heif() -> bool:
    """Whether HEIC is read: by pi-heif, or by pillow-heif, which is the same and also writes."""
    for name in ("pi_heif", "pillow_heif"):
        with suppress(ImportError):
            import_module(name).register_heif_opener(thumbnails=False)
            return True
    return False


HAS_HEIF = _has_heif()
_HEIF = f"HEIC, which is read where pi-heif is installed: {install(['pi-heif'])}"
_AVIF = f"AVIF, which is read where Pillow has it: {install(['-U', 'pillow'])}"

# Pillow knows more, among them some that start other programs.
FORMATS = ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM"]
FORMATS += ["AVIF"] * HAS_AVIF + ["HEIF"] * HAS_HEIF

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
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"DDS ", "DDS"),
    (0, b"\0\0\1\0", "an icon"),
    (0, b"SIMPLE  =", "FITS"),
    (128, b"DICM", "DICOM"),
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
            return what if what in {_HEIF, _AVIF} else f"{what}, which is not read"
    return None


def _silence() -> None:
    """Have no decoder write to standard error: what is wrong becomes an error that names the file.

    OpenCV is told so in `deep`.
    """
    # Pillow's own bound is global and warns well below ours.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    # Remarks on damaged metadata, a line a file; damaged pixels are errors.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # libtiff, which has one handler a process and by default prints. It is linked to Pillow's core;
    # where it is inside of it, on Windows, it cannot be reached.
    with suppress(OSError, AttributeError):
        decoders = ctypes.CDLL(import_module("PIL._imaging").__file__)
        for handler in (decoders.TIFFSetErrorHandler, decoders.TIFFSetWarningHandler):
            handler.restype, handler.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            handler(None)


_silence()
