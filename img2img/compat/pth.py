"""PyTorch's own files, of which nothing is run: tensors, numbers and texts only."""

import mmap
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from img2img.errors import ModelFileError, shortened

# Dictionaries within dictionaries; deeper ones are not searched.
DEPTH = 8
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_BYTEARRAY = b"bytearray"
# The most that a file may unpack to, of its own size. torch.save does not compress.
_UNPACKED = 2


def looks_like_pth(path: Path) -> bool:
    """Whether a file begins as `torch.save` writes it."""
    with path.open("rb") as file:
        beginning = file.read(9)
    # A safetensors file begins with the length of its header, which may look like anything.
    if int.from_bytes(beginning[:8], "little") < path.stat().st_size and beginning[8:] == b"{":
        return False
    return beginning.startswith((_ZIP, _PICKLE))


def read_pth(path: Path) -> dict[str, Any]:
    """A dictionary that `torch.save` has written. No class in it is built, and no code is run.

    Raises:
        ModelFileError: damaged, too large unpacked, or more than tensors, numbers and texts.
    """
    if not looks_like_pth(path):
        raise ModelFileError(f"{path}: neither a model of img2img nor a file of PyTorch")
    stored = _check_archive(path) if zipfile.is_zipfile(path) else path.stat().st_size
    if _allocates(path):
        raise ModelFileError(f"{path}: would have memory taken that no weights need")
    try:
        # Opened here, so that its name does not decide how it is read.
        with warnings.catch_warnings(action="ignore"), path.open("rb") as file:
            content = torch.load(file, map_location="cpu", weights_only=True)
    # What a file that is damaged on purpose makes the reader raise is not to be foretold.
    except Exception as error:
        raise ModelFileError(f"{path}: {_reason(error)}") from None
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise ModelFileError(f"{path}: holds a {kind}, where a dictionary of weights is wanted")
    _check_tensors(path, content, stored)
    return dict(content)


def named_tensors(content: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    """All tensors of a tree of dictionaries, by their own names; each dictionary once."""
    seen: set[int] = set()
    level = [content]
    for _ in range(DEPTH):
        below: list[Mapping[Any, Any]] = []
        for mapping in level:
            if id(mapping) in seen:
                continue
            seen.add(id(mapping))
            for key, value in mapping.items():
                if isinstance(value, Tensor):
                    yield str(key), value
                elif isinstance(value, Mapping):
                    below.append(value)
        level = below


def _check_archive(path: Path) -> int:
    """Refuse what is no archive of weights; the bytes that it has for tensors."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelFileError(f"{path}: damaged: {shortened(str(error))}") from None
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _UNPACKED * size:
        raise ModelFileError(
            f"{path}: its {size / 2**20:.1f} MB would unpack to {unpacked / 2**20:.0f} MB, which"
            " no file of weights does"
        )
    names = [entry.filename.partition("/")[2] for entry in entries]
    if any(name.startswith("code/") for name in names):
        raise ModelFileError(f"{path}: a TorchScript program, where weights are wanted")
    if "data.pkl" not in names:
        raise ModelFileError(f"{path}: an archive, but not of weights")
    return unpacked


def _allocates(path: Path) -> bool:
    """Whether the pickle in a file asks for a `bytearray`, of any size: what weights never do."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            return whole.find(_BYTEARRAY) >= 0
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return any(_BYTEARRAY in archive.read(name) for name in names)


def _check_tensors(path: Path, content: Mapping[Any, Any], stored: int) -> None:
    """Refuse tensors that claim more numbers than the file has bytes for."""
    storages: dict[int, int] = {}
    for _, tensor in named_tensors(content):
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise ModelFileError(f"{path}: holds tensors that are not plain arrays of numbers")
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        if tensor.numel() * tensor.itemsize > storage.nbytes():
            raise ModelFileError(f"{path}: holds a tensor of more numbers than are stored")
    if sum(storages.values()) > stored:
        raise ModelFileError(f"{path}: damaged: its tensors are larger than the file")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    found = re.search(r"GLOBAL ([\w.]+)|(?:class|global|type) '?([\w.]+\.[\w.]+)", text)
    if found:
        name = found[1] or found[2]
        return (
            f"holds {shortened(name, 80)}, which only running code from the file could rebuild;"
            " none was run. Its weights alone are wanted: torch.save(network.state_dict(), ...)"
        )
    if "weights_only" in text:  # torch's own words advise to run the code
        return "a pickle, but not of weights alone; nothing in it was run"
    return f"damaged, or not a file of weights: {shortened(text or type(error).__name__, 200)}"
