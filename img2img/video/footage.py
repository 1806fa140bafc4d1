"""Sources of frames: a video, or pictures that are treated as one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np

from img2img.errors import DataError
from img2img.images import Animation, Picture, of_depth, read_picture
from img2img.runtime.pipeline import ahead
from img2img.video.colour import Colour
from img2img.video.probing import VideoInfo, probe
from img2img.video.reading import Frame, count_frames, frames
from img2img.video.span import WHOLE, Span

# BT.709 in limited range, which players assume for HD video.
_COLOUR = Colour(range=1, primaries=1, transfer=1, matrix=1)
_READERS = 2
_MILLISECOND = Fraction(1, 1000)
# How long browsers show a frame of a GIF that declares 0 or 10 ms.
_DEFAULT_DURATION = 100


class Footage(Protocol):
    """Frames with their times, which can be read from any time on."""

    @property
    def info(self) -> VideoInfo:
        """Information that is available before the frames are read."""

    @property
    def files(self) -> Sequence[Path]:
        """The files by which it is recognised in a later call."""

    def count(self) -> int:
        """How many frames there are."""

    def frames(self, span: Span = WHOLE, *, after: int | None = None) -> Iterator[Frame]:
        """The frames, see `img2img.video.reading.frames`."""


@dataclass(frozen=True)
class Film:
    """The frames of a video file."""

    path: Path

    @cached_property
    def info(self) -> VideoInfo:
        """Information about the file; raises VideoError."""
        return probe(self.path)

    @property
    def files(self) -> Sequence[Path]:
        return [self.path]

    def count(self) -> int:
        return count_frames(self.info)

    def frames(self, span: Span = WHOLE, *, after: int | None = None) -> Iterator[Frame]:
        return frames(self.info, span, after=after)


@dataclass(frozen=True)
class Stills:
    """Pictures of one size as the frames of a video.

    Args:
        name: the path to name in errors.
        files: the files that the pictures are read from.
        pictures: a function for each picture that reads it.
        durations: how long each picture is shown, in `time_base`.
        time_base: the unit of times, in seconds.
        seen: returns a picture with its black and white values set.
    """

    name: Path
    files: Sequence[Path]
    pictures: Sequence[Callable[[], Picture]]
    durations: Sequence[int]
    time_base: Fraction
    seen: Callable[[Picture], Picture] = lambda picture: picture

    @classmethod
    def of_files(cls, files: Sequence[Path], rate: Fraction) -> "Stills":
        """Numbered pictures at a frame rate."""
        pictures = [lambda path=path: read_picture(path) for path in files]
        return cls(files[0].parent, files, pictures, [1] * len(files), 1 / rate)

    @classmethod
    def of_animation(cls, path: Path, animation: Animation) -> "Stills":
        """The frames of an animation with their durations."""
        pictures = [lambda frame=frame: frame for frame in animation.frames]
        durations = [length if length > 10 else _DEFAULT_DURATION for length in animation.durations]
        return cls(path, [path], pictures, durations, _MILLISECOND)

    @cached_property
    def info(self) -> VideoInfo:
        """Information from the first picture; raises ImageError if it cannot be read."""
        first = self.pictures[0]()
        deep = first.pixels.dtype != np.uint8
        lasting = sum(self.durations)
        return VideoInfo(
            path=self.name,
            size=first.size,
            rotation=0,
            sample_aspect=None,
            time_base=self.time_base,
            rate=(len(self.pictures) / (lasting * self.time_base)).limit_denominator(100_000),
            start=0,
            duration=float(lasting * self.time_base),
            frames=len(self.pictures),
            depth=16 if deep else 8,
            pixel_format="rgb48le" if deep else "rgb24",
            codec="",
            colour=_COLOUR,
            alpha=first.alpha is not None,
        )

    def count(self) -> int:
        return len(self.pictures)

    def frames(self, span: Span = WHOLE, *, after: int | None = None) -> Iterator[Frame]:
        """The frames; raises DataError if a picture has another size."""
        times = [0, *accumulate(self.durations)]
        shown = span.taken(self.durations, self.time_base)
        todo = [number for number in shown if after is None or times[number] > after]
        return ahead(lambda number: self._frame(number, times[number]), todo, workers=_READERS)

    def _frame(self, number: int, time: int) -> Frame:
        picture = self.seen(self.pictures[number]())
        if picture.size != self.info.size:
            sizes = [f"{width} x {height}" for height, width in (picture.size, self.info.size)]
            name = self.files[number] if len(self.files) > 1 else f"{self.name}, {number + 1}"
            raise DataError(f"{name}: {sizes[0]}, but all must be {sizes[1]}")
        # An opaque picture, although the first has an alpha channel.
        alpha = picture.alpha
        if alpha is None and self.info.alpha:
            alpha = np.full(picture.size, 255, np.uint8)
        if not self.info.alpha:
            picture, alpha = Picture(picture.composited()), None
        dtype = np.uint16 if self.info.depth > 8 else np.uint8
        return Frame(
            of_depth(picture.levels, dtype),
            time,
            self.durations[number],
            concealed=False,
            alpha=None if alpha is None else of_depth(alpha, dtype),
            number=number,
        )


def with_sizes(
    frames: Iterator[Frame], info: VideoInfo, note: Callable[[str], None]
) -> Iterator[Frame]:
    """The frames, with a note on each new size that differs from the video's."""
    seen: set[tuple[int, int]] = set()
    for frame in frames:
        if frame.fitted and frame.fitted not in seen:
            seen.add(frame.fitted)
            seconds = float((frame.pts - info.start) * info.time_base)
            size, own = (f"{width} x {height}" for height, width in (frame.fitted, info.size))
            note(f"from {seconds:.1f} s on, frames are {size}; they are scaled to fit into {own}")
        yield frame
