"""Which codec a file is read and written by: found by content, then by suffix."""

from functools import cache
from pathlib import Path

from img2img.images.codecs.base import CODECS, Codec, start_of
from img2img.images.codecs.pillow import HEIF_SUFFIXES, PillowCodec
from img2img.images.formats import other_kind

# Names that end in two suffixes.
_DOUBLE = (".nii.gz", ".img.gz")


def codecs() -> tuple[Codec, ...]:
    """One of each: that of the usual kinds, special ones, and others."""
    return _made(tuple(CODECS.names()))


@cache
def _made(names: tuple[str, ...]) -> tuple[Codec, ...]:
    found = [part.factory() for part in CODECS]
    return tuple(
        sorted(found, key=lambda codec: (not isinstance(codec, PillowCodec), not codec.special))
    )


def codec_of(path: Path) -> Codec:
    """What reads a file.

    Raises:
        ImageError: it cannot be opened, or is empty.
    """
    start, every = start_of(path), codecs()
    for codec in every:
        if codec.recognizes(start, path):
            return codec
    if other_kind(start) is None:
        suffix = suffix_of(path)
        for codec in every:
            if suffix in codec.suffixes:
                return codec
    return PillowCodec()  # which says what is wrong with it


def suffix_of(path: Path) -> str:
    """In lower case, such as `.png`; `.nii.gz` is one."""
    name = path.name.lower()
    return next((each for each in _DOUBLE if name.endswith(each)), path.suffix.lower())


@cache
def _suffixes_of_several() -> frozenset[str]:
    others = (codec for codec in codecs() if not isinstance(codec, PillowCodec))
    return frozenset(suffix for codec in others for suffix in codec.suffixes)


def holds_several(path: Path) -> bool:
    """Whether a file with this name may hold pages or slices."""
    return suffix_of(path) in _suffixes_of_several()


@cache
def readable_suffixes() -> frozenset[str]:
    """Of files that are read with what is installed."""
    return frozenset(suffix for codec in codecs() if codec.installed() for suffix in codec.suffixes)


@cache
def readable_elsewhere() -> frozenset[str]:
    """Of files whose library is not installed."""
    every = {*HEIF_SUFFIXES, *(suffix for codec in codecs() for suffix in codec.suffixes)}
    return frozenset(every) - readable_suffixes()


@cache
def writable_suffixes() -> tuple[str, ...]:
    """Of files that are written with what is installed."""
    return tuple(
        dict.fromkeys(suffix for codec in codecs() if codec.installed() for suffix in codec.written)
    )
