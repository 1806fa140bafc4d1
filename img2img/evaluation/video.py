"""Measures a translated video against its input."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from img2img.errors import VideoError
from img2img.images import Pixels
from img2img.metrics.video import VideoMeter
from img2img.video import Frame, VideoInfo, frames, probe


@dataclass(frozen=True)
class TemporalConsistency:
    """A comparison of a translated video with its input. Errors are for colours in [0, 1],
    squared."""

    frames: int
    """The number of frames that were compared."""
    cuts: int
    """The number of scene changes, across which nothing is measured."""
    input_error: float
    output_error: float
    ratio: float | None
    """The warping error of the output divided by that of the input; None if the input has none."""
    sharpness: float | None
    """The sharpness of the output divided by that of the reference, or of the input."""


def evaluate_video(
    source: Path,
    output: Path,
    reference: Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> TemporalConsistency:
    """Measure how steady and how sharp a translated video is, compared with its input.

    Frames with the same time are compared; others, such as frames that were not translated, are
    ignored.

    Args:
        source: the video that was translated.
        output: the translation.
        reference: another translation to compare sharpness with, such as an unstabilised one; None:
            the input.
        progress: called with (frames of the output done, all frames).

    Raises:
        VideoError: a file is not a video, or no two frames have the same time.
    """
    meter = VideoMeter()
    info = probe(output)
    given = _at_times_of(info, source)
    others = _at_times_of(info, reference) if reference else None
    for number, frame in enumerate(frames(info), 1):
        inputs, references = given(frame), others(frame) if others else None
        if inputs is not None and (others is None or references is not None):
            meter.add(inputs, frame.pixels, references)
        if progress:
            progress(number, info.frames)
    if not meter.frames:
        raise VideoError(f"{source} and {output}: no frames have the same time")
    return TemporalConsistency(
        frames=meter.frames,
        cuts=meter.cuts,
        input_error=meter.input_error,
        output_error=meter.output_error,
        ratio=meter.ratio,
        sharpness=meter.sharpness,
    )


def _at_times_of(other: VideoInfo, path: Path) -> Callable[[Frame], Pixels | None]:
    """A function from successive frames of one video to the pixels of another at the same time."""
    info = probe(path)
    left = frames(info)
    waiting = next(left, None)
    near = Fraction(other.step) * other.time_base / 2

    def find(frame: Frame) -> Pixels | None:
        nonlocal waiting
        time = frame.pts * other.time_base
        while waiting is not None and waiting.pts * info.time_base < time - near:
            waiting = next(left, None)
        if waiting is None or waiting.pts * info.time_base > time + near:
            return None
        return waiting.pixels

    return find
