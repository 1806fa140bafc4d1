"""Reading image files of every kind."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from img2img.images.codecs import Codec, FileFacts, Reader
from img2img.images.codecs.base import named
from img2img.images.codecs.files import codec_of
from img2img.images.conversions import as_rgb
from img2img.images.picture import Frames, Pages, Picture


def read_native(
    path: Path | str, *, indices: bool = False, pages: Pages = "auto"
) -> Picture | Frames:
    """Read an image file as it is, upright: its own channels, and its own type of numbers.

    Grey is one channel, RGB three, and n bands are n; alpha is apart. Where there is no data, the
    pixels are 0 and `valid` is False. Pages, slices and points in time are `Frames`, frames that
    are shown one after the other an `Animation`. Colours of print and video (CMYK, YCbCr, LAB)
    become RGB; 1-bit files are 0 and 255.

    | file | pictures | channels |
    | --- | --- | --- |
    | TIFF, with axes as OME, ImageJ and others write them | Z or T | C, samples |
    | TIFF without axes | pages | samples |
    | `.npy`, `.npz` | | the shorter of the first and the last axis; see `codecs.npy` |
    | DICOM | frames | samples, in units: rescaled, no window, MONOCHROME1 inverted |
    | NIfTI | slices along Z, turned so that +x is right and +y is up | 1, in units |

    Args:
        indices: of a picture with a palette, the numbers in the file, with its `colours`;
            else its colours.
        pages: what the pages of a TIFF, or the first of three axes of an array, are: `slices` or
            `channels`; auto: what the file says, else as in the table.

    Raises:
        ImageError: it cannot be opened, is no image, is damaged, is larger than `MAX_PIXELS`, or
            is of a kind that is not read.
    """
    path = Path(path)
    with named(path):
        return _codec(path, pages).read(path, indices=indices)


def _codec(path: Path, pages: Pages) -> Codec:
    codec = codec_of(path)
    return codec if pages == "auto" else codec.taking(pages)


def probe(path: Path | str, *, pages: Pages = "auto") -> FileFacts:
    """What `read_native` would give. Nothing is decoded.

    Raises:
        ImageError: as `read_native`, but for what only decoding shows.
    """
    path = Path(path)
    with named(path):
        facts = _codec(path, pages).probe(path)
        facts.check_size()
        return facts


@contextmanager
def open_rows(path: Path | str, *, pages: Pages = "auto") -> Iterator[Reader]:
    """A file of one picture, to read it some rows at a time.

    Of TIFF, GeoTIFF and NPY, only what is asked for is decoded, and a picture may be larger than
    `MAX_PIXELS`; other files are read whole at once.

    Raises:
        ImageError: as `read_native`; there are several pictures.
    """
    path = Path(path)
    with ExitStack() as stack:
        with named(path):
            reader = stack.enter_context(_codec(path, pages).opened(path))
        yield _Named(path, reader)


@dataclass(frozen=True)
class _Named:
    """A reader whose errors name the file."""

    path: Path
    reader: Reader

    @property
    def facts(self) -> FileFacts:
        return self.reader.facts

    @property
    def head(self) -> Picture:
        return self.reader.head

    def read(self, start: int, stop: int) -> Picture:
        with named(self.path):
            return self.reader.read(start, stop)


def read_picture(path: Path | str) -> Picture:
    """Read an image file of any usual kind as upright RGB of 8 or 16 bits.

    Grey, palette, 1-bit, CMYK and LAB files become RGB (CMYK through its profile, where it has
    one); 16-bit PNG, TIFF, PGM and PPM keep their 16 bits, AVIF and HEIC of more than 8 become 8.
    Of an animation, the first frame is read. A colour profile is kept when it describes RGB.

    Raises:
        ImageError: as `read_native`; it has other channels or numbers than these, or several
            pages, which `read_image` reads.
    """
    path = Path(path)
    with named(path):
        return as_rgb(_single(path))


def read_native_picture(
    path: Path | str, *, indices: bool = False, pages: Pages = "auto"
) -> Picture:
    """As `read_native`, of a file that has to hold a single picture; of an animation, the first.

    Raises:
        ImageError: as `read_native`; there are several pages or slices.
    """
    path = Path(path)
    with named(path):
        return _single(path, indices=indices, pages=pages)


def _single(path: Path, *, indices: bool = False, pages: Pages = "auto") -> Picture:
    picture = _codec(path, pages).read(path, single=True, indices=indices)
    assert isinstance(picture, Picture)
    return picture


def read_image(path: Path | str) -> Picture | Frames:
    """Read an image file with all that is in it, as RGB of 8 or 16 bits.

    An animated GIF, WebP, PNG or AVIF gives an `Animation`: its frames of 8 bits as a viewer shows
    them, on top of what they leave standing of those before. A TIFF of several pages gives
    `Frames`: pages are shown for no time and may differ in size and depth; reduced copies and masks
    among them are no pages. All else gives what `read_picture` does.

    Raises:
        ImageError: as `read_picture`; all frames together are larger than `MAX_PIXELS`, or an
            animation ends before its last frame, or a document before its last page.
    """
    path = Path(path)
    with named(path):
        image = codec_of(path).read(path)
        if isinstance(image, Picture):
            return as_rgb(image)
        return replace(image, frames=tuple(map(as_rgb, image.frames)))


@dataclass(frozen=True)
class Extent:
    """How much a file says that it holds.

    Attributes:
        size: height and width, of the first picture.
        pixels: of all pictures in it.
        held: bytes of them all, decoded, as RGB where they are grey.
    """

    size: tuple[int, int]
    pixels: int
    held: int


def measure(path: Path | str, *, first: bool = False, pages: Pages = "auto") -> Extent:
    """How much `read_native` would give, or `read_native_picture`, which reads the first.

    Nothing is decoded.

    Raises:
        ImageError: it cannot be opened, or is no image.
    """
    path = Path(path)
    with named(path):
        facts = _codec(path, pages).probe(path)
    if first and facts.axis == "frame":
        facts = replace(facts, pictures=1)
    samples = facts.pixels * (max(facts.channels, 3) + facts.alpha)
    return Extent(facts.size, facts.pixels, samples * np.dtype(facts.dtype).itemsize)
