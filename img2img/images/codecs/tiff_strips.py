"""Reading a TIFF some rows at a time."""

from dataclasses import replace

import numpy as np

from img2img.images.codecs.tiff_file import OpenTiff
from img2img.images.codecs.tiff_pages import size_of
from img2img.images.metadata import of_tags
from img2img.images.picture import Picture, Pixels


class Strips:
    """A page whose strips or tiles are decoded when their rows are asked for."""

    def __init__(self, file: OpenTiff) -> None:
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
        self.head = file.picture(empty, page, self._kind, about, indices=False)

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
