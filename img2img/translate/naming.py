"""How results are called: suffixes that can be written, and names that file systems take."""

import os
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

from img2img.errors import DataError
from img2img.images import WRITABLE_SUFFIXES
from img2img.video import is_video
from img2img.video.containers import CONTAINERS

# Of a file's name, with every usual file system.
_LONGEST_NAME = 255


def targets_of(
    suffixes: Mapping[Path, str],
    root: Path,
    output: Path,
    is_free: Callable[[Path, Path], bool] = lambda file, target: True,
) -> dict[Path, Path]:
    """Names of results that keep the tree under `root`, with no two of one name.

    Args:
        suffixes: of the results, by file.
        is_free: whether the result of a file may be written to a place.
    """
    alike = without_case if ignores_case(output) else str
    targets: dict[Path, Path] = {}
    taken: set[str] = set()
    # Who keeps his name has the first right to it.
    for file in sorted(suffixes, key=lambda file: file.suffix != suffixes[file]):
        folder = (output / file.relative_to(root)).parent
        target = next(
            target
            for target in (folder / name for name in names(file, suffixes[file]))
            if alike(str(target)) not in taken and is_free(file, target)
        )
        taken.add(alike(str(target)))
        targets[file] = target
    return targets


def names(file: Path, suffix: str) -> Iterator[str]:
    """Names for a result of that suffix, the best first."""
    yield _fitting(file.stem, suffix)
    yield _fitting(file.name, suffix)
    number = 2
    while True:
        yield _fitting(file.name, f"-{number}{suffix}")
        number += 1


def _fitting(stem: str, end: str) -> str:
    """`stem` + `end`, the stem cut to what a file system takes."""
    if len(os.fsencode(stem + end)) <= _LONGEST_NAME:
        return stem + end
    return os.fsencode(stem)[: _LONGEST_NAME - len(end)].decode(errors="ignore") + end


def without_case(name: str) -> str:
    """What names have in common that differ only by case, or in how their accents are coded."""
    return unicodedata.normalize("NFC", name.casefold())


def ignores_case(folder: Path) -> bool:
    """Whether the file system takes names that differ only by case for one."""
    start = real(folder)
    for path in (start, *start.parents):
        swapped = path.with_name(path.name.swapcase()) if path.name else path
        if swapped != path and path.exists():
            return swapped.exists() and swapped.samefile(path)
    return False


def leads_out_of(folder: Path) -> Callable[[Path], bool]:
    """A function that tells whether writing a file would, through a link, leave the folder."""
    once = cache(real)
    return lambda target: not once(target.parent).is_relative_to(once(folder))


def real(path: Path) -> Path:
    """Without links; other than `Path.resolve`, not upset by one that leads to itself."""
    return Path(os.path.realpath(path))


def place(path: Path) -> Path:
    """Where a file itself is, be it a link or not: what is replaced when it is written."""
    return real(path.parent) / path.name


def suffix_of(file: Path, image: str | None, video: str | None) -> str:
    """Of a file's result: what is wished for, its own, or what takes everything."""
    if is_video(file):
        own = file.suffix if file.suffix.lower() in CONTAINERS else ".mp4"
        return own if video is None else video
    own = file.suffix if file.suffix.lower() in WRITABLE_SUFFIXES else ".png"
    return own if image is None else image


def _known(name: str | None, what: str, suffixes: Collection[str]) -> str | None:
    """The suffix that a format's name means, if files of that kind are written."""
    if name is None:
        return None
    suffix = f".{name.lower().lstrip('.')}"
    if suffix not in suffixes:
        raise DataError(f"{name}: {what} are written as {', '.join(sorted(suffixes))}")
    return suffix


image_suffix = partial(_known, what="images", suffixes=WRITABLE_SUFFIXES)
container_suffix = partial(_known, what="videos", suffixes=CONTAINERS)
