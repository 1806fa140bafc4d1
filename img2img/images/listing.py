"""Which files are images: by suffix, in folders."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

READABLE = ".png .jpg .jpeg .jfif .webp .tif .tiff .bmp .gif .apng .ppm .pgm .pnm .avif"
IMAGE_SUFFIXES = frozenset(READABLE.split())
# Pictures too, but of kinds that are not read: so that a person hears of what is passed over.
UNREADABLE = ".heic .heif .jxl .jp2 .tga .psd .svg .exr .hdr .dng .cr2 .cr3 .nef .arw .raf"
UNREADABLE_SUFFIXES = frozenset(UNREADABLE.split())


def list_images(folder: Path) -> list[Path]:
    """All image files under `folder`, recursive, in natural order (`2.png` before `10.png`).

    Hidden files and folders and the `__MACOSX` folders of archives are passed over. Linked folders
    are followed.
    """
    found = [path for path in walk(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(found, key=lambda path: natural_key(path.as_posix()))


def count_unreadable(folder: Path) -> Counter[str]:
    """How many files under `folder` are pictures of a kind that is not read, by suffix."""
    suffixes = (path.suffix.lower() for path in walk(folder))
    return Counter(suffix for suffix in suffixes if suffix in UNREADABLE_SUFFIXES)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key under which numbers inside names count by their value."""
    # A split by a group puts the digits at odd places, so that like meets like in comparisons. The
    # name itself comes last: `01` and `1` must have one order too.
    parts = re.split(r"([0-9]+)", name)
    return [(int(p), "") if i % 2 else (0, p) for i, p in enumerate(parts)] + [(0, name)]


def walk(
    folder: Path,
    on_error: Callable[[Path, OSError], None] | None = None,
    above: Sequence[Path] = (),
) -> Iterator[Path]:
    """All files under `folder` but hidden ones, in no order.

    Args:
        on_error: told of folders that cannot be listed; None: the first one is raised.
        above: the folders that this one was met in, so that no link to one of them is followed.

    Raises:
        OSError: a folder that cannot be listed.
    """
    # Not Path.resolve, which a link that leads to itself upsets.
    real = Path(os.path.realpath(folder))
    if real in above:
        return
    try:
        with os.scandir(folder) as listed:
            entries = [*listed]
    except OSError as error:
        if on_error is None:
            raise
        on_error(folder, error)
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if _is_folder(entry):
            yield from walk(folder / entry.name, on_error, (*above, real))
        else:
            yield folder / entry.name


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
