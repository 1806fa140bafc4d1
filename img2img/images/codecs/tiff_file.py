"""An open TIFF: its pages, what they are together, and what they hold."""

import math
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

from img2img.errors import ImageError, counted
from img2img.images.codecs.base import beside, has_module, plain, without_gaps
from img2img.images.codecs.facts import FileFacts
from img2img.images.codecs.tiff_metadata import header_of, is_scaled, names_in, nodata_in
from img2img.images.codecs.tiff_pages import (
    DEFLATE,
    FAX,
    JPEG,
    OLD_JPEG,
    WHITE_IS_ZERO,
    Kind,
    decodes,
    directories,
    divided,
    kind_of,
    orientation_of,
    palette_of_page,
    size_of,
    turned_size,
)
from img2img.images.codecs.tiff_writing import TiffHeader
from img2img.images.depths import Pixels, Valid
from img2img.images.formats import open_image
from img2img.images.metadata import of_tags, upright
from img2img.images.picture import Colours, Frames, Pages, Picture
from img2img.images.pillow import from_pillow
from img2img.runtime.installation import install_extra

# The kinds of files that say what their axes are.
_WITH_AXES = ("ome", "imagej", "shaped", "lsm", "stk", "fluoview", "scanimage", "mmstack")
_BETWEEN = {"Z": "z", "T": "t"}


class OpenTiff:
    """An open TIFF, with what a person says that its pages are."""

    def __init__(
        self, file: BinaryIO, tiff: TiffFile, offsets: Sequence[int], pages: Pages
    ) -> None:
        self.file, self.tiff, self._offsets, self._said = file, tiff, offsets, pages
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
    def sizes(self) -> dict[str, int]:
        """The axes of the series."""
        assert self.series is not None
        return dict(zip(self.series.axes, self.series.shape, strict=True))

    @cached_property
    def axes(self) -> tuple[list[str], list[str]]:
        """The axes of the series between pictures, and those within them besides Y and X."""
        others = [axis for axis in self.sizes if axis not in "YXCS"]
        own = [axis for axis in "CS" if axis in self.sizes]
        samples = [axis for axis in own if axis == "S"]
        if self._said == "channels":
            return [], [axis for axis in self.sizes if axis not in "YXS"] + samples
        if self._said == "slices" and own[:1] == ["C"] and not self._several(others):
            return [*others, "C"], samples
        return others, own

    def _several(self, axes: Sequence[str]) -> list[tuple[str, int]]:
        return [(axis, self.sizes[axis]) for axis in axes if self.sizes[axis] > 1]

    @cached_property
    def between(self) -> tuple[str, int]:
        """The axis of the series that slices lie along, and how many there are."""
        others = self._several(self.axes[0])
        if len(others) > 1:
            what = " x ".join(f"{size} {axis}" for axis, size in others)
            raise ImageError(
                f"{len(others) + 2} dimensions ({what}), where one series of slices or of points in"
                " time is needed: save each part as its own file"
            )
        return others[0] if others else ("", 1)

    @cached_property
    def facts(self) -> FileFacts:
        if is_scaled(self.pages[0]):
            raise ImageError(
                "bands with scale and offset, which need rasterio: " + install_extra("geo")
            )
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
            planes = math.prod(size for axis, size in self._several(self.axes[1]) if axis != "S")
            if planes > 1:
                channels = planes * self.sizes.get("S", 1)
                facts = replace(facts, channels=channels, alpha=False, palette=None)
            if self.between[1] > 1:
                facts = replace(facts, pictures=self.between[1], axis=self.axis)
            facts = replace(facts, decided=self._decided(facts))
        elif len(self.pages) > 1:
            self._check_alike()
            areas = [height * width for height, width in map(size_of, self.pages)]
            facts = replace(facts, pictures=len(areas), axis=self.axis, area=sum(areas))
            names = facts.names
            if self._said == "channels":
                facts = replace(facts.beside, names=names)
            else:
                facts = replace(facts, decided=self._decided(facts))
        if facts.decided and self._said == "auto":
            facts = replace(facts, instead="channels")
        names = facts.names if facts.names and len(facts.names) == facts.channels else None
        return replace(facts, names=names)

    @property
    def axis(self) -> str:
        """What lies between two pictures."""
        axis = "page" if self.series is None else self.between[0]
        return _BETWEEN.get(axis, "z" if self._said == "slices" else "page")

    def _decided(self, facts: FileFacts) -> str:
        """What the file itself does not say of its pages."""
        if self._said == "channels":
            others = self._several([axis for axis in self.sizes if axis not in "YXCS"])
            count = math.prod(size for _, size in others)
            names = {"Z": "slices", "T": "points in time"}
            what = names.get("".join(axis for axis, _ in others), "pages")
            return f"{count} {what} read as {facts.channels} channels" if count > 1 else ""
        if facts.pictures == 1 or (self.series is not None and self.between[0] in _BETWEEN):
            return ""
        what = "channels" if self.series is not None and self.between[0] == "C" else "pages"
        return f"{facts.pictures} {what} read as slices of {counted(facts.channels, 'channel')}"

    def _check_alike(self) -> None:
        """Pages of grey and RGB, of 8 and 16 bits, make a document; others must be alike.

        If they are channels of one picture, all must.
        """
        if self._said == "channels":
            kinds = zip(self.kinds, self.pages, strict=True)
            forms = [(size_of(page), kind.channels, kind.dtype) for kind, page in kinds]
            size, channels, dtype = forms[0]
            different = next((n for n, form in enumerate(forms, 1) if form != forms[0]), None)
            if different:
                raise ImageError(
                    f"page {different} differs in size, type or channels from page 1"
                    f" ({size[1]} x {size[0]}, {channels} x {dtype}), so pages cannot be channels"
                )
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
        pages = self._said == "channels" and len(self.pages) > 1
        return header_of(self.tiff, self.pages[0], self.series, pages=pages)

    def read(self, *, indices: bool = False) -> Picture | Frames:
        if self.series is not None:
            return self._series(self.series, indices=indices)
        if self.facts.pictures == 1 < len(self.pages) and self._plain:
            every = np.concatenate([self._samples(page) for page in self.pages], axis=2)
            about = of_tags(self.tags(self.pages[0]), self.facts.size)
            return self.picture(every, self.pages[0], self.kind, about, indices=indices)
        found = [
            self._page(page, kind, indices=indices)
            for page, kind in zip(self.pages, self.kinds, strict=True)
        ]
        if self.facts.pictures == 1:
            return beside(found, self.header) if len(found) > 1 else found[0]
        return Frames(tuple(found), axis=self.axis)

    @property
    def kind(self) -> Kind:
        """What the samples of a picture are, of all pages that are channels of it."""
        kind, channels = self.kinds[0], self.facts.channels
        return kind if channels == kind.channels else replace(kind, channels=channels, alpha=None)

    @property
    def _plain(self) -> bool:
        """Whether the samples of pages are channels, as tifffile decodes them."""
        return all(
            not kind.by_pillow and kind.alpha is None and kind.name != "palette" and decodes(page)
            for page, kind in zip(self.pages, self.kinds, strict=True)
        )

    def _series(self, series: TiffPageSeries, *, indices: bool) -> Picture | Frames:
        for page in series.pages:
            if page is not None:
                self.check_whole(page)
                if isinstance(page, TiffPage):
                    self._check_inflated(page)
        before, within = self.axes
        values = series.asarray(maxworkers=1)
        values = values.transpose([series.axes.index(axis) for axis in [*before, *"YX", *within]])
        count, page = self.between[1], self.pages[0]
        values = values.reshape(count, *size_of(page), -1)
        about = of_tags(self.tags(page), size_of(page))
        pictures = [self.picture(each, page, self.kind, about, indices=indices) for each in values]
        if count == 1:
            return pictures[0]
        return Frames(tuple(pictures), axis=self.axis, header=self.header)

    def _page(self, page: TiffPage, kind: Kind, *, indices: bool) -> Picture:
        about = of_tags(self.tags(page), turned_size(size_of(page), page))
        if kind.by_pillow or not decodes(page):
            image = self._by_pillow(page, kind, indices=indices)
            return replace(image, **about)
        return self.picture(self._samples(page), page, kind, about, indices=indices)

    def _samples(self, page: TiffPage) -> Pixels:
        """Of a page, (height, width, samples)."""
        self.check_whole(page)
        self._check_inflated(page)
        values = page.asarray(maxworkers=1)
        if page.axes == "SYX":
            values = np.moveaxis(values, 0, 2)
        return values.reshape(*size_of(page), -1)

    def picture(
        self, values: Pixels, page: TiffPage, kind: Kind, about: dict[str, Any], *, indices: bool
    ) -> Picture:
        pixels, alpha, valid = self.interpreted(values, page, kind, indices=indices)
        turn, palette = orientation_of(page), palette_of_page(page)
        return Picture(
            upright(np.ascontiguousarray(pixels), turn),
            None if alpha is None else upright(np.ascontiguousarray(alpha), turn),
            **about,
            header=self.header,
            colours=Colours(palette) if indices and palette else None,
            channels=self.facts.names,
            valid=None if valid is None else upright(valid, turn),
        )

    def interpreted(
        self, values: Pixels, page: TiffPage, kind: Kind, *, indices: bool = False
    ) -> tuple[Pixels, Pixels | None, Valid | None]:
        """Samples, (height, width, samples), as pixels, opacity, and where there is data."""
        if palette := palette_of_page(page):
            numbers = plain(values[..., :1]).astype(np.uint8)
            numbers, valid = without_gaps(numbers, self.nodata)
            if indices:
                return numbers, None, valid
            colours = Colours(palette).of(numbers)
            if valid is not None:
                colours[~valid] = 0
            return colours, None, valid
        bits, values = page.bitspersample, plain(values)
        if values.dtype.kind == "u" and bits in {2, 4}:
            values = values * np.uint8(255 // (2**bits - 1))
        if page.photometric == WHITE_IS_ZERO and values.dtype.kind == "u":
            top = 255 if bits < 8 else 2**bits - 1
            values = np.subtract(values.dtype.type(top), values)
        pixels, alpha = values, None
        if kind.alpha is not None:
            pixels, alpha = np.delete(values, kind.alpha, axis=2), values[..., kind.alpha]
        if alpha is not None and kind.multiplied:
            pixels = divided(pixels, alpha)
        pixels, valid = without_gaps(pixels, self.nodata)
        return pixels, alpha, valid

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
        """Whether it is one picture whose rows can be decoded by themselves."""
        if orientation_of(self.pages[0]) != 1 or self.facts.pictures > 1:
            return False
        if len(self.pages) == 1:
            kind = self.kinds[0]
            alike = self.facts.channels == kind.channels
            return alike and not kind.by_pillow and decodes(self.pages[0])
        kinds, sizes = {*self.kinds}, {*map(size_of, self.pages)}
        planes = sum(kind.channels for kind in self.kinds)
        alike = len(kinds) == len(sizes) == 1 and planes == self.facts.channels
        return alike and self._plain and self._in_order

    @property
    def _in_order(self) -> bool:
        """Whether the pages of the series are those of the file, one after the other."""
        if self.series is None:
            return True
        found = [None if page is None else page.index for page in self.series.pages]
        return found == [page.index for page in self.pages]

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
def opened_tiff(path: Path, pages: Pages = "auto") -> Iterator[OpenTiff]:
    """A TIFF, as long as it is read.

    Args:
        pages: what its pages are.

    Raises:
        ImageError: it is none, or its directories are damaged.
    """
    with path.open("rb") as file:
        offsets = directories(file)
        file.seek(0)
        # Of OME, the others of a set of files would be opened by their names in this one.
        with TiffFile(file, _multifile=False) as tiff:
            yield OpenTiff(file, tiff, offsets, pages)
