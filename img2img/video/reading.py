"""The frames of a video file, upright, each with its time."""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av import VideoFrame

from img2img.images import Pixels
from img2img.video.colour import Converter
from img2img.video.orientation import upright
from img2img.video.probing import VideoInfo, open_video, video_stream


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame as it is shown.

    Attributes:
        pixels: RGB, (H, W, 3), upright: uint8 of a video of 8 bits, uint16 over its whole range
            of one of more.
        pts: when it is shown, in `VideoInfo.time_base`.
        duration: for how long, likewise; 0 is unknown.
        concealed: the frame of this time could not be decoded; these are the last good one's.
    """

    pixels: Pixels
    pts: int
    duration: int
    concealed: bool


@dataclass(frozen=True)
class _Shot:
    """A decoded frame and its time."""

    frame: VideoFrame
    pts: int
    duration: int
    concealed: bool


def frames(
    info: VideoInfo,
    *,
    start: float | None = None,
    end: float | None = None,
    every: int = 1,
    after: int | None = None,
) -> Iterator[Frame]:
    """The frames of a video, in the order they are shown.

    Args:
        info: of `probe`.
        start: seconds after the first frame's time; frames before it are left out.
        end: likewise; frames from it on are left out.
        every: one frame of so many, counted from the first that is not left out.
        after: a time in `time_base`. Frames up to it are not given, but count for `every`: what
            comes is what a call without it would have given from there on.

    Raises:
        VideoError: the file cannot be read any more.
    """
    first = info.start + math.ceil((start or 0) / info.time_base)
    last = None if end is None else info.start + math.ceil(end / info.time_base)
    converter = Converter(info.colour, info.size)
    index = -1
    for shot in _decoded(info):
        if shot.pts < first:
            continue
        if last is not None and shot.pts >= last:
            return
        index += 1
        if index % every == 0 and (after is None or shot.pts > after):
            pixels = upright(converter.to_rgb(shot.frame, info.depth), info.display_matrix)
            yield Frame(pixels, shot.pts, shot.duration, shot.concealed)


def _decoded(info: VideoInfo) -> Iterator[_Shot]:
    step = max(1, round(1 / (info.rate * info.time_base))) if info.rate else 1
    awaited: list[int] = []  # times of packets whose frames have not come, a heap
    good: VideoFrame | None = None
    pts = info.start - step
    with open_video(info.path) as container:
        stream = video_stream(container, info.stream)
        # Decoding frames in parallel would report what is broken later, with another packet.
        stream.thread_type = "SLICE"
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None and not packet.is_discard:
                heapq.heappush(awaited, packet.pts)
            try:
                decoded = stream.decode(packet)
            except av.FFmpegError:
                decoded = []
            for frame in decoded:
                own = pts + step if frame.pts is None else frame.pts
                while awaited and awaited[0] < own:
                    missed = heapq.heappop(awaited)
                    if good is not None and missed > pts:
                        pts = missed
                        yield _Shot(good, pts, 0, True)
                if awaited and awaited[0] == own:
                    heapq.heappop(awaited)
                if good is None or not frame.is_corrupt:
                    good = frame
                pts = max(own, pts + 1)
                yield _Shot(good, pts, frame.duration, frame.is_corrupt)
        for missed in sorted(awaited):
            if good is not None and missed > pts:
                pts = missed
                yield _Shot(good, pts, 0, True)
