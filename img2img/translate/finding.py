"""Finding the files that a path or a glob pattern names."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from img2img.errors import DataError, nearest_path
from img2img.images import (
    natural_key,
    readable_suffixes,
    suffix_of,
    unreadable_suffixes,
    walk,
)
from img2img.video import UNREADABLE_VIDEOS, VIDEO_SUFFIXES


@dataclass(frozen=True)
class Found:
    """The files that a path or pattern names."""

    files: list[Path]
    root: Path
    """The folder that the paths of the results are relative to."""
    refused: dict[Path, str] = field(default_factory=dict)
    """Folders that cannot be searched, and why."""
    unsupported: Counter[str] = field(default_factory=Counter)
    """Number of files in formats that cannot be read, by suffix."""
    left_out: list[Path] = field(default_factory=list)
    """Results of img2img in the folder, which are not translated again."""


def find(source: str) -> Found:
    """Find files without opening any.

    Raises:
        DataError: no such file or folder, or it contains no images or videos.
    """
    path = Path(source)
    refused: dict[Path, str] = {}
    left_out: list[Path] = []

    def refuse(folder: Path, error: OSError) -> None:
        refused[folder] = error.strerror or str(error)

    if path.is_dir():
        found, root = walk(path, refuse, on_own=left_out.append), path
    elif os.path.lexists(path):
        return Found([path], path.parent)
    elif glob.has_magic(source):
        found = _expanded(path.parts, refuse, left_out.append)
        magic = next(index for index, part in enumerate(path.parts) if glob.has_magic(part))
        root = Path(*path.parts[:magic])
    else:
        raise DataError(f"{source}: no such file or folder{nearest_path(path)}")
    seen = [*found]
    wanted = readable_suffixes() | VIDEO_SUFFIXES
    unreadable = unreadable_suffixes() | UNREADABLE_VIDEOS
    files = [file for file in seen if suffix_of(file) in wanted]
    if path in refused:
        raise DataError.of(path, refused[path])
    if not files and not refused and not left_out:
        raise DataError(f"{source}: no images or videos ({', '.join(sorted(wanted))})")
    files.sort(key=lambda file: natural_key(file.as_posix()))
    unsupported = Counter(suffix for suffix in map(suffix_of, seen) if suffix in unreadable)
    return Found(files, root, refused, unsupported, left_out)


def _expanded(
    pattern: tuple[str, ...],
    refuse: Callable[[Path, OSError], None],
    on_own: Callable[[Path], None],
) -> Iterator[Path]:
    """The files that match a pattern. `**` does not follow links to a parent folder."""
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
