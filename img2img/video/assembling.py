"""Making a video from images."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from img2img.errors import DataError, VideoError
from img2img.images import Domain, Picture, Pixels, of_depth, read_picture
from img2img.runtime.pipeline import ahead
from img2img.video.codecs import Encoding
from img2img.video.convert import Converted, FrameTransform, OnProgress, convert
from img2img.video.footage import Film, Footage, Stills
from img2img.video.journal import State
from img2img.video.reading import Frame
from img2img.video.span import WHOLE, Span

_READERS = 2


def assemble(
    images: Sequence[Path],
    target: Path,
    *,
    like: Path | None = None,
    rate: Fraction = Fraction(25),
    span: Span = WHOLE,
    encoding: Encoding | None = None,
    values: Domain | None = None,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Converted:
    """Make a video from images, in the given order.

    Args:
        images: all of the same size. The video has more than 8 bits if the first image does.
        target: the file to write. An existing file is replaced once the new one is complete.
        like: another video, whose times, sound, subtitles and metadata the new one gets.
        rate: images per second; not used with `like`.
        span: the frames of `like` that the images stand for.
        encoding: how to encode; by default images of 16 bits get as many bits as the codec has.
        values: the values of the images that mean black and white; None: the ends of their type.
        progress: called with (images done, total).
        say: called with a line on anything that is lost, and on images that are not used.

    Raises:
        ConfigError: the encoding or the container is not available.
        DataError: there are no images, their sizes differ, or another process is making the file.
        ImageError: an image cannot be read.
        VideoError: the other video cannot be read, or has more frames than there are images.
        StorageError: the target cannot be written.
        TranslationStopped: SIGTERM.
    """
    if not images:
        raise DataError("there are no images to make a video from")
    source: Footage
    if like is None:
        source = replace(Stills.of_files(images, rate), seen=_seen(values))
        transform, settings = FrameTransform(), f"images {values}"
    else:
        source, transform = Film(like), _Images(images, _seen(values))
        states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in images]
        settings = json.dumps([states, str(values)])
    made = convert(
        source,
        target,
        transform,
        encoding=encoding or Encoding(),
        settings=settings,
        span=span,
        progress=progress,
        say=say,
    )
    if made.frames < len(images):
        say(
            f"used only the first {made.frames} of {len(images)} images, because the other video"
            " has no more frames"
        )
    return made


def _seen(values: Domain | None) -> Callable[[Picture], Picture]:
    return values.seen if values else lambda picture: picture


class _Images(FrameTransform):
    """Replaces frames with images."""

    def __init__(self, images: Sequence[Path], seen: Callable[[Picture], Picture]) -> None:
        self._images, self._seen, self._done = images, seen, 0

    def __call__(self, frames: Iterator[Frame], /) -> Iterator[Frame]:
        size = read_picture(self._images[0]).size
        left = _pixels(self._images[self._done :], size, self._seen)
        for frame in frames:
            pixels = next(left, None)
            if pixels is None:
                raise VideoError(
                    f"the video has more frames than there are images, {len(self._images)}; select"
                    " the same part of it with `start`, `end` and `every`"
                )
            self._done += 1
            yield replace(frame, pixels=of_depth(pixels, frame.pixels.dtype))

    def size(self, _: tuple[int, int], /) -> tuple[int, int]:
        return read_picture(self._images[0]).size

    def state(self) -> State:
        return {"done": np.array(self._done)}

    def restore(self, state: State, /) -> None:
        self._done = int(state["done"])


def _pixels(
    images: Sequence[Path], size: tuple[int, int], seen: Callable[[Picture], Picture]
) -> Iterator[Pixels]:
    """The pixels of images of one size, each with its own bit depth."""
    for path, picture in ahead(lambda p: (p, read_picture(p)), images, workers=_READERS):
        if picture.size != size:
            height, width = picture.size
            raise DataError.of(path, f"{width} x {height}, but all must be {size[1]} x {size[0]}")
        yield seen(picture).composited()
