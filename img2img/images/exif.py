"""EXIF blocks that describe the picture they are kept with.

Mended in place, byte by byte: maker notes are found by offsets within the block, so that nothing
may move; Pillow would write the block anew.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

from img2img.images.picture import Size

_PREFIX = b"Exif\0\0"
# Bytes of a value, by the number of its type.
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SHORT, _LONG, _DOUBLE = 3, 4, 12
_OFFSETS = (Tag.JpegIFOffset, Tag.StripOffsets)
_LENGTHS = (Tag.JpegIFByteCount, Tag.StripByteCounts)
_ACROSS, _DOWN = {Tag.ImageWidth, Tag.ExifImageWidth}, {Tag.ImageLength, Tag.ExifImageHeight}
# Other directories and blocks, with pictures of their own: of raw files, of Photoshop; XMP is kept
# by itself.
_NOT_KEPT = {330, 700, 34377}
# GeoTIFF's: ground to a pixel, pixels tied to the ground, the matrix that is both.
_SCALE, _TIED, _MATRIX = 33550, 33922, 34264
_JPEG = b"\xff\xd8\xff"
# What microscopes and their programs say of how samples are stored.
_OF_SAMPLES = re.compile(
    rb"\s*(ImageJ=|\{\s*\"(shape|axes)\"|Aperio |SCANIMAGE"
    rb"|(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<OME\b)",
    re.DOTALL,
)


def of_upright(block: bytes, size: Size) -> bytes | None:
    """The block of an upright picture of that size; None where it is damaged.

    Without pictures of the picture (thumbnails, previews within maker notes), which will not show
    what it becomes, and without descriptions of how its samples were stored.
    """
    try:
        parsed = _Block(block)
        first = parsed.offset(4)
        parsed.clear_following(first)
        for entry in parsed.all_entries(first):
            parsed.describe(entry, size)
        mended = parsed.written()
    except (struct.error, IndexError, ValueError):
        return None
    return None if _JPEG in mended else mended


def resized(block: bytes, before: Size, after: Size) -> bytes | None:
    """The block of the picture at another size: pixels, and the ground that a pixel covers."""
    try:
        parsed = _Block(block)
        down, across = (new / old for new, old in zip(after, before, strict=True))
        for entry in parsed.all_entries(parsed.offset(4)):
            parsed.describe(entry, after)
            parsed.rescale(entry, across, down)
        return parsed.written()
    except (struct.error, IndexError, ValueError):
        return None


@dataclass(frozen=True)
class _Entry:
    """One entry of a directory."""

    directory: int
    at: int
    tag: int
    kind: int
    count: int
    value: int
    """Where the value is."""

    @property
    def length(self) -> int:
        return _BYTES.get(self.kind, 1) * self.count


class _Block:
    """A block that is being changed."""

    def __init__(self, block: bytes) -> None:
        self._data = bytearray(block.removeprefix(_PREFIX))  # which WebP goes without
        self._end = {b"II": "<", b"MM": ">"}.get(bytes(self._data[:2]), "")
        if not self._end:
            raise ValueError("no order of bytes")

    def written(self) -> bytes:
        return _PREFIX + bytes(self._data)

    def offset(self, at: int) -> int:
        return int(self._unpack("I", at)[0])

    def all_entries(self, first: int) -> Iterator[_Entry]:
        """Of the first directory and of those that it leads to; each may be removed."""
        for entry in self.entries(first):
            if entry.tag in {IFD.Exif, IFD.GPSInfo}:
                yield from self.entries(self.offset(entry.value))
            yield entry

    def entries(self, directory: int) -> list[_Entry]:
        """From the last to the first."""
        found = []
        for index in range(self._unpack("H", directory)[0]):
            at = directory + 2 + 12 * index
            tag, kind, count, _ = self._unpack("HHII", at)
            short = _BYTES.get(kind, 1) * count <= 4
            found.append(_Entry(directory, at, tag, kind, count, at + 8))
            if not short:
                found[-1] = _Entry(directory, at, tag, kind, count, self.offset(at + 8))
        return found[::-1]

    def clear_following(self, directory: int) -> None:
        """Leave out the directories behind this one, with the thumbnail that they are of."""
        link = directory + 2 + 12 * self._unpack("H", directory)[0]
        following = self.offset(link) if link + 4 <= len(self._data) else 0
        if not following:
            return
        self._pack("I", link, 0)
        if following >= len(self._data):
            return
        self.clear_following(following)
        entries = {entry.tag: entry for entry in self.entries(following)}
        for offset, length in zip(_OFFSETS, _LENGTHS, strict=True):
            if offset in entries and length in entries:
                for start, size in zip(
                    self._numbers(entries[offset]), self._numbers(entries[length]), strict=True
                ):
                    self._clear(start, size)
        for entry in entries.values():
            self._clear(entry.value, entry.length)
        self._clear(following, 6 + 12 * len(entries))

    def describe(self, entry: _Entry, size: Size) -> None:
        """Have an entry say what is so of an upright picture of that size, or nothing."""
        if entry.tag == Tag.Orientation:
            self._set(entry, 1)
        elif entry.tag in _ACROSS:
            self._set(entry, size[1])
        elif entry.tag in _DOWN:
            self._set(entry, size[0])
        elif (
            entry.tag in _NOT_KEPT
            or (entry.tag == Tag.MakerNote and _JPEG in self._value(entry))
            or (entry.tag == Tag.ImageDescription and _OF_SAMPLES.match(self._value(entry)))
        ):
            self._remove(entry)

    def rescale(self, entry: _Entry, across: float, down: float) -> None:
        """Have a GeoTIFF's entry say what is so where there are so many times the pixels."""
        if entry.kind != _DOUBLE or entry.tag not in {_SCALE, _TIED, _MATRIX}:
            return
        values: list[float] = [*self._unpack(f"{entry.count}d", entry.value)]
        for index, value in enumerate(values):
            if entry.tag == _SCALE:
                factor = (1 / across, 1 / down, 1)[index % 3]
            elif entry.tag == _TIED:
                factor = (across, down, 1, 1, 1, 1)[index % 6]
            else:
                factor = (1 / across, 1 / down, 1, 1)[index % 4]
            values[index] = value * factor
        self._pack(f"{entry.count}d", entry.value, *values)

    def _value(self, entry: _Entry) -> bytes:
        return bytes(self._data[entry.value : entry.value + entry.length])

    def _numbers(self, entry: _Entry) -> tuple[int, ...]:
        letter = "H" if entry.kind == _SHORT else "I"
        return self._unpack(f"{entry.count}{letter}", entry.value)

    def _set(self, entry: _Entry, number: int) -> None:
        if entry.count != 1 or entry.kind not in {_SHORT, _LONG}:
            self._remove(entry)
        elif entry.kind == _SHORT and number < 2**16:
            self._pack("H", entry.value, number)
        else:
            self._pack("HII", entry.at + 2, _LONG, 1, number)

    def _remove(self, entry: _Entry) -> None:
        """The entries behind it move up; what they lead to stays where it is."""
        self._clear(entry.value, entry.length)
        count = self._unpack("H", entry.directory)[0]
        stop = entry.directory + 2 + 12 * count + 4
        self._data[entry.at : stop] = self._data[entry.at + 12 : stop] + bytes(12)
        self._pack("H", entry.directory, count - 1)

    def _clear(self, start: int, length: int) -> None:
        """Zeros; at the end of the block, nothing."""
        stop = min(start + length, len(self._data))
        if start < 8 or start >= stop:
            return
        if stop == len(self._data):
            del self._data[start:]
        else:
            self._data[start:stop] = bytes(stop - start)

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self._end + form, self._data, at)

    def _pack(self, form: str, at: int, *values: float) -> None:
        struct.pack_into(self._end + form, self._data, at, *values)
