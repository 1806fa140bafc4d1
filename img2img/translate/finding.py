"""The files that a path or a glob pattern stands for."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from img2img.errors import DataError, nearest_path
from img2img.images import IMAGE_SUFFIXES, UNREADABLE_SUFFIXES, natural_key, walk
from img2img.video import UNREADABLE_VIDEOS, VIDEO_SUFFIXES

SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
_UNREADABLE = UNREADABLE_SUFFIXES | UNREADABLE_VIDEOS


@dataclass(frozen=True)
class Found:
    """What a path or pattern stands for."""

    files: list[Path]
    root: Path
    """Where the tree of the files starts."""
    refused: dict[Path, str] = field(default_factory=dict)
    """Folders that cannot be searched, and why."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """How many files are of a kind that is not read, by suffix."""
    own: list[Path] = field(default_factory=list)
    """Results of img2img among the files, which are left out."""


def find(source: str) -> Found:
    """Search, without opening any file.

    Raises:
        DataError: there is nothing of that name, or no images and videos in it.
    """
    path = Path(source)
    refused: dict[Path, str] = {}
    own: list[Path] = []

    def refuse(folder: Path, error: OSError) -> None:
        refused[folder] = error.strerror or str(error)

    if path.is_dir():
        found, root = walk(path, refuse, on_own=own.append), path
    elif os.path.lexists(path):
        return Found([path], path.parent)
    elif glob.has_magic(source):
        found = _expanded(path.parts, refuse, own.append)
        magic = next(index for index, part in enumerate(path.parts) if glob.has_magic(part))
        root = Path(*path.parts[:magic])
    else:
        raise DataError(f"{source}: no such file or folder{nearest_path(path)}")
    seen = [*found]
    files = [file for file in seen if file.suffix.lower() in SUFFIXES]
    if path in refused:
        raise DataError.of(path, f"{refused[path]}")
    if not files and not refused and not own:
        raise DataError(f"{source}: no images or videos ({', '.join(sorted(SUFFIXES))})")
    files.sort(key=lambda file: natural_key(file.as_posix()))
    suffixes = (file.suffix.lower() for file in seen)
    passed_over = Counter(suffix for suffix in suffixes if suffix in _UNREADABLE)
    return Found(files, root, refused, passed_over, own)


def _expanded(
    pattern: tuple[str, ...],
    refuse: Callable[[Path, OSError], None],
    on_own: Callable[[Path], None],
) -> Iterator[Path]:
    """The files that match a pattern. Below `**`, links to a folder above are not followed."""
    head = pattern[: pattern.index("**")] if "**" in pattern else pattern
    tail = pattern[len(head) :]
    for start in map(Path, glob.iglob(str(Path(*head)))):  # noqa: PTH207
        if not tail and not start.is_dir():
            yield start
        elif tail and start.is_dir():
            below = (file.relative_to(start) for file in walk(start, refuse, on_own=on_own))
            yield from (start / file for file in below if _fits(file.parts, tail))


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":  # any number of folders; at the end, all that is in them
        rests = range(len(parts) + 1)
        return len(pattern) == 1 or any(_fits(parts[start:], pattern[1:]) for start in rests)
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
