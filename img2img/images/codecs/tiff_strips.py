"""Reading a TIFF some rows at a time."""

from dataclasses import replace

import numpy as np
from tifffile import TiffPage

from img2img.images.codecs.tiff_file import OpenTiff
from img2img.images.codecs.tiff_pages import size_of
from img2img.images.depths import Pixels
from img2img.images.metadata import of_tags
from img2img.images.picture import Picture


class Strips:
    """A picture of one page, or of pages that are its channels, as a reader of it."""

    def __init__(self, file: OpenTiff) -> None:
        self._file, self.facts = file, file.facts
        self._pages = [_Page(file, page) for page in file.pages]
        first = file.pages[0]
        self._samples = sum(page.samplesperpixel for page in file.pages)
        empty = np.zeros((0, first.imagewidth, self._samples), first.dtype)
        about = of_tags(file.tags(first), size_of(first))
        self.head = file.picture(empty, first, file.kind, about, indices=False)

    def read(self, start: int, stop: int) -> Picture:
        first = self._file.pages[0]
        values = np.empty((stop - start, first.imagewidth, self._samples), first.dtype)
        for page, channels in zip(
            self._pages, np.split(values, len(self._pages), axis=2), strict=True
        ):
            page.read(channels, start, stop)
        pixels, alpha, valid = self._file.interpreted(values, first, self._file.kind)
        return replace(self.head, pixels=pixels, alpha=alpha, valid=valid)


class _Page:
    """A page whose strips or tiles are decoded when their rows are asked for."""

    def __init__(self, file: OpenTiff, page: TiffPage) -> None:
        self._file, self._page = file, page
        file.check_whole(page)
        height, width = size_of(page)
        self._high = page.tilelength if page.is_tiled else min(page.rowsperstrip, height)
        self._across = -(-width // page.tilewidth) if page.is_tiled else 1
        self._planes = page.samplesperpixel if page.planarconfig == 2 else 1
        self._decoded: dict[int, Pixels] = {}
        """By number, the last row of segments: the next rows may begin in them."""

    def read(self, values: Pixels, start: int, stop: int) -> None:
        """Fill an array with the samples of some rows."""
        page, height = self._page, self._page.imagelength
        if page.is_memmappable:
            self._mapped(values, start, stop)
            return
        for number in range(start // self._high, -(-stop // self._high)):
            top, bottom = number * self._high, min((number + 1) * self._high, height)
            rows = self._row(number)
            self._decoded = {number: rows}
            first, last = max(top, start), min(bottom, stop)
            values[first - start : last - start] = rows[first - top : last - top]

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
