"""The descriptions of tensors in PyTorch's files, read before the tensors and within limits.

Nothing here needs torch, so that files that cannot hold weights are refused before it is loaded.
"""

import io
import os
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from img2img.archives.pickles import MOST_BYTES, Bounded, Built, Storage, Strange, read_pickle
from img2img.errors import ModelFileError, shortened

# Maximum depth of nested dictionaries; deeper ones are not searched.
DEPTH = 8
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
# The directory of an archive takes about 80 bytes per tensor.
_MOST_DIRECTORY = 2**23
# Files from before 2020: the first two values, and the number of bytes in front of each storage.
_MAGIC, _LEGACY_VERSION, _LENGTH = 0x1950A86A20F9469CFC6C, 1001, 8
# Bytes per number, by the kind of storage.
NUMBER_BYTES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}

Places = dict[str, tuple[int, int]]
"""The position of each storage in the file, and its number of bytes."""


class Weights(NamedTuple):
    """A dictionary of weights, as described in its file."""

    tree: Mapping[Any, Any]
    """Arrays, in dictionaries that may be nested."""
    places: Places


def looks_like_pth(path: Path) -> bool:
    """Whether a file begins like one written by `torch.save`."""
    with path.open("rb") as file:
        beginning = file.read(9)
    # A safetensors file begins with the length of its header, which may be any bytes.
    if int.from_bytes(beginning[:8], "little") < path.stat().st_size and beginning[8:] == b"{":
        return False
    return beginning.startswith((_ZIP, _PICKLE))


def read_description(path: Path) -> Weights:
    """The content of a file written by `torch.save`. No class in it is built, and no code is run.

    Raises:
        ModelFileError: it is damaged, not a dictionary, or too large for a description of weights.
    """
    if not path.is_file():
        raise ModelFileError.of(path, "no such file")
    if not looks_like_pth(path):
        raise ModelFileError.of(path, "neither a model of img2img nor a file of PyTorch")
    with refusing(path), path.open("rb") as file:
        zipped = file.read(len(_ZIP)) == _ZIP
        described, places = (_archive if zipped else _legacy)(file)
    if isinstance(described, Built) and not described:
        raise ModelFileError.of(
            path,
            f"holds {described.name}, which could only be rebuilt by running"
            " code from the file; none was run. Save the weights alone:"
            " torch.save(network.state_dict(), ...)",
        )
    if not isinstance(described, Mapping):
        kind = type(described).__name__
        raise ModelFileError.of(path, f"holds a {kind}, not a dictionary of weights")
    return Weights(described, places)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn any error while reading a file into a ModelFileError."""
    try:
        yield
    except Strange as error:
        raise ModelFileError.of(path, str(error)) from None
    # A maliciously damaged file can make the reader raise anything.
    except Exception as error:
        reason = shortened(" ".join(str(error).split()) or type(error).__name__, 200)
        raise ModelFileError.of(path, f"damaged, or not a file of weights: {reason}") from None


def dictionaries(content: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """All dictionaries in a tree, each once, with the dotted names that lead to them."""
    seen: set[int] = set()
    level = [("", content)]
    for _ in range(DEPTH):
        below = []
        for where, mapping in level:
            if id(mapping) in seen:
                continue
            seen.add(id(mapping))
            yield where, mapping
            inside = [(k, v) for k, v in mapping.items() if isinstance(v, Mapping)]
            below += [(f"{where}{shortened(str(key), 80)}.", value) for key, value in inside]
        level = below


class _Directory(io.BufferedReader):
    """An archive that refuses reads that are larger than a directory of weights can be."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > _MOST_DIRECTORY:
            raise Strange("its directory is too large for a file of weights")
        return super().read(wanted)


def _archive(file: IO[bytes]) -> tuple[object, Places]:
    size = os.fstat(file.fileno()).st_size
    with _Directory(io.FileIO(file.name)) as directory, zipfile.ZipFile(directory) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    if any(name.partition("/")[2].startswith("code/") for name in entries):
        raise Strange("a TorchScript program, not weights")
    unpacked = sum(entry.file_size for entry in entries.values())
    if unpacked > size or any(entry.compress_type for entry in entries.values()):
        raise Strange(
            f"compressed, which files of weights never are: its {size / 2**20:.1f} MB would unpack"
            f" to {unpacked / 2**20:.0f} MB"
        )
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("data.pkl")]
    if not roots:
        raise Strange("an archive that holds no weights")
    root = min(roots, key=len)
    order = entries.get(f"{root}byteorder")
    if order and _bytes_of(file, order) != sys.byteorder.encode():
        raise Strange("written on a machine with a different byte order")
    description = entries[f"{root}data.pkl"]
    if description.file_size > MOST_BYTES:
        raise Strange("the description of its weights is too large")
    described = read_pickle(io.BytesIO(_bytes_of(file, description))).value
    prefix = f"{root}data/"
    places = {
        name.removeprefix(prefix): (_begin(file, entry), entry.file_size)
        for name, entry in entries.items()
        if name.startswith(prefix)
    }
    return described, places


def _begin(file: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """Position of an entry's bytes, after the entry's own header."""
    file.seek(entry.header_offset)
    header = file.read(30)
    if not header.startswith(_ZIP):
        raise ValueError("an entry of the archive is not where it should be")
    name, extra = struct.unpack("<26x2H", header)
    return entry.header_offset + 30 + int(name) + int(extra)


def _bytes_of(file: IO[bytes], entry: zipfile.ZipInfo) -> bytes:
    file.seek(_begin(file, entry))
    return file.read(min(entry.file_size, MOST_BYTES))


def _legacy(file: IO[bytes]) -> tuple[object, Places]:
    """Read a file from before 2020: several pickles, then the storages, each with its count."""
    file.seek(0)
    bounded = Bounded(file)
    if read_pickle(bounded).value != _MAGIC:
        raise Strange("a pickle of something other than weights; nothing in it was run")
    if read_pickle(bounded).value != _LEGACY_VERSION:
        raise Strange("written by an unknown version of PyTorch")
    read_pickle(bounded)  # about the machine that wrote it
    described, storages = read_pickle(bounded)
    keys: Any = read_pickle(bounded).value
    size = os.fstat(file.fileno()).st_size
    places: Places = {}
    position = file.tell()
    for key in keys:
        file.seek(position)
        (count,) = struct.unpack("<q", file.read(_LENGTH))
        length = count * number_bytes(storages[key])
        if not 0 <= length <= size - position:
            raise ValueError("it is truncated: it ends before its tensors do")
        places[key] = (position + _LENGTH, length)
        position += _LENGTH + length
    return described, places


def number_bytes(storage: Storage) -> int:
    """Bytes per number of a storage."""
    if storage.kind not in NUMBER_BYTES:
        raise Strange(f"contains a {storage.kind}, which does not hold plain numbers")
    return NUMBER_BYTES[storage.kind]
