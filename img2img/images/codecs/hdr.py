"""Radiance HDR, by OpenCV."""

import re
from pathlib import Path

import cv2
import numpy as np

from img2img.errors import ImageError
from img2img.images.codecs.base import CODECS, START, Codec, Parts, not_held, only
from img2img.images.codecs.facts import FileFacts
from img2img.images.picture import Frames, Picture

_SIZE = re.compile(rb"\n-Y (\d+) \+X (\d+)\n")


@CODECS.register("hdr")
class HdrCodec(Codec):
    """Radiance HDR, RGB of float32."""

    suffixes = (".hdr", ".rgbe")
    written = (".hdr",)

    def recognizes(self, start: bytes, path: Path) -> bool:
        return start.startswith((b"#?RADIANCE", b"#?RGBE"))

    def probe(self, path: Path) -> FileFacts:
        with path.open("rb") as file:
            found = _SIZE.search(file.read(16 * START))
        if found is None:
            raise ImageError("not a Radiance HDR file whose first row is the uppermost one")
        return FileFacts((int(found[1]), int(found[2])), 3, "float32")

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture:
        self.probe(path).check_size()
        data = np.frombuffer(path.read_bytes(), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ImageError("damaged or truncated")
        return Picture(np.ascontiguousarray(pixels[..., ::-1]))

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        if isinstance(image, Frames):
            return not_held(image)
        if image.pixels.shape[2] == 3 and image.pixels.dtype == np.float32:
            return None
        return only("3 channels of float32", image)

    def encode(self, image: Picture, quality: int) -> Parts:
        return [cv2.imencode(".hdr", np.ascontiguousarray(image.pixels[..., ::-1]))[1].tobytes()]
