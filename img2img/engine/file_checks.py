"""Checks of an exported file before a runtime reads it: its description, and its size.

A runtime allocates memory for everything in a file, even for gigabytes of zeros at its end.
"""

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from img2img.errors import ModelFileError
from img2img.networks import Generator

# Maximum bytes of an `.xml`, whose weights are elsewhere; and of everything besides the weights.
_MOST_XML, _MOST_BESIDE = 2**24, 2**22
# Numbers of fields in the ONNX format, and the kinds of their values.
_METADATA, _KEY, _VALUE = 14, 1, 2
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
# Operators that create large tensors from nothing. No export contains them.
_GROWING = {
    *("ConstantOfShape", "Expand", "EyeLike", "If", "Loop", "OneHot", "Range", "Scan", "Tile"),
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "SequenceMap"),
}


def onnx_metadata(path: Path, key: str) -> str | None:
    """The text under a key in the metadata of an ONNX model. Nothing else in the file is read.

    Raises:
        ModelFileError: it is not an ONNX model.
    """
    found = None
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            for number, begin, end in _fields(whole, 0, len(whole)):
                if number != _METADATA:
                    continue
                entry = {n: whole[b:e] for n, b, e in _fields(whole, begin, end)}
                if entry.get(_KEY) == key.encode():
                    found = entry.get(_VALUE, b"").decode()
    except (ValueError, IndexError) as error:
        raise ModelFileError.of(path, f"not a readable ONNX model: {error}") from None
    return found


def openvino_metadata(path: Path, key: str) -> str | None:
    """The text under a key in the `.xml` file of an OpenVINO model.

    Raises:
        ModelFileError: it is not an OpenVINO model.
    """
    if path.stat().st_size > _MOST_XML:
        raise ModelFileError.of(path, "too large for an OpenVINO model: more than 16 MB of XML")
    content = path.read_bytes()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # which may stand for gigabytes
        raise ModelFileError.of(path, "not a readable OpenVINO model: it defines entities")
    try:
        element = ElementTree.fromstring(content).find(f"rt_info/{key}")
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise ModelFileError.of(path, f"not a readable OpenVINO model: {error}") from None
    return None if element is None else element.get("value")


def check_size(files: Sequence[Path], network: Generator) -> None:
    """Refuse files that are much larger than the network that they describe.

    Raises:
        ModelFileError: they are too large.
    """
    size = sum(file.stat().st_size for file in files)
    weights = 4 * sum(weight.numel() for weight in network.parameters())
    if size > 2 * weights + _MOST_BESIDE:
        raise ModelFileError(
            f"{files[0]}: {size / 2**20:.0f} MB, but its network has"
            f" {weights / 2**20:.1f} MB of weights"
        )


def check_onnx(path: Path, model: Any) -> None:
    """Refuse ONNX models with weights in other files, or with operators that no export contains.

    Args:
        model: the protobuf message.

    Raises:
        ModelFileError: it has such weights or operators.
    """
    import onnx

    for part in _messages(model):
        if getattr(part, "data_location", None) == onnx.TensorProto.EXTERNAL:
            raise ModelFileError.of(path, "has weights in other files, which are not read")
        if (operator := getattr(part, "op_type", None)) in _GROWING:
            raise ModelFileError.of(path, f"has an operator that img2img never exports: {operator}")


def _messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all messages within it."""
    todo = [message]
    while todo:
        part = todo.pop()
        yield part
        for field, value in part.ListFields():
            if field.message_type is not None:
                todo.extend([value] if hasattr(value, "ListFields") else value)


def _fields(data: mmap.mmap, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a protobuf message that holds bytes."""
    while begin < end:
        tag, begin = _varint(data, begin)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, begin = _varint(data, begin)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            begin += 8 if kind == _EIGHT_BYTES else 4
        elif kind == _BYTES:
            length, begin = _varint(data, begin)
            if begin + length > end:
                raise ValueError("it is truncated")
            yield number, begin, begin + length
            begin += length
        else:
            raise ValueError("it is not a protobuf message")
        if not number:
            raise ValueError("it is not a protobuf message")


def _varint(data: mmap.mmap, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is not a protobuf message")
