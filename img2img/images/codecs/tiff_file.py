"""An open TIFF: its pages, what they are together, and what they hold."""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image
from tifffile import TiffFile, TiffFrame, TiffPage, TiffPageSeries

from img2img.errors import ImageError
from img2img.images.codecs.base import FileFacts, has_module, plain, without_gaps
from img2img.images.codecs.tiff_metadata import header_of, names_in, nodata_in
from img2img.images.codecs.tiff_pages import (
    DEFLATE,
    FAX,
    JPEG,
    OLD_JPEG,
    WHITE_IS_ZERO,
    Kind,
    decodes,
    divided,
    kind_of,
    orientation_of,
    palette_of_page,
    size_of,
    turned_size,
)
from img2img.images.codecs.tiff_writing import TiffHeader
from img2img.images.formats import open_image
from img2img.images.metadata import of_tags, upright
from img2img.images.picture import Colours, Frames, Header, Picture, Pixels, Valid
from img2img.images.pillow import from_pillow

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The kinds of files that say what their axes are.
_WITH_AXES = ("ome", "imagej", "shaped", "lsm", "stk", "fluoview", "scanimage", "mmstack")
_BETWEEN = {"Z": "z", "T": "t"}


class OpenTiff:
    """An open TIFF."""

    def __init__(self, file: BinaryIO, tiff: TiffFile, offsets: Sequence[int]) -> None:
        self.file, self.tiff, self._offsets = file, tiff, offsets
        self.size = file.seek(0, 2)

    @cached_property
    def pages(self) -> list[TiffPage]:
        """Without reduced copies and masks of others."""
        every = [page for page in self.tiff.pages if isinstance(page, TiffPage)]
        if len(every) != len(self._offsets):
            raise ImageError(f"damaged or truncated ({len(every)} of {len(self._offsets)} pages)")
        first = every[0]
        if first.is_dng or (first.is_reduced and first.subifds):
            raise ImageError("a camera's raw file, of which only the preview could be read")
        return [first, *(page for page in every[1:] if not (page.is_reduced or page.is_mask))]

    @cached_property
    def series(self) -> TiffPageSeries | None:
        """What all pages are together, where the file says so, and tifffile decodes them."""
        if not any(getattr(self.tiff, f"is_{kind}") for kind in _WITH_AXES):
            return None
        if self.pages[0].compression in {JPEG, OLD_JPEG, *FAX} or not decodes(self.pages[0]):
            return None
        found = self.tiff.series
        if not found or found[0].kind not in _WITH_AXES:
            return None
        if len(found) > 1:
            if found[0].kind == "ome":
                raise ImageError(f"{len(found)} images in one file: save each as its own file")
            return None
        return found[0] if {"Y", "X"} <= {*found[0].axes} else None

    @cached_property
    def kinds(self) -> list[Kind]:
        found = []
        for number, page in enumerate(self.pages, start=1):
            try:
                found.append(kind_of(page))
            except ImageError as error:
                raise ImageError(f"page {number}: {error}" if number > 1 else str(error)) from None
        return found

    @cached_property
    def between(self) -> tuple[str, int]:
        """The axis of the series that slices lie along, and how many there are."""
        assert self.series is not None
        sizes = zip(self.series.axes, self.series.shape, strict=True)
        others = [(axis, size) for axis, size in sizes if axis not in "YXCS" and size > 1]
        if len(others) > 1:
            what = " x ".join(f"{size} {axis}" for axis, size in others)
            raise ImageError(
                f"{len(others) + 2} dimensions ({what}), where one series of slices or of points in"
                " time is needed: save each part as its own file"
            )
        return others[0] if others else ("", 1)

    @cached_property
    def facts(self) -> FileFacts:
        first, kind = self.pages[0], self.kinds[0]
        facts = FileFacts(
            size=turned_size(size_of(first), first),
            channels=kind.channels,
            dtype=str(kind.dtype),
            names=names_in(self.tiff, self.pages[0]),
            alpha=kind.alpha is not None,
            nodata=self.nodata,
            palette=palette_of_page(first),
        )
        if self.series is not None:
            axis, count = self.between
            sizes = dict(zip(self.series.axes, self.series.shape, strict=True))
            if sizes.get("C", 1) > 1:
                facts = replace(
                    facts, channels=sizes["C"] * sizes.get("S", 1), alpha=False, palette=None
                )
            between = _BETWEEN.get(axis, "page") if count > 1 else None
            facts = replace(facts, pictures=count, axis=between)
        elif len(self.pages) > 1:
            self._check_alike()
            areas = [height * width for height, width in map(size_of, self.pages)]
            facts = replace(facts, pictures=len(areas), axis="page", area=sum(areas))
        names = facts.names if facts.names and len(facts.names) == facts.channels else None
        return replace(facts, names=names)

    def _check_alike(self) -> None:
        """Pages of grey and RGB, of 8 and 16 bits, make a document; others must be alike."""
        first, plain_one = self.kinds[0], {(c, d) for c in (1, 3) for d in ("uint8", "uint16")}
        for number, kind in enumerate(self.kinds[1:], start=2):
            alike = (kind.channels, kind.dtype) == (first.channels, first.dtype)
            if not alike and {(k.channels, str(k.dtype)) for k in (first, kind)} - plain_one:
                one, other = (f"{k.channels} x {k.dtype}" for k in (first, kind))
                raise ImageError(
                    f"pages of different kinds (page 1: {one}; page {number}: {other}): save each"
                    " page as its own file"
                )

    @cached_property
    def nodata(self) -> float | None:
        return nodata_in(self.pages[0])

    @cached_property
    def header(self) -> TiffHeader | None:
        return header_of(self.tiff, self.pages[0], self.series)

    def read(self, *, indices: bool = False) -> Picture | Frames:
        if self.series is not None:
            return self._series(self.series, indices=indices)
        found = [
            self._page(page, kind, indices=indices)
            for page, kind in zip(self.pages, self.kinds, strict=True)
        ]
        return Frames(tuple(found)) if len(found) > 1 else found[0]

    def _series(self, series: TiffPageSeries, *, indices: bool) -> Picture | Frames:
        for page in series.pages:
            if page is not None:
                self.check_whole(page)
                if isinstance(page, TiffPage):
                    self._check_inflated(page)
        order = [axis for axis in series.axes if axis not in "YXCS"] + [
            axis for axis in "YXCS" if axis in series.axes
        ]
        values = series.asarray(maxworkers=1)
        values = values.transpose([series.axes.index(axis) for axis in order])
        axis, count = self.between
        values = values.reshape(count, *size_of(self.pages[0]), -1)
        page, kind, facts = self.pages[0], self.kinds[0], self.facts
        if facts.channels != kind.channels:
            kind = replace(kind, channels=facts.channels, alpha=None)
        about = of_tags(self.tags(page), size_of(page))
        pictures = [self.picture(each, page, kind, about, indices=indices) for each in values]
        if count == 1:
            return pictures[0]
        between = _BETWEEN.get(axis, "page")
        return Frames(tuple(pictures), axis=between, header=self.header)

    def _page(self, page: TiffPage, kind: Kind, *, indices: bool) -> Picture:
        about = of_tags(self.tags(page), turned_size(size_of(page), page))
        if kind.by_pillow or not decodes(page):
            image = self._by_pillow(page, kind, indices=indices)
            return replace(image, **about)
        self.check_whole(page)
        self._check_inflated(page)
        values = page.asarray(maxworkers=1)
        if page.axes == "SYX":
            values = np.moveaxis(values, 0, 2)
        values = values.reshape(*size_of(page), -1)
        return self.picture(values, page, kind, about, indices=indices)

    def picture(
        self, values: Pixels, page: TiffPage, kind: Kind, about: dict[str, Any], *, indices: bool
    ) -> Picture:
        pixels, alpha, valid, header = self.interpreted(values, page, kind, indices=indices)
        turn = orientation_of(page)
        return Picture(
            upright(np.ascontiguousarray(pixels), turn),
            None if alpha is None else upright(np.ascontiguousarray(alpha), turn),
            **about,
            header=header,
            channels=self.facts.names,
            valid=None if valid is None else upright(valid, turn),
        )

    def interpreted(
        self, values: Pixels, page: TiffPage, kind: Kind, *, indices: bool = False
    ) -> tuple[Pixels, Pixels | None, Valid | None, Header | None]:
        """Samples, (height, width, samples), as pixels, opacity, and where there is data."""
        bits, palette = page.bitspersample, palette_of_page(page)
        if palette and indices:
            return plain(values[..., :1]).astype(np.uint8), None, None, Colours(palette=palette)
        values = values if palette else plain(values)
        if values.dtype.kind == "u" and bits in {2, 4} and not palette:
            values = values * np.uint8(255 // (2**bits - 1))
        if page.photometric == WHITE_IS_ZERO and values.dtype.kind == "u":
            top = 255 if bits < 8 else 2**bits - 1
            values = np.subtract(values.dtype.type(top), values)
        pixels, alpha = values, None
        if kind.alpha is not None:
            pixels, alpha = np.delete(values, kind.alpha, axis=2), values[..., kind.alpha]
        if palette:
            table = np.zeros((256, 3), np.uint8)
            table[: len(palette)] = palette
            pixels = table[pixels[..., 0].astype(np.uint8)]
        if alpha is not None and kind.multiplied:
            pixels = divided(pixels, alpha)
        pixels, valid = without_gaps(pixels, self.nodata)
        return pixels, alpha, valid, self.header

    def check_whole(self, page: TiffPage | TiffFrame) -> None:
        """Raises ImageError where the file ends before the pixels of a page do."""
        ends = [*map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))]
        if page.compression == 1 and page.is_contiguous and page.dataoffsets:
            ends = [page.dataoffsets[0] + page.nbytes]
        if not ends or max(ends) > self.size:
            where = f"of page {page.index + 1} " if len(self._offsets) > 1 else ""
            raise ImageError(
                f"truncated: the pixels {where}end at byte {max(ends, default=0)}, the file at"
                f" {self.size}"
            )

    def _check_inflated(self, page: TiffPage) -> None:
        """Without imagecodecs, tifffile inflates a strip to whatever is in it."""
        if page.compression not in DEFLATE or has_module("imagecodecs"):
            return
        most = math.prod(page.chunks) * np.dtype(page.dtype).itemsize
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            self.file.seek(offset)
            if len(zlib.decompressobj().decompress(self.file.read(count), most + 1)) > most:
                raise ImageError("damaged: more in a strip than there are pixels")

    @property
    def can_be_cut(self) -> bool:
        page, kind = self.pages[0], self.kinds[0]
        if self.series is not None and (
            len(self.series.pages) > 1 or self.facts.channels != kind.channels
        ):
            return False
        return not kind.by_pillow and decodes(page) and orientation_of(page) == 1

    def tags(self, page: TiffPage) -> Image.Exif:
        """All tags of a page, with the directories that they lead to; none if they are damaged."""
        self.file.seek(0)
        start, tags = self.file.read(4), Image.Exif()
        tags.endian = "<" if start.startswith(b"II") else ">"
        tags.bigtiff = 43 in start[2:]
        try:
            tags.load_from_fp(self.file, page.offset)
        except Exception:  # among others, of big-endian BigTIFF
            return Image.Exif()
        return tags

    def _by_pillow(self, page: TiffPage, kind: Kind, *, indices: bool) -> Picture:
        number = self._offsets.index(page.offset)
        if kind.by_pillow or page.bitspersample <= 8 or kind.channels == 1:
            with open_image(self.file) as image:
                image.info.clear()
                image.seek(number)
                return from_pillow(image, indices=indices)
        self.file.seek(0)
        data = np.frombuffer(self.file.read(), np.uint8)
        _, found = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, None, (number, number + 1))
        if not found or found[0].dtype != kind.dtype or page.samplesperpixel not in {3, 4}:
            raise ImageError("this kind of 16-bit file cannot be decoded")
        array = found[0]
        alpha = array[..., 3].copy() if page.samplesperpixel == 4 else None
        return Picture(np.ascontiguousarray(array[..., 2::-1]), alpha)


@contextmanager
def opened_tiff(path: Path) -> Iterator[OpenTiff]:
    """A TIFF, as long as it is read.

    Raises:
        ImageError: it is none, or its directories are damaged.
    """
    with path.open("rb") as file:
        offsets = _directories(file)
        file.seek(0)
        # Of OME, the others of a set of files would be opened by their names in this one.
        with TiffFile(file, _multifile=False) as tiff:
            yield OpenTiff(file, tiff, offsets)


def _directories(file: BinaryIO) -> list[int]:
    """Where the directories of a TIFF are.

    Raises:
        ImageError: one is cut off, or they go round in a circle.
    """
    file.seek(0)
    start = file.read(16)
    if start[:4] not in MAGIC:
        raise ImageError("not a TIFF")
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
