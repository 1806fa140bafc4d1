"""Reading image files of every usual kind."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from img2img.errors import ImageError
from img2img.images.deep import decode_deep, is_deep
from img2img.images.formats import MAX_PIXELS, open_image, other_kind, quietly
from img2img.images.jpeg import completed
from img2img.images.metadata import metadata, orientation, upright
from img2img.images.picture import Animation, Frames, Picture
from img2img.images.pillow import from_pillow
from img2img.images.samples import pages

_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
_JPEG = {"JPEG", "MPO"}
# How decoders speak of what is whole, and nothing for them.
_UNSUPPORTED = re.compile("(?i)unsupported|not supported|not yet supported|not configured")


def read_picture(path: Path | str) -> Picture:
    """Read an image file of any usual kind as upright RGB.

    Grey, palette, 1-bit, CMYK and LAB files become RGB (CMYK through its profile, where it has
    one); 16-bit PNG, TIFF, PGM and PPM keep their 16 bits, AVIF and HEIC of more than 8 become 8.
    Of an animation, the first frame is read. A colour profile is kept when it describes RGB.

    Raises:
        ImageError: the file cannot be opened, is no image, is damaged, is larger than `MAX_PIXELS`,
            holds samples other than 1 to 8 or 16 bit, channels that would be lost, or several
            pages, which `read_image` reads.
    """
    with _opened(Path(path)) as file:
        _check_size(file.image.width * file.image.height, file.image)
        if len(file.pages) > 1:
            raise ImageError(
                f"{len(file.pages)} pages, but a single picture is needed: save each page as its"
                " own file"
            )
        return _decode(file)


def read_image(path: Path | str) -> Picture | Frames:
    """Read an image file with all that is in it.

    An animated GIF, WebP, PNG or AVIF gives an `Animation`: its frames of 8 bits as a viewer shows
    them, on top of what they leave standing of those before. A TIFF of several pages gives
    `Frames`: pages are shown for no time and may differ in size and depth; reduced copies and masks
    among them are no pages. All else gives what `read_picture` does.

    Raises:
        ImageError: as `read_picture`; all frames together are larger than `MAX_PIXELS`, or an
            animation ends before its last frame, or a document before its last page.
    """
    with _opened(Path(path)) as file:
        image = file.image
        if image.format == "TIFF":
            return _pages(file)
        frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
        _check_size(image.width * image.height * frames, image, frames)
        return _animation(file, frames) if frames > 1 else _decode(file)


@dataclass(frozen=True)
class Extent:
    """How much a file says that it holds.

    Attributes:
        size: height and width, of the first picture.
        pixels: of all pictures in it.
        held: bytes of them all, decoded.
    """

    size: tuple[int, int]
    pixels: int
    held: int


def measure(path: Path | str, *, first: bool = False) -> Extent:
    """What `read_image` would give, or `read_picture`, which reads the first; nothing is decoded.

    Raises:
        ImageError: it cannot be opened, or is no image.
    """
    with _opened(Path(path)) as file:
        image = file.image
        pixels = image.width * image.height
        if image.format == "TIFF":
            pixels = sum(area for _, area in file.pages)
        elif image.format in _ANIMATED and not first:
            pixels *= int(getattr(image, "n_frames", 1))
        deep = image.mode.startswith("I") or is_deep(image, file.start())
        channels = 4 if image.has_transparency_data else 3
        return Extent((image.height, image.width), pixels, pixels * channels * (2 if deep else 1))


@dataclass(frozen=True)
class _File:
    """An open image file."""

    file: BinaryIO
    image: Image.Image
    pages: list[tuple[int, int]]
    """Of a TIFF: for each picture in it, the number of its directory and its pixels."""

    @cached_property
    def data(self) -> npt.NDArray[np.uint8]:
        """All of it, for decoders that do not read in parts."""
        return np.frombuffer(self.start(-1), np.uint8)

    def start(self, size: int = 32) -> bytes:
        """The first bytes."""
        self.file.seek(0)
        return self.file.read(size)

    def end(self, size: int = 32) -> bytes:
        """The last bytes."""
        self.file.seek(-min(size, self.file.seek(0, 2)), 2)
        return self.file.read()


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    """The file, with one kind of error that names it for all that may be wrong with it."""
    start = b""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError.of(path, f"{error.strerror or error}") from None
    try:
        with file, quietly():
            start = file.read(256)
            if not start:
                raise ImageError("the file is empty")
            found = pages(file)
            with open_image(file) as image:
                yield _File(file, image, found)
    except ImageError as error:
        raise ImageError.of(path, error.reason) from None
    except Image.DecompressionBombError:
        raise ImageError.of(path, f"more than the {MAX_PIXELS} pixels that are supported") from None
    except (UnidentifiedImageError, SyntaxError):  # the second of a HEIC's decoder
        what = other_kind(start) or "not an image, or of an unknown format"
        raise ImageError.of(path, what) from None
    except MemoryError:
        raise ImageError.of(path, "too large for this machine's memory") from None
    except Exception as error:  # decoders raise whatever the damage leads them to
        what = "not supported" if _UNSUPPORTED.search(str(error)) else "damaged or truncated"
        raise ImageError.of(path, f"{what} ({error})") from None


def _check_size(pixels: int, image: Image.Image, frames: int = 1) -> None:
    if pixels > MAX_PIXELS:
        several = f" of {frames} frames" if frames > 1 else ""
        size = f"{image.width} x {image.height}{several}"
        raise ImageError(f"{size} pixels are more than the {MAX_PIXELS} that are supported")


def _decode(file: _File, page: int = 0) -> Picture:
    image = file.image
    if not is_deep(image, file.start()):
        try:
            return from_pillow(image)
        except OSError:
            whole = completed(file.start(-1)) if image.format in _JPEG else None
            if whole is None:
                raise
            return from_pillow(whole)
    # Pillow reads it as 8-bit; unlike OpenCV it notices every truncated file.
    image.load()
    turn, facts = orientation(image), metadata(image)
    pixels, alpha = decode_deep(file.data, image, page)
    return Picture(upright(pixels, turn), None if alpha is None else upright(alpha, turn), **facts)


def _pages(file: _File) -> Picture | Frames:
    image, found, pixels = file.image, [], 0
    for number, (directory, area) in enumerate(file.pages, start=1):
        pixels += area
        _check_size(pixels, image, number)
        if directory > 0:  # what a page has not would be that of the one before
            image.info.clear()
            image.seek(directory)
        found.append(_decode(file, directory))
    return Frames(tuple(found)) if len(found) > 1 else found[0]


def _animation(file: _File, total: int) -> Picture | Animation:
    image = file.image
    # Only the end of a GIF says that it is whole.
    if image.format == "GIF" and not file.end().rstrip(b"\0\r\n").endswith(b";"):
        raise ImageError("damaged or truncated (the end is missing)")
    size, frames, durations = image.size, [], []
    # A PNG may begin with a picture for viewers that know no animations.
    for index in range(int(getattr(image, "default_image", False)), total):
        image.seek(index)
        if image.size != size:
            raise ImageError("damaged: its frames differ in size")
        frames.append(from_pillow(image))
        durations.append(round(image.info.get("duration", 0)))
    if len(frames) == 1:
        return frames[0]
    return Animation(tuple(frames), tuple(durations), _times_played(image))


def _times_played(image: Image.Image) -> int:
    if image.format == "GIF":  # which says how often it is repeated, and by default it is not
        repeats: int | None = image.info.get("loop")
        return 1 if repeats is None else repeats and repeats + 1
    return int(image.info.get("loop", 0))
