"""Reading the tensors in PyTorch's files. Anything else in them is only named, and nothing is run.

The description of the tensors is read first, by `archives.described`; their numbers stay in the
file until they are used.
"""

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from img2img.archives.described import (
    Places,
    dictionaries,
    number_bytes,
    read_description,
    refusing,
)
from img2img.archives.pickles import Array, Built, Storage
from img2img.errors import shortened

_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}


@dataclass(frozen=True)
class Content:
    """The content of a file."""

    tree: dict[str, Any]
    """Tensors that are views of the file, in dictionaries that may be nested."""
    left_out: list[str] = field(default_factory=list)
    """Objects that only running code could build, such as `opt (argparse.Namespace)`."""


def read_pth(path: Path) -> Content:
    """A dictionary written by `torch.save`. No class in it is built, and no code is run.

    Its tensors may share their numbers, and together be larger than the file.

    Raises:
        ModelFileError: it is damaged, or not a dictionary.
    """
    tree, places = read_description(path)
    with refusing(path), path.open("rb") as file:
        # Private: changes to a tensor are not written to the file.
        mapped = mmap.mmap(file.fileno(), path.stat().st_size, access=mmap.ACCESS_COPY)
        return _Builder(mapped, places).content(tree)


def named_tensors(content: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    """All tensors in nested dictionaries, by their own names; each dictionary once."""
    for _, mapping in dictionaries(content):
        for key, value in mapping.items():
            if isinstance(value, Tensor):
                yield str(key), value


def _dtype(storage: Storage) -> torch.dtype:
    number_bytes(storage)  # which refuses anything but plain numbers
    return _DTYPES[storage.kind]


class _Builder:
    """Builds tensors from their descriptions."""

    def __init__(self, mapped: mmap.mmap, places: Places) -> None:
        self._mapped, self._places = mapped, places
        self._views: dict[Array, Tensor] = {}

    def content(self, described: Mapping[Any, Any]) -> Content:
        left_out: list[str] = []
        for where, mapping in dictionaries(described):
            for key, value in mapping.items():
                if isinstance(value, Array):
                    mapping[key] = self._tensor(value)
                elif isinstance(value, Built) and not value:
                    left_out.append(f"{where}{shortened(str(key), 80)} ({value.name})")
        return Content(dict(described), left_out)

    def _tensor(self, array: Array) -> Tensor:
        """A tensor that is a view of the file."""
        if array in self._views:
            return self._views[array]
        storage, dtype = array.storage, _dtype(array.storage)
        begin, length = self._places[storage.key]
        if not storage.numbers * dtype.itemsize <= length <= len(self._mapped) - begin:
            raise ValueError("its tensors are larger than the file")
        steps = zip(array.shape, array.strides, strict=True)
        end = array.offset + sum((count - 1) * stride for count, stride in steps) + 1
        if all(array.shape):
            if end > storage.numbers:
                raise ValueError("a tensor reaches beyond the stored data")
            flat = torch.frombuffer(self._mapped, dtype=dtype, count=storage.numbers, offset=begin)
            tensor = flat.as_strided(array.shape, array.strides, array.offset)
        else:
            tensor = torch.empty(array.shape, dtype=dtype)
        self._views[array] = tensor
        return tensor
