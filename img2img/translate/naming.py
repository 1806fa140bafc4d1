"""Names of results: suffixes that can be written, and names that file systems accept."""

import os
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

from img2img.errors import DataError
from img2img.images import WRITABLE_SUFFIXES
from img2img.video import is_video
from img2img.video.containers import CONTAINERS

# The most bytes that a file name may have in all common file systems.
_LONGEST_NAME = 255


def targets_of(
    suffixes: Mapping[Path, str],
    root: Path,
    output: Path,
    is_free: Callable[[Path, Path], bool] = lambda file, target: True,
) -> dict[Path, Path]:
    """Paths of results, all different, that keep the tree under `root`.

    Args:
        suffixes: of the results, by file.
        is_free: called with a file and a path: whether its result may be written there.
    """
    alike = without_case if ignores_case(output) else str
    targets: dict[Path, Path] = {}
    taken: set[str] = set()
    # Files that keep their name come first.
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
    """Possible names for the result of a file, the best first."""
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
    """A name normalised so that case and the encoding of accents make no difference."""
    return unicodedata.normalize("NFC", name.casefold())


def ignores_case(folder: Path) -> bool:
    """Whether names that differ only by case are the same file there."""
    start = real(folder)
    for path in (start, *start.parents):
        swapped = path.with_name(path.name.swapcase()) if path.name else path
        if swapped != path and path.exists():
            return swapped.exists() and swapped.samefile(path)
    return False


def leads_out_of(folder: Path) -> Callable[[Path], bool]:
    """A function that says whether a path leads out of the folder, through a link."""
    once = cache(real)
    return lambda target: not once(target.parent).is_relative_to(once(folder))


def real(path: Path) -> Path:
    """The path without links; unlike `Path.resolve`, it accepts a link that leads to itself."""
    return Path(os.path.realpath(path))


def place(path: Path) -> Path:
    """The directory entry of a file or link, which is what writing the file replaces."""
    return real(path.parent) / path.name


def suffix_of(file: Path, image: str | None, video: str | None) -> str:
    """Suffix of a file's result: the wanted one, else its own, else PNG or MP4."""
    if is_video(file):
        own = file.suffix if file.suffix.lower() in CONTAINERS else ".mp4"
        return own if video is None else video
    own = file.suffix if file.suffix.lower() in WRITABLE_SUFFIXES else ".png"
    return own if image is None else image


def _known(name: str | None, what: str, suffixes: Collection[str]) -> str | None:
    """The suffix for the name of a format.

    Raises:
        DataError: such files are not written.
    """
    if name is None:
        return None
    suffix = f".{name.lower().lstrip('.')}"
    if suffix not in suffixes:
        raise DataError(f"{name}: {what} are written as {', '.join(sorted(suffixes))}")
    return suffix


image_suffix = partial(_known, what="images", suffixes=WRITABLE_SUFFIXES)
container_suffix = partial(_known, what="videos", suffixes=CONTAINERS)
