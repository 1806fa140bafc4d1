"""Arrays of numpy: `.npy`, and `.npz` with one array of more than one axis.

An array is (height, width), (height, width, channels), (channels, height, width) or, of a volume,
(slices, height, width). Of three axes, the last is channels if it is the shortest and at most 64,
else the first if that is; else the first is slices. Where a person says what pages are, the first
of three axes is these.
"""

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from img2img.errors import ImageError, counted
from img2img.images.codecs.base import (
    CODECS,
    Codec,
    Parts,
    Reader,
    Writer,
    checked,
    not_held,
    plain,
    start_of,
    with_gaps,
    without_gaps,
)
from img2img.images.codecs.facts import FileFacts
from img2img.images.depths import Pixels
from img2img.images.domain import MOST_CHANNELS
from img2img.images.picture import Animation, Frames, Header, Pages, Picture, Size

_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True)
class Layout(Header):
    """Where the channels of an array are: `hw`, `hwc` or `chw`; of a volume `zhw`."""

    axes: str = "hwc"


@CODECS.register("npy")
class NpyCodec(Codec):
    """Arrays of numpy, (H, W), (H, W, C) or (C, H, W), without pickles."""

    suffixes = (".npy", ".npz")
    written = (".npy", ".npz")

    def __init__(self, pages: Pages = "auto") -> None:
        self._pages = pages

    def taking(self, pages: Pages) -> "NpyCodec":
        return NpyCodec(pages)

    def recognizes(self, start: bytes, path: Path) -> bool:
        return start.startswith(_MAGIC)

    def probe(self, path: Path) -> FileFacts:
        with _array(path) as (_, shape, _, dtype):
            return _facts(shape, dtype, self._pages)

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture | Frames:
        with _array(path) as (file, shape, fortran, dtype):
            facts, axes = _facts(shape, dtype, self._pages), _axes(shape, self._pages)
            if single:
                facts.check_single()
            facts.check_size()
            data = file.read(math.prod(shape) * dtype.itemsize)
            if len(data) < math.prod(shape) * dtype.itemsize:
                raise ImageError(f"truncated: {len(data)} bytes of values of an array {shape}")
            values = np.frombuffer(bytearray(data), dtype)
            values = values.reshape(shape, order="F" if fortran else "C")
            if facts.axis is None:
                return _picture(values, axes)
            slices = tuple(_picture(each, "hw") for each in values)
            return Frames(slices, axis=facts.axis, header=Layout(axes=axes))

    @contextmanager
    def opened(self, path: Path) -> Iterator[Reader]:
        with _array(path) as (file, shape, fortran, dtype):
            facts, start = _facts(shape, dtype, self._pages), file.tell()
            facts.check_single()
        if (
            not start_of(path).startswith(_MAGIC)
            or path.stat().st_size < start + math.prod(shape) * dtype.itemsize
        ):
            with super().opened(path) as reader:
                yield reader
            return
        values = np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
        yield _Mapped(facts, values, _axes(shape, self._pages))

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        if isinstance(image, Picture):
            return None
        forms = {(each.pixels.shape, each.pixels.dtype) for each in image.frames}
        if isinstance(image, Animation) or len(forms) > 1 or image.frames[0].pixels.shape[2] > 1:
            return not_held(image)
        return None

    def encode(self, image: Picture | Frames, quality: int) -> Parts:
        values = _laid_out(image)
        buffer = io.BytesIO()
        npy.write_array_header_1_0(buffer, npy.header_data_from_array_1_0(values))
        return [buffer.getvalue(), values.tobytes()]

    def write(self, path: Path, image: Picture | Frames, quality: int) -> None:
        if path.suffix.lower() == ".npz":
            np.savez_compressed(path, image=_laid_out(image))
        else:
            super().write(path, image, quality)

    @contextmanager
    def appended(self, path: Path, head: Picture, size: Size, dtype: Any) -> Iterator[Writer]:
        channels = head.pixels.shape[2]
        shape = (*size, channels) if _layout(head) != "hw" or channels > 1 else size
        empty = np.zeros((0,), dtype)
        with path.open("wb") as file:
            about = npy.header_data_from_array_1_0(empty) | {"shape": shape}
            npy.write_array_header_1_0(file, about)
            yield _Appended(file)


@dataclass(frozen=True)
class _Mapped:
    facts: FileFacts
    values: Pixels
    axes: str

    @property
    def head(self) -> Picture:
        return self.read(0, 0)

    def read(self, start: int, stop: int) -> Picture:
        rows = self.values[:, start:stop] if self.axes == "chw" else self.values[start:stop]
        return _picture(np.array(rows), self.axes)


@dataclass(frozen=True)
class _Appended:
    file: IO[bytes]

    def write(self, rows: Picture) -> None:
        self.file.write(np.ascontiguousarray(with_gaps(rows)).tobytes())


@contextmanager
def _array(path: Path) -> Iterator[tuple[IO[bytes], tuple[int, ...], bool, np.dtype[Any]]]:
    """The file at its values, their shape, whether they are in Fortran's order, and their type."""
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            with zipfile.ZipFile(file) as archive, archive.open(_image_in(archive)) as member:
                yield (member, *_header(member))
        else:
            file.seek(0)
            yield (file, *_header(file))


def _image_in(archive: zipfile.ZipFile) -> str:
    """The only array in an archive, or the only one that has more than one axis."""
    names = archive.namelist()
    if len(names) == 1:
        return names[0]
    shapes = {}
    for name in names:
        with archive.open(name) as member:
            shapes[name] = _header(member, objects=True)[0]
    images = [name for name, shape in shapes.items() if len(shape) > 1]
    if len(images) != 1:
        each = [f"{name.removesuffix('.npy')} {shape}" for name, shape in shapes.items()]
        raise ImageError(
            f"{len(names)} arrays ({', '.join(each[:5])}), where one of two or more axes is needed:"
            " save each as its own file"
        )
    return images[0]


def _header(
    file: IO[bytes], *, objects: bool = False
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    start = file.read(len(_MAGIC) + 2)
    if not start.startswith(_MAGIC):
        raise ImageError("not an array of numpy: a pickle or something else, which is not read")
    version = (start[-2], start[-1])
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(file)
    else:
        shape, fortran, dtype = npy.read_array_header_2_0(file)
    if objects:
        return shape, fortran, dtype
    if dtype.hasobject:
        raise ImageError("Python objects (a pickle), which are not read: save numbers")
    return shape, fortran, checked(dtype)


def _axes(shape: tuple[int, ...], pages: Pages) -> str:
    wanted = (
        f"an array of shape {shape}, where (height, width), (height, width, channels) or"
        f" (channels, height, width) of at most {MOST_CHANNELS} channels, or (slices, height,"
        " width) is needed"
    )
    if len(shape) == 2 and 0 not in shape:
        return "hw"
    if len(shape) != 3 or 0 in shape:
        raise ImageError(wanted)
    if pages != "auto":
        return "zhw" if pages == "slices" else "chw"
    first, middle, last = shape
    if last <= MOST_CHANNELS and last <= first and last < middle:
        return "hwc"
    return "chw" if first <= MOST_CHANNELS and first < min(middle, last) else "zhw"


def _facts(shape: tuple[int, ...], dtype: np.dtype[Any], pages: Pages) -> FileFacts:
    axes = _axes(shape, pages)
    sizes = dict(zip(axes, shape, strict=True))
    name = "uint8" if dtype.kind == "b" else str(dtype.newbyteorder("="))
    size, slices = (sizes["h"], sizes["w"]), sizes.get("z", 1)
    facts = FileFacts(size, sizes.get("c", 1), name, pictures=slices)
    if axes == "hw":
        return facts
    if "z" in sizes and slices > 1:
        facts = replace(facts, axis="z")
    what = f"{slices} slices" if "z" in sizes else counted(facts.channels, "channel")
    facts = replace(facts, decided=f"array {shape} read as {what} of {size[1]} x {size[0]}")
    if pages != "auto" or axes == "hwc" or shape[0] > MOST_CHANNELS:
        return facts
    return replace(facts, instead="slices" if axes == "chw" else "channels")


def _picture(values: Pixels, axes: str) -> Picture:
    if axes == "hw":
        values = values[..., None]
    elif axes == "chw":
        values = np.moveaxis(values, 0, 2)
    pixels, valid = without_gaps(np.ascontiguousarray(plain(values)))
    return Picture(pixels, valid=valid, header=Layout(axes=axes))


def _layout(image: Picture) -> str:
    return image.header.axes if isinstance(image.header, Layout) else "hwc"


def _laid_out(image: Picture | Frames) -> Pixels:
    """As the file was that the picture is from; of another, (height, width, channels)."""
    if isinstance(image, Frames):
        return np.stack([with_gaps(each)[..., 0] for each in image.frames])
    values, axes = with_gaps(image), _layout(image)
    if image.alpha is not None:
        values = np.dstack([values, image.alpha])
    if axes == "hw" and values.shape[2] == 1:
        return np.ascontiguousarray(values[..., 0])
    return np.ascontiguousarray(np.moveaxis(values, 2, 0) if axes == "chw" else values)
