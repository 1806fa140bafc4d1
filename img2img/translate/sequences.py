"""Sequences of numbered pictures in a folder, and animations."""

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
    """The files as frames in order.

    Files are a sequence if their names differ only in the last number, which increases by one, and
    if all have the same size.

    Args:
        files: pictures of one folder.
        why: the option that requires a sequence, for errors.

    Raises:
        DataError: they are not a sequence; the message names a file that does not fit.
    """
    folder = files[0].parent
    wanted = f"{why} needs a sequence: numbered pictures with the same name and size in one folder"
    if astray := next((file for file in files if file.parent != folder), None):
        raise DataError(f"{wanted}; {astray} is in another folder than {files[0]}")
    if len(files) < 2:
        raise DataError(f"{wanted}; {files[0]} is the only picture")
    matches = {file: _NUMBERED.fullmatch(file.stem) for file in files}
    names = {
        file: (match[1], match[3], file.suffix) if match else (file.stem, "", "")
        for file, match in matches.items()
    }
    usual = Counter(names.values()).most_common(1)[0][0]
    if other := next((file for file, name in names.items() if name != usual), None):
        example = next(file for file, name in names.items() if name == usual)
        raise DataError(f"{wanted}; {other} is not named like {example.name}")
    numbered = sorted((int(match[2]), file) for file, match in matches.items() if match)
    for (number, file), (following, other) in pairwise(numbered):
        if following == number:
            raise DataError(f"{wanted}; {file} and {other.name} have the same number")
        if following != number + 1:
            gap = (
                f"numbers {number + 1} to {following - 1} are missing"
                if following > number + 2
                else f"number {number + 1} is missing"
            )
            raise DataError(f"{wanted}; {gap} between {file} and {other.name}")
    frames = [file for _, file in numbered]
    sizes = {file: _size(file) for file in frames}
    of_all = Counter(size for size in sizes.values() if size).most_common(1)
    for file, size in sizes.items():
        if size and size != of_all[0][0]:
            (height, width), (usual_height, usual_width) = size, of_all[0][0]
            raise DataError(
                f"{wanted}; {file} is {width} x {height}, but others are {usual_width} x"
                f" {usual_height}"
            )
    return frames


def sequences(files: Sequence[Path], why: str) -> dict[Path, tuple[Path, ...]]:
    """The sequence that each picture belongs to, one per folder; without videos and animations.

    Raises:
        DataError: the pictures of a folder are not a sequence.
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
    """An animation of the frames in a span, each shown until the next.

    Raises:
        ImageError: the span contains no frames.
    """
    if span == WHOLE:
        return animation
    shown = span.taken(animation.durations, _MILLISECOND)
    if not shown:
        raise ImageError("no frames between `start` and `end`")
    ends = [*shown[1:], min(shown[-1] + span.every, len(animation.frames))]
    lasting = [sum(animation.durations[one:end]) for one, end in zip(shown, ends, strict=True)]
    frames = tuple(animation.frames[number] for number in shown)
    return replace(animation, frames=frames, durations=tuple(lasting))


def is_animated(file: Path) -> bool:
    """Whether an image file has several frames, according to its header."""
    if file.suffix.lower() not in ANIMATED or not file.is_file():  # opening a pipe would wait
        return False
    try:
        extent = measure(file)
    except (ImageError, OSError):
        return False
    return extent.pixels > extent.size[0] * extent.size[1]


def _size(file: Path) -> tuple[int, int] | None:
    """Height and width according to the header; None if it cannot be read, which is no problem."""
    try:
        return measure(file, first=True).size if file.is_file() else None
    except (ImageError, OSError):
        return None
