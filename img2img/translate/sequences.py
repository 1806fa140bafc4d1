"""Frames in image files: numbered pictures in a folder that are one sequence, and animations."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from img2img.errors import DataError, ImageError
from img2img.images import Animation, measure
from img2img.video import is_video
from img2img.video.span import WHOLE, Span

# Suffixes of files that may be animations.
ANIMATED = frozenset({".gif", ".webp", ".png", ".apng", ".avif"})
_MILLISECOND = Fraction(1, 1000)
_NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)")


def sequence(files: Sequence[Path], why: str) -> list[Path]:
    """The files as frames in their order.

    They are a sequence where their names differ in one number alone, the last, which goes up by
    one, and all are of one size.

    Args:
        files: pictures of one folder.
        why: the option that needs a sequence, for errors.

    Raises:
        DataError: they are not a sequence; it names the file that does not fit.
    """
    folder = files[0].parent
    wanted = f"{why} needs a sequence: numbered pictures with the same name and size in one folder"
    if astray := next((file for file in files if file.parent != folder), None):
        raise DataError(f"{wanted}: {astray} is in another folder than {files[0]}")
    if len(files) < 2:
        raise DataError(f"{wanted}: {files[0]} is the only one")
    matches = {file: _NUMBERED.fullmatch(file.stem) for file in files}
    names = {
        file: (match[1], match[3], file.suffix) if match else (file.stem, "", "")
        for file, match in matches.items()
    }
    usual = Counter(names.values()).most_common(1)[0][0]
    if other := next((file for file, name in names.items() if name != usual), None):
        example = next(file for file, name in names.items() if name == usual)
        raise DataError(f"{wanted}: {other} is not named like {example.name}")
    numbered = sorted((int(match[2]), file) for file, match in matches.items() if match)
    for (number, file), (following, other) in pairwise(numbered):
        if following == number:
            raise DataError(f"{wanted}: {file} and {other.name} have the same number")
        if following != number + 1:
            missing = f"{number + 1} to {following - 1}" if following > number + 2 else number + 1
            raise DataError(f"{wanted}: between {file} and {other.name}, {missing} is missing")
    frames = [file for _, file in numbered]
    sizes = {file: _size(file) for file in frames}
    of_all = Counter(size for size in sizes.values() if size).most_common(1)
    for file, size in sizes.items():
        if size and size != of_all[0][0]:
            (height, width), (usual_height, usual_width) = size, of_all[0][0]
            raise DataError(
                f"{wanted}: {file} is {width} x {height}, and others {usual_width} x {usual_height}"
            )
    return frames


def sequences(files: Sequence[Path], why: str) -> dict[Path, tuple[Path, ...]]:
    """By picture, the sequence that it is of, one a folder; videos and animations are none.

    Raises:
        DataError: the pictures of a folder are no sequence.
    """
    folders: defaultdict[Path, list[Path]] = defaultdict(list)
    for file in files:
        if not is_video(file) and not is_animated(file):
            folders[file.parent].append(file)
    found: dict[Path, tuple[Path, ...]] = {}
    for pictures in folders.values():
        frames = tuple(sequence(pictures, why))
        found.update(dict.fromkeys(frames, frames))
    return found


def part_of(animation: Animation, span: Span) -> Animation:
    """An animation of the frames that are taken, each shown until the next.

    Raises:
        ImageError: there are none.
    """
    if span == WHOLE:
        return animation
    shown = span.taken(animation.durations, _MILLISECOND)
    if not shown:
        raise ImageError("no frames between the given times")
    ends = [*shown[1:], min(shown[-1] + span.every, len(animation.frames))]
    lasting = [sum(animation.durations[one:end]) for one, end in zip(shown, ends, strict=True)]
    frames = tuple(animation.frames[number] for number in shown)
    return replace(animation, frames=frames, durations=tuple(lasting))


def is_animated(file: Path) -> bool:
    """Whether a picture file says that it has several frames."""
    if file.suffix.lower() not in ANIMATED or not file.is_file():  # to open a pipe would wait
        return False
    try:
        extent = measure(file)
    except (ImageError, OSError):
        return False
    return extent.pixels > extent.size[0] * extent.size[1]


def _size(file: Path) -> tuple[int, int] | None:
    """As its header says; None where it cannot be read, which is another matter."""
    try:
        return measure(file, first=True).size if file.is_file() else None
    except (ImageError, OSError):
        return None
