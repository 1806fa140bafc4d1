"""Writing image files, in the format of the path's suffix."""

import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from img2img.errors import ImageError
from img2img.images.formats import HAS_AVIF, quietly
from img2img.images.gif import encode_gif
from img2img.images.picture import Animation, Frames, Picture
from img2img.images.pillow import to_pillow
from img2img.images.png import encode_apng, encode_png
from img2img.images.tiff import encode_tiff
from img2img.runtime.files import atomic_write

# Pieces of a file, written one after the other: joined, they would be there twice.
Parts = Iterable[bytes | memoryview]

# What a JPEG's segment has room for besides the name of what is in it.
_JPEG_SEGMENT = 65535 - 64


def write_image(path: Path | str, image: Picture | Frames, quality: int = 95) -> None:
    """Write a picture, an animation or pages in the format of the path's suffix, atomically.

    | suffix | bits | alpha | metadata | several |
    | --- | --- | --- | --- | --- |
    | .png, .apng | 8 or 16, as the pixels are | yes | all | animation |
    | .tif, .tiff | 8 or 16, as the pixels are | yes | all but text | pages |
    | .webp | 8 | yes | profile, EXIF, XMP | animation |
    | .avif, where Pillow has it | 8 | yes | profile, EXIF, XMP | animation, played for ever |
    | .jpg, .jpeg, .jpe, .jfif, .jif | 8 | composited on white | all but text, below 64 KB each | |
    | .gif | 256 colours a frame | yes or no | none | animation |
    | .bmp, .dib | 8 | composited on white | resolution | |

    Pixels of 16 bits keep their own numbers; in 8 bits, their `values` become 0 to 255.

    The metadata of an animation are those of its first frame. In WebP, frames that equal the one
    before may become one that is shown longer; in GIF, durations are in hundredths of a second.
    What the whole lasts is kept.

    Args:
        quality: of JPEG, WebP and AVIF, 1 to 100. JPEG and AVIF keep their colour at full
            resolution (4:4:4); WebP at 100 is lossless.

    Raises:
        ImageError: there is no such format, it does not hold several pictures, or the picture is
            too large for it.
        StorageError: the disk refused.
    """
    path = Path(path)
    encode = _encoder(path, image)
    try:
        with quietly():
            parts = [*encode(image, quality)]
    except Exception as error:  # whatever the encoder finds wrong, mostly the size
        raise ImageError.of(path, f"cannot be written in this format ({error})") from None
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.writelines(parts)


def write_picture(path: Path | str, picture: Picture, quality: int = 95) -> None:
    """`write_image` of one picture."""
    write_image(path, picture, quality)


def check_format(path: Path, image: Picture | Frames) -> None:
    """Raises ImageError where the format of the path's suffix does not hold such an image."""
    _encoder(path, image)


def _encoder(path: Path, image: Picture | Frames) -> Callable[[Any, int], Parts]:
    encoders: dict[str, Callable[[Any, int], Parts]] = _STILLS
    what = "a picture"
    if isinstance(image, Animation):
        encoders, what = _ANIMATIONS, "an animation"
    elif isinstance(image, Frames):
        encoders, what = _PAGES, "several pages"
    encode = encoders.get(path.suffix.lower())
    if encode is None:
        raise ImageError.of(path, f"cannot write {what} in this format; use {' '.join(encoders)}")
    return encode


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


_STILLS: dict[str, Callable[[Picture, int], Parts]] = {
    ".png": lambda picture, _: encode_png(picture),
    ".apng": lambda picture, _: encode_png(picture),
    ".jpg": _encode_jpeg,
    ".jpeg": _encode_jpeg,
    ".jpe": _encode_jpeg,
    ".jfif": _encode_jpeg,
    ".jif": _encode_jpeg,
    ".webp": _encode_webp,
    ".tif": lambda picture, _: encode_tiff([picture]),
    ".tiff": lambda picture, _: encode_tiff([picture]),
    ".bmp": _encode_bmp,
    ".dib": _encode_bmp,
    ".gif": lambda picture, _: encode_gif([picture]),
}
_ANIMATIONS: dict[str, Callable[[Animation, int], Parts]] = {
    ".gif": lambda a, _: encode_gif(a.frames, a.durations, a.loop),
    ".webp": _encode_webp_animation,
    ".png": lambda a, _: encode_apng(a),
    ".apng": lambda a, _: encode_apng(a),
}
_PAGES: dict[str, Callable[[Frames, int], Parts]] = {
    ".tif": lambda pages, _: encode_tiff(pages.frames),
    ".tiff": lambda pages, _: encode_tiff(pages.frames),
}
if HAS_AVIF:
    _STILLS[".avif"] = _encode_avif
    _ANIMATIONS[".avif"] = _encode_avif_animation

# Those of them that keep 16 bits.
DEEP_SUFFIXES = (".png", ".apng", ".tif", ".tiff")
# Those that keep no opacity.
OPAQUE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".bmp", ".dib")
# Those that this machine can write a picture in.
WRITABLE_SUFFIXES = tuple(_STILLS)
