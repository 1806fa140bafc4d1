"""Images made a video."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from img2img.errors import DataError, VideoError
from img2img.images import Pixels, read_picture
from img2img.images.picture import eight_bit, sixteen_bit
from img2img.pipeline import ahead
from img2img.video.colour import Colour
from img2img.video.containers import Plan
from img2img.video.convert import Converted, Progress, convert, terminated_as_stopped
from img2img.video.encoding import Encoding, SegmentWriter, check_encoding
from img2img.video.joining import join
from img2img.video.journal import Journal, State
from img2img.video.probing import VideoInfo
from img2img.video.reading import Frame

# BT.709 in limited range, which players take HD video for.
_COLOUR = Colour(range=1, primaries=1, transfer=1, matrix=1)
_READERS = 2


def assemble(
    images: Sequence[Path],
    target: Path,
    *,
    rate: Fraction = Fraction(25),
    encoding: Encoding | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Make a video of images, in their order.

    Args:
        images: all of one size; of 16 bits where the first is.
        target: the file to write; it is replaced when the new one is whole.
        rate: images a second.
        encoding: of 10 bits, if not said otherwise, where the images have 16.
        progress: called with (images done, images).

    Raises:
        ConfigError: the encoding or the container are not to be had.
        DataError: there are no images, one differs in size, or another process makes the same file.
        ImageError: one cannot be read.
        StorageError: the target cannot be written.
        TranslationStopped: SIGTERM.
    """
    begun = time.monotonic()
    if not images:
        raise DataError("no images to make a video of")
    first = read_picture(images[0])
    deep = first.pixels.dtype != np.uint8
    info = VideoInfo(
        path=images[0],
        size=first.size,
        rotation=0,
        sample_aspect=None,
        time_base=1 / rate,
        rate=rate,
        start=0,
        duration=float(len(images) / rate),
        frames=len(images),
        depth=10 if deep else 8,
        pixel_format="rgb48" if deep else "rgb24",
        codec="",
        colour=_COLOUR,
        alpha=False,
    )
    filled = check_encoding(encoding or Encoding(), target.suffix, info)
    # No segment is noted: what a process leaves that is killed is there for the next one to remove.
    journal = Journal(target, images[0], "images")
    with terminated_as_stopped(target), journal.opened(lambda _: None):
        segment = journal.next_path()
        writer = SegmentWriter(segment, info, first.size, filled)
        for number, pixels in enumerate(_pixels(images, first.size, deep=deep)):
            writer.write(Frame(pixels, number, 1, concealed=False))
            if progress:
                progress(number + 1, len(images))
        writer.close()
        join([segment], info, Plan(target), last_duration=1)
    seconds = time.monotonic() - begun
    return Converted(target, first.size, len(images), 0, 0, seconds, ())


def assemble_like(
    images: Sequence[Path],
    model: Path,
    target: Path,
    *,
    start: float | None = None,
    end: float | None = None,
    every: int = 1,
    encoding: Encoding | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Converted:
    """Make a video of images that takes the place of another: with its times, sound and the rest.

    Args:
        images: as many as the other one has frames there, all of one size.
        model: the other video, such as the one that the images were made of.
        start, end, every: the frames of it that there are images of, as `convert` has it.

    Raises:
        VideoError: there are more frames than images; and what `convert` raises. Images that are
            left over are told of.
    """
    if not images:
        raise DataError("no images to make a video of")
    transform = _Images(images)
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in images]
    made = convert(
        model,
        target,
        transform,
        encoding=encoding or Encoding(),
        settings=json.dumps(states),
        start=start,
        end=end,
        every=every,
        progress=progress,
        say=say,
    )
    if made.frames < len(images):
        say(
            f"{len(images) - made.frames} images are left over: there are only {made.frames} frames"
        )
    return made


class _Images:
    """Puts images in the place of frames."""

    def __init__(self, images: Sequence[Path]) -> None:
        self._images, self._done = images, 0

    def __call__(self, frames: Iterator[Frame], /) -> Iterator[Frame]:
        size = read_picture(self._images[0]).size
        left = _pixels(self._images[self._done :], size)
        for frame in frames:
            pixels = next(left, None)
            if pixels is None:
                raise VideoError(f"more frames than images: there are {len(self._images)}")
            self._done += 1
            deep = frame.pixels.dtype != np.uint8
            shown = sixteen_bit(pixels) if deep else eight_bit(pixels)
            yield replace(frame, pixels=shown)

    def state(self) -> State:
        return {"done": np.array(self._done)}

    def restore(self, state: State, /) -> None:
        self._done = int(state["done"])


def _pixels(
    images: Sequence[Path], size: tuple[int, int], *, deep: bool | None = None
) -> Iterator[Pixels]:
    """What images hold, all of one size.

    Args:
        deep: whether as 16 bits; None: each as it is.
    """
    for path, picture in ahead(lambda p: (p, read_picture(p)), images, workers=_READERS):
        if picture.size != size:
            height, width = picture.size
            raise DataError(
                f"{path}: {width} x {height}, where all are to be {size[1]} x {size[0]}"
            )
        pixels = picture.composited()
        if deep is None:
            yield pixels
        else:
            yield sixteen_bit(pixels) if deep else eight_bit(pixels)
