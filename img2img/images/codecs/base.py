"""What every codec is, and the catalogue of them."""

import importlib
import importlib.util
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from img2img.errors import ImageError, shortened
from img2img.images.codecs.facts import FileFacts
from img2img.images.depths import Pixels, Valid, bands, fits
from img2img.images.formats import MAX_PIXELS, other_kind, quietly
from img2img.images.picture import Animation, Frames, Header, Pages, Picture, Size
from img2img.registry import Registry
from img2img.runtime.installation import install_extra

# Pieces of a file, written one after the other: joined, they would be there twice.
Parts = Iterable[bytes | memoryview]

START = 1024
"""So many bytes of a file say what kind it is of."""
# How decoders speak of what is whole, and nothing for them.
_UNSUPPORTED = re.compile("(?i)unsupported|not (yet )?support|not configured")


class Reader(Protocol):
    """A file of one picture that is read in parts."""

    @property
    def facts(self) -> FileFacts:
        """What the file says that it holds."""

    @property
    def head(self) -> Picture:
        """The picture without any rows: what the file says besides the pixels."""

    def read(self, start: int, stop: int) -> Picture:
        """The rows between two, with `head`'s other fields."""


class Writer(Protocol):
    """A file of one picture that is written in parts."""

    def write(self, rows: Picture) -> None:
        """The next rows."""


class Codec(ABC):
    """A kind of image file.

    Attributes:
        suffixes: of files that are read; found by content, they may have any other.
        written: suffixes of files that can be written.
        library: the module that reads such files.
        extra: the extra of this distribution that has it.
        kind: what such a file is called.
        special: whether another codec would read such files too, only with less of what they say.
    """

    suffixes: ClassVar[Sequence[str]] = ()
    written: ClassVar[Sequence[str]] = ()
    library: ClassVar[str | None] = None
    extra: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    special: ClassVar[bool] = False

    @classmethod
    def installed(cls) -> bool:
        """Whether what reads such files is here."""
        return cls.library is None or has_module(cls.library)

    def needed(self) -> Any:
        """The library.

        Raises:
            ImageError: it is not installed.
        """
        assert self.library is not None
        if not has_module(self.library):
            raise ImageError(
                f"{self.kind}, which needs {self.library}: {install_extra(self.extra)}"
            )
        return importlib.import_module(self.library)

    def recognizes(self, start: bytes, path: Path) -> bool:
        """Whether a file that begins with these bytes is of this kind."""
        return False

    def taking(self, pages: Pages) -> "Codec":
        """What reads files whose pages are said to be slices, or channels."""
        return _AsChannels(self) if pages == "channels" else self

    @abstractmethod
    def probe(self, path: Path) -> FileFacts:
        """What a file says that it holds. Nothing is decoded.

        Raises:
            ImageError: it cannot be read.
        """

    @abstractmethod
    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture | Frames:
        """All that is in a file, as it is.

        Args:
            indices: of a picture with a palette, the numbers in the file; else their colours.
            single: one picture is wanted: the first of an animation.

        Raises:
            ImageError: it cannot be read, or one picture is wanted and there are several.
        """

    def opened(self, path: Path) -> AbstractContextManager[Reader]:
        """A file of one picture, to read it in parts; here it is read whole, and then cut."""
        return _whole(self, path)

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        """Why files of a suffix cannot hold an image; None: they can."""
        return None

    def encode(self, image: Any, quality: int) -> Parts:
        """The parts of a file."""
        raise NotImplementedError

    def write(self, path: Path, image: Any, quality: int) -> None:
        """Write a file."""
        with path.open("wb") as file:
            file.writelines(self.encode(image, quality))

    def appended(
        self, path: Path, head: Picture, size: Size, dtype: Any
    ) -> AbstractContextManager[Writer] | None:
        """Write a picture in parts; None: such files are written whole.

        Args:
            head: all of it but the rows; `pixels` say how many channels there are.
        """
        return None


CODECS = Registry[Codec]("codec")


@cache
def has_module(name: str) -> bool:
    """Whether a module can be imported; it is not."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


@dataclass(frozen=True)
class _Rows:
    """A picture that is in memory, as a reader of it."""

    facts: FileFacts
    picture: Picture

    @property
    def head(self) -> Picture:
        return self.picture.rows(0, 0)

    def read(self, start: int, stop: int) -> Picture:
        return self.picture.rows(start, stop)


@contextmanager
def _whole(codec: Codec, path: Path) -> Iterator[Reader]:
    picture = codec.read(path, single=True)
    assert isinstance(picture, Picture)
    yield _Rows(codec.probe(path), picture)


def beside(pages: Sequence[Picture], header: Header | None) -> Picture:
    """Pictures as the channels of one, which has data where all have some.

    Raises:
        ImageError: they are not alike, or transparent.
    """
    first, valid = pages[0], [page.valid for page in pages if page.valid is not None]
    if any(page.alpha is not None for page in pages):
        raise ImageError("transparent pages cannot be channels of one picture")
    if len({(page.size, page.pixels.dtype) for page in pages}) > 1:
        raise ImageError("its pages differ in size or type, so they cannot be channels")
    return replace(
        first,
        pixels=np.concatenate([page.pixels for page in pages], axis=2),
        valid=np.logical_and.reduce(valid) if valid else None,
        channels=None,
        header=header,
    )


class _AsChannels(Codec):
    """Reads the pictures of a file as channels of one."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def probe(self, path: Path) -> FileFacts:
        facts = self._codec.probe(path)
        if facts.pictures == 1 or facts.axis == "frame":
            return facts
        return facts.beside

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture | Frames:
        image = self._codec.read(path, indices=indices)
        if isinstance(image, Animation):
            return self._codec.read(path, indices=indices, single=single)
        if isinstance(image, Picture):
            return image
        return beside(image.frames, image.header)

    def opened(self, path: Path) -> AbstractContextManager[Reader]:
        single = self._codec.probe(path).pictures == 1
        return self._codec.opened(path) if single else super().opened(path)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """One kind of error that names the file, for all that may be wrong with it."""
    try:
        with quietly():
            yield
    except ImageError as error:
        raise ImageError.of(path, error.reason) from None
    except Image.DecompressionBombError:
        raise ImageError.of(path, f"more than the {MAX_PIXELS} pixels that are supported") from None
    except (UnidentifiedImageError, SyntaxError):  # the second of a HEIC's decoder
        what = other_kind(start_of(path)) or "not an image, or of an unknown format"
        raise ImageError.of(path, what) from None
    except MemoryError:
        raise ImageError.of(path, "too large for this machine's memory") from None
    except Exception as error:  # decoders raise whatever the damage leads them to
        what = "not supported" if _UNSUPPORTED.search(str(error)) else "damaged or truncated"
        reason = " ".join(str(error.__cause__ or error).split())
        raise ImageError.of(path, f"{what} ({shortened(reason)})") from None


def start_of(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        ImageError: it cannot be opened, or is empty.
    """
    try:
        with path.open("rb", buffering=0) as file:
            start = file.read(START)
    except OSError as error:
        raise ImageError(f"{error.strerror or error}") from None
    if not start:
        raise ImageError("the file is empty")
    return start


def checked(dtype: Any) -> np.dtype[Any]:
    """A type of numbers that pictures have.

    Raises:
        ImageError: complex numbers, texts, objects or records.
    """
    found: np.dtype[Any] = np.dtype(dtype)
    if found.kind == "c":
        raise ImageError(f"complex numbers ({found}) are not supported: save magnitude or parts")
    if found.kind not in "buif":
        raise ImageError(f"values of {found} are not supported: give integers or floats")
    return found


def plain(pixels: Pixels) -> Pixels:
    """In this machine's order of bytes; yes and no as 255 and 0."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def without_gaps(
    pixels: Pixels, nodata: float | None = None, mask: Valid | None = None
) -> tuple[Pixels, Valid | None]:
    """Pixels with 0 where there is no data, and where there is some.

    There is none where all channels have the value `nodata`, where any of them is no finite number,
    and where a mask of the file's own says so.

    Args:
        pixels: (height, width, channels); a copy is made only if something must be changed.
    """
    checks = pixels.dtype.kind == "f" or _has_value(pixels.dtype, nodata)
    if not checks and mask is None:
        return pixels, None
    valid = np.ones(pixels.shape[:2], bool) if mask is None else mask.astype(bool)
    for rows in bands(*valid.shape) if checks and valid.size else ():
        band = pixels[rows]
        if pixels.dtype.kind == "f":
            valid[rows] &= np.isfinite(band).all(axis=2)
        if nodata is not None and np.isfinite(nodata):
            valid[rows] &= (band != np.asarray(nodata).astype(pixels.dtype)).any(axis=2)
    if valid.all():
        return pixels, None
    filled = pixels if pixels.flags.writeable else pixels.copy()
    filled[~valid] = 0
    return filled, valid


def with_gaps(picture: Picture, nodata: float | None = None) -> Pixels:
    """The pixels with `nodata` where there is no data: NaN in floats, where it is not given.

    Types that do not have the value get 0.
    """
    if picture.valid is None:
        return picture.pixels
    if nodata is None and picture.pixels.dtype.kind == "f":
        nodata = float("nan")
    if not _has_value(picture.pixels.dtype, nodata):
        return picture.pixels
    pixels = picture.pixels.copy()
    pixels[~picture.valid] = nodata
    return pixels


def _has_value(dtype: np.dtype[Any], value: float | None) -> bool:
    return value is not None and fits(value, dtype)


def not_held(image: Picture | Frames) -> str:
    """What is said of an image of several pictures that a kind of file cannot hold."""
    what = "a picture"
    if isinstance(image, Animation):
        what = "an animation"
    elif isinstance(image, Frames):
        what = "several pages" if image.axis == "page" else "a volume"
    return f"cannot write {what} in this format"


def only(holds: str, picture: Picture) -> str:
    """What is said of a picture whose channels or numbers a kind of file cannot hold."""
    channels = picture.pixels.shape[2]
    several = "channel" if channels == 1 else "channels"
    return f"holds {holds}, and this is {channels} {several} of {picture.pixels.dtype}"
