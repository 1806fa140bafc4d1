"""OpenEXR. Opacity is a channel like others, as colours are multiplied by it."""

import io
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from img2img.errors import ImageError
from img2img.images.codecs.base import CODECS, Codec, not_held, only, with_gaps, without_gaps
from img2img.images.codecs.facts import FileFacts
from img2img.images.picture import Frames, Header, Picture

_MAGIC = b"v/1\x01"
_TYPES = {0: "uint32", 1: "float16", 2: "float32"}
# Bits of the version: deep pixels, several parts.
_NOT_READ = 0x08 | 0x10
# Bytes of a header's entries.
_LONGEST, _LONGEST_NAME = 2**20, 255
# The order of the channels of colours, which the file has in the alphabet's.
_ORDER = "RGBAYXZ"
_KEPT = ("chromaticities", "pixelAspectRatio", "whiteLuminance", "xDensity", "owner", "comments")


@dataclass(frozen=True)
class ExrHeader(Header):
    """What an OpenEXR file says besides its pixels."""

    attributes: dict[str, Any] = field(default_factory=dict)


@CODECS.register("exr")
class ExrCodec(Codec):
    """OpenEXR of one part, with channels of any names."""

    suffixes = (".exr",)
    written = (".exr",)
    library, extra, kind = "OpenEXR", "science", "OpenEXR"

    def recognizes(self, start: bytes, path: Path) -> bool:
        return start.startswith(_MAGIC)

    def probe(self, path: Path) -> FileFacts:
        self.needed()
        with path.open("rb") as file:
            return _facts(file)

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture:
        facts = self.probe(path)
        facts.check_size()
        names = facts.names or ()
        with self.needed().File(str(path), separate_channels=True) as file:
            channels, header = file.channels(), file.header()
            planes = [channels[name].pixels for name in names]
        pixels, valid = without_gaps(np.dstack(planes))
        kept = {key: header[key] for key in _KEPT if key in header}
        return Picture(pixels, header=ExrHeader(attributes=kept), channels=names, valid=valid)

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        if isinstance(image, Frames):
            return not_held(image)
        if image.pixels.dtype in (np.float16, np.float32, np.uint32):
            return None
        return only("channels of float16, float32 or uint32", image)

    def write(self, path: Path, image: Picture, quality: int) -> None:
        library = self.needed()
        usual = {1: ("Y",), 3: tuple("RGB"), 4: tuple("RGBA")}
        count = image.pixels.shape[2]
        names = image.channels or usual.get(count) or [str(at + 1) for at in range(count)]
        header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
        if isinstance(image.header, ExrHeader):
            header |= image.header.attributes
        pixels = with_gaps(image)
        channels = {name: np.ascontiguousarray(pixels[..., at]) for at, name in enumerate(names)}
        with library.File(header, channels) as file:
            file.write(str(path))


def _facts(file: BinaryIO) -> FileFacts:
    """What the header says: the library tells the types of channels only with the pixels."""
    start = file.read(8)
    if start[:4] != _MAGIC:
        raise ImageError("not an OpenEXR file")
    if start[5] & _NOT_READ:
        raise ImageError("several parts, or of several depths: save each as its own file")
    names: list[str] = []
    types: set[int] = set()
    size = (0, 0)
    while name := _text(file):
        kind = _text(file)
        (length,) = struct.unpack("<i", file.read(4))
        if not 0 <= length <= _LONGEST:
            raise ImageError("damaged (its header)")
        value = io.BytesIO(file.read(length))
        if name == "dataWindow":
            left, top, right, bottom = struct.unpack("<4i", value.read(16))
            size = (bottom - top + 1, right - left + 1)
        while kind == "chlist" and (channel := _text(value)):
            names.append(channel)
            pixel_type, _, across, down = struct.unpack("<4i", value.read(16))
            types.add(pixel_type)
            if (across, down) != (1, 1):
                raise ImageError("channels of different sizes are not supported")
    if len(types) != 1 or min(size) < 1:
        raise ImageError("channels of different types are not supported: save them as one type")
    ordered = tuple(sorted(names, key=_place))
    return FileFacts(size, len(names), _TYPES[types.pop()], names=ordered)


def _text(file: BinaryIO) -> str:
    """The characters up to a zero."""
    found = bytearray()
    while byte := file.read(1).rstrip(b"\0"):
        found += byte
        if len(found) > _LONGEST_NAME:
            raise ImageError("damaged (its header)")
    return found.decode("utf-8", "replace")


def _place(name: str) -> tuple[str, int, str]:
    layer, _, last = name.rpartition(".")
    return layer, _ORDER.find(last) if last in [*_ORDER] else len(_ORDER), last
