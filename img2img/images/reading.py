"""Reading image files of every usual kind."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError, features

from img2img.errors import ImageError
from img2img.images.deep import decode_deep, is_deep
from img2img.images.metadata import metadata, orientation, upright
from img2img.images.picture import Animation, Frames, Picture
from img2img.images.pillow import from_pillow

# What a header may promise before anything is decoded, of all frames together: 512 megapixels are
# 1.5 GB of 8-bit RGB.
MAX_PIXELS = 512 * 2**20

HAS_AVIF = "avif" in features.modules and features.check_module("avif")
# Pillow knows more, among them some that start other programs.
_FORMATS = ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", *(["AVIF"] if HAS_AVIF else [])]
_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
_NEW_SUBFILE_TYPE = 254

# Pillow's own bound is global and lower, and it warns well below it; ours is checked here.
Image.MAX_IMAGE_PIXELS = max(MAX_PIXELS, Image.MAX_IMAGE_PIXELS or 0)
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Remarks on damaged metadata, a line a file; damaged pixels are errors.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_picture(path: Path | str) -> Picture:
    """Read an image file of any usual kind as upright RGB.

    Grey, palette, 1-bit, CMYK and LAB files become RGB (CMYK through its profile, where it has
    one); 16-bit PNG, TIFF, PGM and PPM keep their 16 bits, AVIF of more than 8 becomes 8. Of an
    animation or a document of several pages, the first is read. A colour profile is kept when it
    describes RGB.

    Raises:
        ImageError: the file cannot be opened, is no image, is damaged, is larger than `MAX_PIXELS`,
            or holds samples other than 1 to 8 or 16 bit.
    """
    with _opened(Path(path)) as file:
        _check_size(file.image.width * file.image.height, file.image)
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


def count_pixels(path: Path | str) -> int:
    """How many pixels a file says that it holds, in all its frames; nothing is decoded.

    Raises:
        ImageError: it cannot be opened, or is no image.
    """
    with _opened(Path(path)) as file:
        return file.image.width * file.image.height * int(getattr(file.image, "n_frames", 1))


@dataclass(frozen=True)
class _File:
    """An open image file."""

    file: BinaryIO
    image: Image.Image

    @cached_property
    def data(self) -> npt.NDArray[np.uint8]:
        """All of it, for the decoder that does not read in parts."""
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
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from None
    try:
        with file:
            if not file.read(1):
                raise ImageError("the file is empty")
            with Image.open(file, formats=_FORMATS) as image:
                yield _File(file, image)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: more pixels than the {MAX_PIXELS} that are read") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not an image, or not of a known format") from None
    except MemoryError:
        raise ImageError(f"{path}: too large for the memory of this machine") from None
    except Exception as error:  # decoders raise whatever the damage leads them to
        raise ImageError(f"{path}: damaged or truncated ({error})") from None


def _check_size(pixels: int, image: Image.Image, frames: int = 1) -> None:
    if pixels > MAX_PIXELS:
        several = f" of {frames} frames" if frames > 1 else ""
        size = f"{image.width} x {image.height}{several}"
        raise ImageError(f"{size} pixels are more than the {MAX_PIXELS} that are read")


def _decode(file: _File, page: int = 0) -> Picture:
    image = file.image
    if not is_deep(image, file.start()):
        return from_pillow(image)
    # Pillow reads it as 8-bit; unlike OpenCV it notices every truncated file.
    image.load()
    turn, facts = orientation(image), metadata(image)
    pixels, alpha = decode_deep(file.data, image, page)
    return Picture(upright(pixels, turn), None if alpha is None else upright(alpha, turn), **facts)


def _pages(file: _File) -> Picture | Frames:
    image, pages, pixels = file.image, [], 0
    for page in count():
        if page > 0:  # what a page has not would be that of the one before
            image.info.clear()
        try:
            image.seek(page)
        except EOFError:
            break
        tags = image.tag_v2  # type: ignore[attr-defined]
        # Of a directory that is cut off, Pillow warns, and takes its start for that of the next.
        if tags.next == tags.offset:
            raise ImageError(f"damaged or truncated (the directory of page {page + 1})")
        pixels += image.width * image.height
        _check_size(pixels, image, page + 1)
        kind = tags.get(_NEW_SUBFILE_TYPE, 0)
        if page == 0 or not kind & 0b101:  # a reduced copy, a mask
            pages.append(_decode(file, page))
    return Frames(tuple(pages)) if len(pages) > 1 else pages[0]


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
