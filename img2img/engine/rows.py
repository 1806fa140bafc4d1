"""Translating a picture that is larger than memory: its file is read and written by rows.

The maps that have to be kept whole are in memory if there is room for them, otherwise in a file
that is mapped into memory, which the system writes to the disk as it needs to.
"""

import mmap
import os
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from img2img.engine.footprint import strip_rows
from img2img.engine.options import OnPart
from img2img.engine.sizing import padded_size
from img2img.engine.strips import run_in_strips
from img2img.engine.values import ValueConversion
from img2img.errors import StorageError
from img2img.images import Picture, Pixels, Reader, to_pixels, to_tensor
from img2img.networks import Generator

# Rows that are decoded together, as tiled files need it, and how many such blocks are kept.
_BLOCK, _KEPT = 256, 3
# Whole maps that are alive at a time: input, middle and output of a residual block.
_MAPS = 3


def translate_rows(
    generator: Generator,
    reader: Reader,
    write: Callable[[Picture, Picture], None],
    *,
    values: ValueConversion,
    memory: int,
    folder: Path,
    truncate: bool = False,
    progress: OnPart | None = None,
) -> None:
    """Translate the picture of a file without ever holding it whole, identically in float32.

    Args:
        generator: set up for inference, with `stages`.
        reader: the open file.
        write: takes rows of the picture and of its result, in order.
        values: from the values of files to those of the network, and back.
        memory: bytes that whole maps and strips may take.
        folder: where a temporary file may be.
        truncate: round colours down.
        progress: called with (strips done, total).
    """
    height, width = reader.facts.size
    device = next(generator.parameters()).device
    rows = _Rows(reader, values)
    size = padded_size((height, width), generator.size_multiple, generator.min_size)

    def read(start: int, stop: int) -> Tensor:
        # Beyond the picture, its rows come again in reverse, as `pad_to_fit` has them.
        wanted = np.arange(start, stop)
        wanted = height - 1 - np.abs(wanted % (2 * max(height - 1, 1)) - (height - 1))
        first, last = int(wanted.min()), int(wanted.max()) + 1
        pixels = rows.pixels(first, last)[wanted - first]
        columns = np.pad(np.arange(width), (0, size[1] - width), mode="reflect")
        return to_tensor(pixels if size[1] == width else pixels[:, columns])[None].to(device)

    def finish(start: int, strip: Tensor) -> None:
        stop = min(start + strip.shape[2], height)
        if stop > start:
            pixels = to_pixels(strip[0, :, : stop - start, :width], rows.dtype, truncate=truncate)
            given = rows.picture(start, stop)
            write(given, values.restored(given, pixels))

    with tempfile.TemporaryDirectory(
        prefix=".img2img-", dir=folder, ignore_cleanup_errors=True
    ) as temporary:
        maps = _Maps(Path(temporary), memory)

        run_in_strips(
            generator,
            read,
            finish,
            height=size[0],
            rows=strip_rows(generator, size, memory, channels=reader.facts.channels),
            progress=progress,
            allocate=maps.allocate,
            release=maps.release,
        )


class _Rows:
    """Rows of a file, decoded in blocks of which the last few are kept."""

    def __init__(self, reader: Reader, values: ValueConversion) -> None:
        self._reader, self._values = reader, values
        self._blocks: OrderedDict[int, tuple[Picture, Pixels]] = OrderedDict()
        self._counted = 0
        self.dtype = self._block(0)[1].dtype

    def pixels(self, start: int, stop: int) -> Pixels:
        """What the network is given of them."""
        return np.concatenate([pixels for _, pixels in self._parts(start, stop)])

    def picture(self, start: int, stop: int) -> Picture:
        """The rows as the file has them, in the model's channels."""
        parts = [picture for picture, _ in self._parts(start, stop)]
        return parts[0] if len(parts) == 1 else Picture.stacked(parts)

    def _parts(self, start: int, stop: int) -> Iterator[tuple[Picture, Pixels]]:
        for index in range(start // _BLOCK, (stop - 1) // _BLOCK + 1):
            top = index * _BLOCK
            picture, pixels = self._block(index)
            first, last = max(start - top, 0), min(stop - top, len(pixels))
            yield picture.rows(first, last), pixels[first:last]

    def _block(self, index: int) -> tuple[Picture, Pixels]:
        if index not in self._blocks:
            while len(self._blocks) >= _KEPT:
                self._blocks.popitem(last=False)
            top = index * _BLOCK
            stop = min(top + _BLOCK, self._reader.facts.size[0])
            picture = self._values.with_range(self._reader.read(top, stop))
            seen_before = index < self._counted
            pixels = self._values.network_pixels(picture, count=not seen_before)
            self._counted = max(self._counted, index + 1)
            self._blocks[index] = picture, pixels
        self._blocks.move_to_end(index)
        return self._blocks[index]


class _Maps:
    """Memory for whole maps: in files of a folder, from the first that would take too much."""

    def __init__(self, folder: Path, memory: int) -> None:
        self._folder, self._memory = folder, memory
        # Those that some tensor has: a file is gone with its map.
        self._mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._numbers = count()

    def allocate(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        batch, channels, height, width = shape
        size = prod(shape) * dtype.itemsize
        laid_out = (batch, height, width, channels)
        if device.type != "cpu" or _MAPS * size <= self._memory // 2:
            return torch.empty(laid_out, dtype=dtype, device=device).permute(0, 3, 1, 2)
        path = self._folder / str(next(self._numbers))
        _reserve(path, size)
        with path.open("r+b") as file:
            mapped = mmap.mmap(file.fileno(), size)
        with suppress(OSError):  # Windows keeps what is mapped, until the folder is removed
            path.unlink()
        self._mapped.add(mapped)
        return torch.frombuffer(mapped, dtype=dtype).view(laid_out).permute(0, 3, 1, 2)

    def release(self) -> None:
        """Give back the memory that mapped files take now; what they hold stays in the files."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._mapped:
                mapped.madvise(mmap.MADV_DONTNEED)


def _reserve(path: Path, size: int) -> None:
    """Make a file of a size that has its place on the disk: without one, writing to it crashes.

    Raises:
        StorageError: there is no room.
    """
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                for _ in range(-(-size // 2**20)):
                    file.write(bytes(2**20))
    except OSError as error:
        raise StorageError(
            f"{path.parent}: no room for {size / 1e9:.1f} GB of temporary data ({error.strerror})"
        ) from error
