"""The tensors of PyTorch's own files; all else in them is only named, and nothing is run.

What a file says of its tensors is read first, by `archives.described`; their numbers stay where
they are, in the file, until someone looks at them.
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
    """What a file holds."""

    tree: dict[str, Any]
    """Tensors, which look into the file, in dictionaries that may lie in others."""
    left_out: list[str] = field(default_factory=list)
    """What only running code could build, as `opt (argparse.Namespace)`."""


def read_pth(path: Path) -> Content:
    """A dictionary that `torch.save` has written. No class in it is built, and no code is run.

    Its tensors may have the same numbers many times, and be larger than the file.

    Raises:
        ModelFileError: damaged, or no dictionary.
    """
    tree, places = read_description(path)
    with refusing(path), path.open("rb") as file:
        # Private: what is changed in a tensor stays out of the file.
        mapped = mmap.mmap(file.fileno(), path.stat().st_size, access=mmap.ACCESS_COPY)
        return _Builder(mapped, places).content(tree)


def named_tensors(content: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    """All tensors of a tree of dictionaries, by their own names; each dictionary once."""
    for _, mapping in dictionaries(content):
        for key, value in mapping.items():
            if isinstance(value, Tensor):
                yield str(key), value


def _dtype(storage: Storage) -> torch.dtype:
    number_bytes(storage)  # which refuses what is no plain number
    return _DTYPES[storage.kind]


class _Builder:
    """Makes tensors of their descriptions."""

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
        """A look into the file."""
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
