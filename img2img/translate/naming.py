"""Names of results: suffixes that can be written, and names that every file system accepts."""

import os
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

from img2img import images
from img2img.errors import DataError
from img2img.video import is_video
from img2img.video.containers import CONTAINERS

# Maximum length of a file name in bytes, in all common file systems.
_LONGEST_NAME = 255


def targets_of(
    suffixes: Mapping[Path, str],
    root: Path,
    output: Path,
    is_free: Callable[[Path, Path], bool] = lambda file, target: True,
) -> dict[Path, Path]:
    """A path for each result. All are different, and keep the folder tree under `root`.

    Args:
        suffixes: the suffix of each file's result.
        is_free: called with a file and a path; says whether the result may be written there.
    """
    alike = without_case if ignores_case(output) else str
    targets: dict[Path, Path] = {}
    taken: set[str] = set()
    # Files that keep their names choose first.
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
    """Possible names for the result of a file, in order of preference."""
    yield _fitting(file.name[: -len(images.suffix_of(file)) or None], suffix)
    yield _fitting(file.name, suffix)
    number = 2
    while True:
        yield _fitting(file.name, f"-{number}{suffix}")
        number += 1


def _fitting(stem: str, end: str) -> str:
    """`stem` + `end`, with the stem shortened to the maximum length of a file name."""
    if len(os.fsencode(stem + end)) <= _LONGEST_NAME:
        return stem + end
    return os.fsencode(stem)[: _LONGEST_NAME - len(end)].decode(errors="ignore") + end


def without_case(name: str) -> str:
    """A name, normalised so that neither case nor the encoding of accents matters."""
    return unicodedata.normalize("NFC", name.casefold())


def ignores_case(folder: Path) -> bool:
    """Whether the folder's file system treats names that differ only in case as the same."""
    start = real(folder)
    for path in (start, *start.parents):
        swapped = path.with_name(path.name.swapcase()) if path.name else path
        if swapped != path and path.exists():
            return swapped.exists() and swapped.samefile(path)
    return False


def leads_out_of(folder: Path) -> Callable[[Path], bool]:
    """A function that says whether a link on the way to a path leads out of the folder."""
    once = cache(real)
    return lambda target: not once(target.parent).is_relative_to(once(folder))


def real(path: Path) -> Path:
    """The path with links resolved. Unlike `Path.resolve`, it accepts a link to itself."""
    return Path(os.path.realpath(path))


def place(path: Path) -> Path:
    """The path of a file or link itself, with only its folder resolved: what a write replaces."""
    return real(path.parent) / path.name


def suffix_of(file: Path, image: str | None, video: str | None, kept: Collection[str]) -> str:
    """Suffix of a file's result: the requested one, else the file's own, else PNG or MP4.

    Args:
        kept: suffixes of images whose results can have the same.
    """
    if is_video(file):
        own = file.suffix if file.suffix.lower() in CONTAINERS else ".mp4"
        return own if video is None else video
    own = images.suffix_of(file)
    own = file.name[-len(own) :] if own in kept else ".png"
    return own if image is None else image


def image_suffix(name: str | None) -> str | None:
    """The suffix for the name of a format of images.

    Raises:
        DataError: such files are not written.
    """
    return _known(name, "images", images.writable_suffixes())


def container_suffix(name: str | None) -> str | None:
    """The suffix for the name of a container of videos.

    Raises:
        DataError: such files are not written.
    """
    return _known(name, "videos", CONTAINERS)


def _known(name: str | None, what: str, suffixes: Collection[str]) -> str | None:
    """The suffix for the name of a format.

    Raises:
        DataError: files of this format cannot be written.
    """
    if name is None:
        return None
    suffix = f".{name.lower().lstrip('.')}"
    if suffix not in suffixes:
        raise DataError(
            f"{name}: {what} cannot be written in this format; choose one of"
            f" {', '.join(sorted(suffixes))}"
        )
    return suffix
