"""TIFF: photographs, documents, and what laboratories write, by tifffile.

Where a file says what its axes are (OME, ImageJ, tifffile and others), C and samples are channels,
Z or T are slices or points in time. Where it does not, each page is a slice, unless a person says
that pages are channels. Colours of print and video are left to Pillow.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import TiffFile

from img2img.images.codecs.base import CODECS, Codec, Reader, Writer, not_held, with_gaps
from img2img.images.codecs.facts import FileFacts
from img2img.images.codecs.tiff_file import opened_tiff
from img2img.images.codecs.tiff_metadata import is_scaled
from img2img.images.codecs.tiff_pages import MAGIC, size_of
from img2img.images.codecs.tiff_strips import Strips
from img2img.images.codecs.tiff_writing import LARGE, append_to, nodata_of, write_by_tifffile
from img2img.images.metadata import of_tags
from img2img.images.picture import Animation, Frames, Pages, Picture, Size
from img2img.images.tiff import encode_tiff


@CODECS.register("tiff")
class TiffCodec(Codec):
    """TIFF and BigTIFF of any depth and channels, ImageJ and OME, by tifffile."""

    suffixes = (".tif", ".tiff", ".btf", ".tf8", ".lsm")
    written = (".tif", ".tiff")

    def __init__(self, pages: Pages = "auto") -> None:
        self._pages = pages

    def taking(self, pages: Pages) -> "TiffCodec":
        return TiffCodec(pages)

    def recognizes(self, start: bytes, path: Path) -> bool:
        return start[:4] in MAGIC

    def probe(self, path: Path) -> FileFacts:
        with opened_tiff(path, self._pages) as file:
            return file.facts

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture | Frames:
        with opened_tiff(path, self._pages) as file:
            if single:
                file.facts.check_single()
            file.facts.check_size()
            return file.read(indices=indices)

    @contextmanager
    def opened(self, path: Path) -> Iterator[Reader]:
        with opened_tiff(path, self._pages) as file:
            file.facts.check_single()
            if file.can_be_cut:
                yield Strips(file)
            else:
                file.facts.check_size()
                with super().opened(path) as reader:
                    yield reader

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        return not_held(image) if isinstance(image, Animation) else None

    def write(self, path: Path, image: Picture | Frames, quality: int) -> None:
        if not write_by_tifffile(path, image):
            pages = image.frames if isinstance(image, Frames) else [image]
            parts = [*encode_tiff([(page, with_gaps(page, nodata_of(page))) for page in pages])]
            with path.open("wb") as file:
                file.writelines(parts)

    def appended(
        self, path: Path, head: Picture, size: Size, dtype: Any
    ) -> AbstractContextManager[Writer] | None:
        channels = head.pixels.shape[2] + (head.alpha is not None)
        if size[0] * size[1] * channels * np.dtype(dtype).itemsize < LARGE:
            return None
        return append_to(path, head, size, np.dtype(dtype))


def is_tiff(start: bytes) -> bool:
    """Whether a file begins like a TIFF."""
    return start[:4] in MAGIC


def tags_of_first(path: Path) -> tuple[set[int], bool]:
    """The numbers of the tags of a TIFF's first page, and whether GDAL scales its values.

    None where it is damaged: reading it will explain.
    """
    try:
        with path.open("rb") as file, TiffFile(file) as tiff:
            page = tiff.pages.first
            return {tag.code for tag in page.tags}, is_scaled(page)
    except Exception:
        return set(), False


def describe(path: Path) -> dict[str, Any]:
    """What the first page says of the picture besides its pixels, as fields of a `Picture`."""
    with opened_tiff(path) as file:
        return of_tags(file.tags(file.pages[0]), size_of(file.pages[0]))
