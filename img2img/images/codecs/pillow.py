"""Photographs, drawings and animations: what Pillow reads, and OpenCV where they have 16 bits."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from img2img.errors import ImageError
from img2img.images.codecs.base import CODECS, Codec, Parts, not_held, only
from img2img.images.codecs.facts import FileFacts
from img2img.images.deep import decode_deep, is_deep
from img2img.images.formats import HAS_AVIF, HAS_HEIF, open_image
from img2img.images.gif import encode_gif
from img2img.images.jpeg import completed
from img2img.images.metadata import metadata, orientation, upright
from img2img.images.picture import Animation, Frames, Picture
from img2img.images.pillow import from_pillow, is_grey, palette_of, to_pillow
from img2img.images.png import encode_apng, encode_png

_READ = ".png .apng .jpg .jpeg .jpe .jfif .jif .mpo .webp .bmp .dib .gif .ppm .pgm .pbm .pnm .pfm"
HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".heics", ".heifs")
_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif")
_MAGIC = (b"\x89PNG", b"\xff\xd8", b"GIF8", b"BM", *(b"P%d" % kind for kind in range(1, 7)), b"Pf")
_GREY_WITH_ALPHA = b"\x10\4"  # of the header of a PNG: 16 bits, and what they are
_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
_JPEG = {"JPEG", "MPO"}
# What a JPEG's segment has room for besides the name of what is in it.
_JPEG_SEGMENT = 65535 - 64


@CODECS.register("pillow")
class PillowCodec(Codec):
    """PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF and PNM, by Pillow and OpenCV."""

    suffixes = (*_READ.split(), ".avif", *HEIF_SUFFIXES * HAS_HEIF)
    written = (
        *(".png", ".apng", *_JPEG_SUFFIXES, ".webp", ".bmp", ".dib", ".gif"),
        *[".avif"] * HAS_AVIF,
    )

    def recognizes(self, start: bytes, path: Path) -> bool:
        return start.startswith(_MAGIC) or start[4:8] == b"ftyp" or start[8:12] == b"WEBP"

    def probe(self, path: Path) -> FileFacts:
        with _opened(path) as file:
            return file.facts(file.frames)

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture | Frames:
        with _opened(path) as file:
            frames = 1 if single else file.frames
            file.facts(frames).check_size()
            return file.animation(frames) if frames > 1 else file.picture(indices=indices)

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        animation = isinstance(image, Animation)
        if (isinstance(image, Frames) and not animation) or (animation and suffix not in _MOVING):
            return not_held(image)
        most = 4 if suffix in _PNG and not animation else 3
        for picture in image.frames if isinstance(image, Frames) else (image,):
            channels, dtype = picture.pixels.shape[2], picture.pixels.dtype
            if dtype not in (np.uint8, np.uint16) or (channels not in {1, 3} and channels > most):
                if most == 4:
                    return only("1 to 4 channels of uint8 or uint16", picture)
                return only("grey or RGB of 8 bits", picture)
        return None

    def write(self, path: Path, image: Picture | Animation, quality: int) -> None:
        encoders: Any = _MOVING if isinstance(image, Animation) else _STILLS
        parts = [*encoders[path.suffix.lower()](image, quality)]  # before a byte is written
        with path.open("wb") as file:
            file.writelines(parts)


@dataclass(frozen=True)
class _File:
    """An open image file."""

    file: BinaryIO
    image: Image.Image

    @cached_property
    def deep(self) -> bool:
        """Whether it is left to OpenCV."""
        return is_deep(self.image, self.start())

    @cached_property
    def grey(self) -> bool:
        """Whether it has one channel besides alpha, for which Pillow has no mode at 16 bits."""
        return is_grey(self.image) or (self.deep and self.start()[:26].endswith(_GREY_WITH_ALPHA))

    @property
    def frames(self) -> int:
        return getattr(self.image, "n_frames", 1) if self.image.format in _ANIMATED else 1

    def facts(self, pictures: int) -> FileFacts:
        image = self.image
        alpha = image.has_transparency_data and image.mode[0] not in "IF"
        dtype = "uint16" if self.deep or image.mode[0] == "I" else "uint8"
        return FileFacts(
            size=(image.height, image.width),
            channels=1 if self.grey else 3,
            dtype="float32" if image.mode == "F" else dtype,
            pictures=pictures,
            axis="frame" if pictures > 1 else None,
            alpha=alpha,
            palette=palette_of(image),
        )

    def picture(self, *, indices: bool = False) -> Picture:
        image = self.image
        if not self.deep:
            try:
                return from_pillow(image, indices=indices)
            except OSError:
                whole = completed(self.start(-1)) if image.format in _JPEG else None
                if whole is None:
                    raise
                return from_pillow(whole)
        # Pillow reads it as 8-bit; unlike OpenCV it notices every truncated file.
        image.load()
        turn = orientation(image)
        pixels, alpha = decode_deep(self.data, image, grey=self.grey)
        return Picture(
            upright(pixels, turn),
            None if alpha is None else upright(alpha, turn),
            **metadata(image, turn),
        )

    def animation(self, total: int) -> Picture | Animation:
        image = self.image
        # Only the end of a GIF says that it is whole.
        if image.format == "GIF" and not self.end().rstrip(b"\0\r\n").endswith(b";"):
            raise ImageError("damaged or truncated (the end is missing)")
        size, frames, durations = image.size, [], []
        # A PNG may begin with a picture for viewers that know no animations.
        for index in range(int(getattr(image, "default_image", False)), total):
            image.seek(index)
            if image.size != size:
                raise ImageError("damaged: its frames differ in size")
            frames.append(from_pillow(image))
            durations.append(round(image.info.get("duration", 0)))
        if len(frames) == 1:
            return frames[0]
        return Animation(tuple(frames), tuple(durations), _times_played(image))

    @cached_property
    def data(self) -> npt.NDArray[np.uint8]:
        """All of it, for decoders that do not read in parts."""
        return np.frombuffer(self.start(-1), np.uint8)

    def start(self, size: int = 32) -> bytes:
        """The first bytes."""
        self.file.seek(0)
        return self.file.read(size)

    def end(self, size: int = 32) -> bytes:
        """The last bytes."""
        self.file.seek(-min(size, self.file.seek(0, 2)), 2)
        return self.file.read()


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    with path.open("rb") as file, open_image(file) as image:
        yield _File(file, image)


def _times_played(image: Image.Image) -> int:
    if image.format == "GIF":  # which says how often it is repeated, and by default it is not
        repeats: int | None = image.info.get("loop")
        return 1 if repeats is None else repeats and repeats + 1
    return int(image.info.get("loop", 0))


def _encode_jpeg(picture: Picture, quality: int) -> Parts:
    exif, xmp = (
        block if block and len(block) < _JPEG_SEGMENT else None
        for block in (picture.exif, picture.xmp)
    )
    opaque = replace(_opaque(picture), exif=exif, xmp=xmp)
    return _by_pillow([opaque], "JPEG", quality=quality, subsampling="4:4:4")


def _encode_webp(picture: Picture, quality: int) -> Parts:
    return _by_pillow([picture], "WEBP", quality=quality, lossless=quality == 100, exact=True)


def _encode_webp_animation(animation: Animation, quality: int) -> Parts:
    # Each frame is stored whole (kmax): of differences alone libwebp may mark the file as opaque,
    # and what is transparent in all frames would be black.
    return _by_pillow(
        animation.frames,
        "WEBP",
        quality=quality,
        lossless=quality == 100,
        duration=[*animation.durations],
        loop=animation.loop,
        kmin=0,
        kmax=1,
    )


def _encode_avif(picture: Picture, quality: int) -> Parts:
    return _by_pillow([picture], "AVIF", quality=quality, subsampling="4:4:4")


def _encode_avif_animation(animation: Animation, quality: int) -> Parts:
    return _by_pillow(
        animation.frames,
        "AVIF",
        quality=quality,
        subsampling="4:4:4",
        duration=[*animation.durations],
    )


def _encode_bmp(picture: Picture, quality: int) -> Parts:
    return _by_pillow([_opaque(picture)], "BMP")


def _by_pillow(frames: Iterable[Picture], kind: str, **options: Any) -> Parts:
    first, *rest = map(to_pillow, frames)
    metadata, first.info = first.info, {}
    options.update({str(key): value for key, value in metadata.items()})
    if rest:
        options |= {"save_all": True, "append_images": rest}
    buffer = io.BytesIO()
    first.save(buffer, kind, **options)
    return [buffer.getbuffer()]


def _opaque(picture: Picture) -> Picture:
    return replace(picture, pixels=picture.composited(), alpha=None, values=None)


_PNG = (".png", ".apng")
_STILLS: dict[str, Callable[[Picture, int], Parts]] = {
    **dict.fromkeys(_PNG, lambda picture, _: encode_png(picture)),
    **dict.fromkeys(_JPEG_SUFFIXES, _encode_jpeg),
    ".webp": _encode_webp,
    ".bmp": _encode_bmp,
    ".dib": _encode_bmp,
    ".gif": lambda picture, _: encode_gif([picture]),
    ".avif": _encode_avif,
}
_MOVING: dict[str, Callable[[Animation, int], Parts]] = {
    ".gif": lambda a, _: encode_gif(a.frames, a.durations, a.loop),
    ".webp": _encode_webp_animation,
    **dict.fromkeys(_PNG, lambda a, _: encode_apng(a)),
    ".avif": _encode_avif_animation,
}
