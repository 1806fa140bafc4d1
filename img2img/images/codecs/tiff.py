"""TIFF: photographs, documents, and what laboratories write, by tifffile.

Where a file says what its axes are (OME, ImageJ, tifffile and others), C and samples are channels,
Z or T are slices or points in time. Where it does not, each page is a picture. Colours of print
and video are left to Pillow.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import cv2
import numpy as np
from PIL import Image
from tifffile import TiffFile, TiffFrame, TiffPage, TiffPageSeries

from img2img.errors import ImageError
from img2img.images.codecs.base import (
    CODECS,
    Codec,
    FileFacts,
    Reader,
    Writer,
    has_module,
    not_held,
    plain,
    with_gaps,
    without_gaps,
)
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
from img2img.images.codecs.tiff_writing import (
    LARGE,
    TiffHeader,
    append_to,
    nodata_of,
    write_by_tifffile,
)
from img2img.images.formats import open_image
from img2img.images.metadata import of_tags, upright
from img2img.images.picture import Animation, Colours, Frames, Header, Picture, Pixels, Size, Valid
from img2img.images.pillow import from_pillow
from img2img.images.tiff import GDAL_METADATA, NODATA, encode_tiff

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The kinds of files that say what their axes are.
_WITH_AXES = ("ome", "imagej", "shaped", "lsm", "stk", "fluoview", "scanimage", "mmstack")
_KEPT_OF_IMAGEJ = ("spacing", "unit", "yunit", "zunit", "finterval", "fps", "Info")
_BETWEEN = {"Z": "z", "T": "t"}


@CODECS.register("tiff")
class TiffCodec(Codec):
    """TIFF and BigTIFF of any depth and channels, ImageJ and OME, by tifffile."""

    suffixes = (".tif", ".tiff", ".btf", ".tf8", ".lsm")
    written = (".tif", ".tiff")

    def recognizes(self, start: bytes, path: Path) -> bool:
        return start[:4] in _MAGIC

    def probe(self, path: Path) -> FileFacts:
        with _opened(path) as file:
            return file.facts

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture | Frames:
        with _opened(path) as file:
            if single:
                file.facts.check_single()
            file.facts.check_size()
            return file.read(indices=indices)

    @contextmanager
    def opened(self, path: Path) -> Iterator[Reader]:
        with _opened(path) as file:
            file.facts.check_single()
            if file.can_be_cut:
                yield _Strips(file)
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


class _File:
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
            names=self.names,
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
        tag = self.pages[0].tags.get(NODATA)
        try:
            return None if tag is None else float(str(tag.value).strip(" \0"))
        except ValueError:
            return None

    @cached_property
    def names(self) -> tuple[str, ...] | None:
        """Of the channels, by OME or as GDAL writes them."""
        tag = self.pages[0].tags.get(GDAL_METADATA)
        found: Sequence[str | None] = ()
        if self.tiff.is_ome:
            found = [each.get("Name") for each in _elements(self.tiff.ome_metadata, "Channel")]
        elif self.tiff.is_imagej:
            found = (self.tiff.imagej_metadata or {}).get("Labels") or ()
        elif tag is not None:
            found = [
                each.text
                for each in _elements(str(tag.value), "Item")
                if each.get("role") == "description"
            ]
        every = [name for name in found if name]
        return tuple(every) if every and len({*every}) == len(found) else None

    @cached_property
    def header(self) -> TiffHeader | None:
        kind, about = "", dict[str, Any]()
        if self.series is not None and self.series.kind == "ome":
            kind = "ome"
            for element in _elements(self.tiff.ome_metadata, "Pixels"):
                for key, value in element.attrib.items():
                    if key.startswith(("PhysicalSize", "TimeIncrement")):
                        about[key] = value if key.endswith("Unit") else float(value)
        elif self.series is not None and self.series.kind == "imagej":
            kind = "imagej"
            found = self.tiff.imagej_metadata or {}
            about = {key: found[key] for key in _KEPT_OF_IMAGEJ if key in found}
        separate = self.series is not None and "C" in self.series.axes
        if separate and not kind:
            kind = "shaped"
        page, resolution = self.pages[0], None
        if "XResolution" in page.tags and page.resolutionunit == 1:
            resolution = (*page.resolution, 1)
        if not kind and self.nodata is None and resolution is None:
            return None
        return TiffHeader(kind, separate, about, resolution, nodata=self.nodata)

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
        pictures = [self._picture(each, page, kind, about, indices=indices) for each in values]
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
        return self._picture(values, page, kind, about, indices=indices)

    def _picture(
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
def _opened(path: Path) -> Iterator[_File]:
    with path.open("rb") as file:
        offsets = _directories(file)
        file.seek(0)
        # Of OME, the others of a set of files would be opened by their names in this one.
        with TiffFile(file, _multifile=False) as tiff:
            yield _File(file, tiff, offsets)


def _directories(file: BinaryIO) -> list[int]:
    """Where the directories of a TIFF are.

    Raises:
        ImageError: one is cut off, or they go round in a circle.
    """
    file.seek(0)
    start = file.read(16)
    if start[:4] not in _MAGIC:
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


def _elements(xml: str | None, name: str) -> list[ElementTree.Element]:
    """The elements of a name, of the first image that an OME document describes."""
    try:
        root = ElementTree.fromstring(xml or "<none/>")
    except ElementTree.ParseError:
        return []
    image = next((each for each in root.iter() if each.tag.endswith("}Image")), root)
    return [each for each in image.iter() if each.tag.rpartition("}")[2] == name]


class _Strips:
    """A page whose strips or tiles are decoded when their rows are asked for."""

    def __init__(self, file: _File) -> None:
        self._file, self._page, self._kind = file, file.pages[0], file.kinds[0]
        file.check_whole(self._page)
        page = self._page
        self.facts = file.facts
        height, width = size_of(page)
        self._high = page.tilelength if page.is_tiled else min(page.rowsperstrip, height)
        self._across = -(-width // page.tilewidth) if page.is_tiled else 1
        self._planes = page.samplesperpixel if page.planarconfig == 2 else 1
        self._decoded: dict[int, Pixels] = {}
        """By number, the last row of segments: the next rows may begin in them."""
        empty = np.zeros((0, width, page.samplesperpixel), page.dtype)
        about = of_tags(file.tags(page), size_of(page))
        self.head = file._picture(empty, page, self._kind, about, indices=False)

    def read(self, start: int, stop: int) -> Picture:
        page = self._page
        height, width = size_of(page)
        values = np.empty((stop - start, width, page.samplesperpixel), page.dtype)
        if page.is_memmappable:
            self._mapped(values, start, stop)
        else:
            numbers = range(start // self._high, -(-stop // self._high))
            for number in numbers:
                top, bottom = number * self._high, min((number + 1) * self._high, height)
                rows = self._row(number)
                self._decoded = {number: rows}
                first, last = max(top, start), min(bottom, stop)
                values[first - start : last - start] = rows[first - top : last - top]
        pixels, alpha, valid, header = self._file.interpreted(values, page, self._kind)
        return replace(self.head, pixels=pixels, alpha=alpha, valid=valid, header=header)

    def _mapped(self, values: Pixels, start: int, stop: int) -> None:
        page = self._page
        kind = np.dtype(page.dtype).newbyteorder(self._file.tiff.byteorder)
        planes = np.memmap(
            self._file.file,
            kind,
            "r",
            page.dataoffsets[0],
            (self._planes, *size_of(page), page.samplesperpixel // self._planes),
        )
        if self._planes == 1:
            values[:] = planes[0, start:stop]
        else:
            values[:] = np.moveaxis(planes[:, start:stop, :, 0], 0, 2)

    def _row(self, number: int) -> Pixels:
        """All segments that begin at one height, as samples."""
        if number in self._decoded:
            return self._decoded[number]
        page, file = self._page, self._file.file
        height, width = size_of(page)
        rows = min(self._high, height - number * self._high)
        values = np.zeros((rows, width, page.samplesperpixel), page.dtype)
        each_plane = self._across * -(-height // self._high)
        for plane in range(self._planes):
            for column in range(self._across):
                index = plane * each_plane + number * self._across + column
                file.seek(page.dataoffsets[index])
                data = file.read(page.databytecounts[index]) or None
                segment, place, _ = page.decode(data, index, jpegtables=page.jpegtables)
                if segment is None:  # left out of the file
                    values[:, :, plane] = page.nodata
                    continue
                left = place[3]
                part = segment.reshape(segment.shape[-3:])[:rows, : width - left]
                channels = np.s_[plane : plane + 1] if self._planes > 1 else np.s_[:]
                values[: part.shape[0], left : left + part.shape[1], channels] = part
        return values


def is_tiff(start: bytes) -> bool:
    """Whether a file begins like a TIFF."""
    return start[:4] in _MAGIC


def tags_of_first(path: Path) -> set[int]:
    """The numbers of the tags of a TIFF's first page; none where it is damaged."""
    try:
        with path.open("rb") as file, TiffFile(file) as tiff:
            return {tag.code for tag in tiff.pages.first.tags}
    except Exception:  # reading it will explain
        return set()


def describe(path: Path) -> dict[str, Any]:
    """What the first page says of the picture besides its pixels, as fields of a `Picture`."""
    with _opened(path) as file:
        return of_tags(file.tags(file.pages[0]), size_of(file.pages[0]))
