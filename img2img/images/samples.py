"""What a TIFF says of its pages: how many, of what samples; and which kinds are read.

From the tags themselves, before any decoder sees the file: what is whole and not read has to be
named by what it is, and Pillow knows it as "no image", or reads a part of it.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, BinaryIO

from PIL.ExifTags import Base as Tag
from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2

from img2img.errors import ImageError

_NEW_SUBFILE_TYPE, _SUB_DIRECTORIES, _EXTRA_SAMPLES, _DNG_VERSION = 254, 330, 338, 50706
_REDUCED, _MASK = 1, 4
_ALPHA = {1, 2, 999}  # the last is an old one of Corel's
_MULTIPLIED = 1
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
# PhotometricInterpretation: what the first samples are, and how many.
_COLOURS = {
    0: ("grey", 1),
    1: ("grey", 1),
    2: ("RGB", 3),
    3: ("palette", 1),
    5: ("CMYK", 4),
    6: ("YCbCr", 3),
    8: ("LAB", 3),
}
_OTHER_COLOURS = {
    4: "a mask",
    9: "ICC LAB",
    10: "ITU LAB",
    32803: "a camera's raw colours",
    32844: "LogL",
    32845: "LogLuv",
    34892: "a camera's raw colours",
}
_COMPRESSIONS = {
    34712: "JPEG 2000",
    34887: "LERC",
    34926: "zstd",
    34927: "WebP",
    50000: "zstd",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_YCBCR, _OLD_JPEG = 6, 6
_READ = "only grey and RGB images with 8 or 16 bits are supported; alpha except in 16-bit grey"

Tags = ImageFileDirectory_v2


def directories(file: BinaryIO) -> Iterator[Tags]:
    """The tags of a TIFF's pages, one after the other; nothing of any other file.

    Raises:
        ImageError: a directory is cut off, or they go round in a circle.
    """
    file.seek(0)
    header = file.read(8)
    if header[:4] not in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return
    if header[:4] == b"MM\0+":  # which Pillow takes for one that is not big
        raise ImageError("BigTIFF in big-endian order is not read: write it in little-endian order")
    if header[:4] == b"II+\0":
        header += file.read(8)
    tags, seen = Tags(header), set[int]()
    while tags.next:
        if tags.next in seen:
            raise ImageError("damaged: its directories go round in a circle")
        seen.add(tags.next)
        file.seek(tags.next)
        tags.load(file)
        # Of a directory that is cut off, Pillow takes its start for that of the next.
        if tags.next == tags.offset:
            raise ImageError(f"damaged or truncated (the directory of page {len(seen)})")
        yield tags


def pages(file: BinaryIO) -> list[tuple[int, int]]:
    """Of a TIFF, for each picture in it, the number of its directory and its pixels.

    Reduced copies of other pages and masks are no pictures.

    Raises:
        ImageError: damaged, or of samples that are not read.
    """
    found = []
    for index, tags in zip(count(), directories(file), strict=False):
        kind = tags.get(_NEW_SUBFILE_TYPE, 0)
        if index == 0 and (_DNG_VERSION in tags or (kind == _REDUCED and _SUB_DIRECTORIES in tags)):
            raise ImageError("a camera's raw file, of which only the preview could be read")
        if index == 0 or not kind & (_REDUCED | _MASK):
            try:
                check_samples(tags)
            except ImageError as error:
                where = f"page {index + 1}: " if index else ""
                raise ImageError(f"{where}{error}") from None
            found.append((index, tags.get(Tag.ImageWidth, 0) * tags.get(Tag.ImageLength, 0)))
    return found


def check_samples(tags: Tags) -> None:
    """Refuse samples that would not be read, or not all of them.

    Raises:
        ImageError: says what they are, and what is read.
    """
    compression = int(tags.get(Tag.Compression, 1))
    named = _COMPRESSIONS.get(compression, f"method number {compression}")
    if compression not in COMPRESSION_INFO:
        raise ImageError(f"compressed by {named}, which is not read: use LZW or deflate")
    colours = int(tags.get(Tag.PhotometricInterpretation, 0))
    if compression == _OLD_JPEG:
        colours = _YCBCR
    channels = int(tags.get(Tag.SamplesPerPixel, 1 if compression not in {6, 7} else 3))
    bits, kind = (_of_all(tags, tag, channels) for tag in (Tag.BitsPerSample, Tag.SampleFormat))
    if colours not in _COLOURS:
        what = _OTHER_COLOURS.get(colours, f"colours of the kind {colours}")
        raise ImageError(f"{what}: {_READ}")
    name, own = _COLOURS[colours]
    if colours == _YCBCR and channels == 1:
        own = 1
    # Where nothing is said of a fourth one, it is taken for alpha, as those who write so mean it.
    extra = _several(tags, _EXTRA_SAMPLES) or (2,) * (name == "RGB" and channels == 4)
    extra = (*extra, *[0] * (channels - own - len(extra)))[: max(channels - own, 0)]
    has_alpha = name in {"grey", "RGB", "palette"} and bool(extra) and extra[0] in _ALPHA
    if rest := len(extra) - has_alpha:
        more = f"{name}{', alpha' if has_alpha else ''} and {rest} unspecified"
        raise ImageError(f"{channels} channels ({more}), {_depth(bits, kind)}: {_READ}")
    if kind not in {_UNSIGNED, _UNDEFINED} or not _is_depth(bits, name, has_alpha):
        alpha = " with alpha" if has_alpha else ""
        raise ImageError(f"{_depth(bits, kind)} {name}{alpha}: {_READ}")
    if bits != 16:
        return
    if channels > 1 and tags.get(Tag.PlanarConfiguration, 1) == 2:
        raise ImageError(
            "16-bit samples in separate planes are not supported: save them interleaved"
        )
    if has_alpha and extra[0] == _MULTIPLIED:
        raise ImageError("16-bit colours with premultiplied alpha are not supported")
    if channels > 1 and compression in _COMPRESSIONS:
        raise ImageError(f"16-bit colour compressed by {named} is not read: use LZW or deflate")


def _is_depth(bits: int | None, colours: str, has_alpha: bool) -> bool:
    if bits == 16:
        return colours == "RGB" or (colours == "grey" and not has_alpha)
    small = {1, 2, 4} if colours in {"grey", "palette"} and not has_alpha else set[int]()
    return bits in {8, *small}


def _depth(bits: int | None, kind: int | None) -> str:
    if bits is None or kind is None:
        return "samples of different depths"
    return {_SIGNED: f"int{bits}", _FLOAT: f"float{bits}", 5: "complex", 6: "complex"}.get(
        kind, f"{bits}-bit"
    )


def _several(tags: Tags, tag: int) -> tuple[int, ...]:
    value: Any = tags.get(tag, ())
    return tuple(value) if isinstance(value, tuple) else (value,)


def _of_all(tags: Tags, tag: int, channels: int) -> int | None:
    """What a tag says of every sample; None where they differ."""
    values = set(_several(tags, tag)[:channels]) or {1}
    return values.pop() if len(values) == 1 else None
