"""Reading the frames of a video file, upright and with their times."""

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
from av import Packet, VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream

from img2img.errors import VideoError
from img2img.images import Pixels
from img2img.video.colour import Converter
from img2img.video.continuity import Mender
from img2img.video.orientation import upright
from img2img.video.probing import VideoInfo, decoder_of, open_video, video_stream
from img2img.video.span import WHOLE, Span, ticks_of

# A frame still missing this many packets after its own is lost: H.264 reorders at most 16.
_LONGEST_DELAY = 20


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame, as a player shows it.

    Attributes:
        pixels: RGB, (H, W, 3), upright; uint8 if the video has 8 bits, otherwise uint16 in full
            range.
        pts: when it is shown, in `VideoInfo.time_base`.
        duration: how long it is shown, in `VideoInfo.time_base`; 0 if unknown.
        concealed: whether the frame could not be decoded; its pixels are those of the last good
            frame.
        alpha: the alpha channel, (H, W), of the same type; None if the video has none.
        fitted: its height and width in the file, if they differ from the video's. The frame is then
            scaled to fit, with black bars if its aspect ratio differs.
        number: how many frames the video has before it.
    """

    pixels: Pixels
    pts: int
    duration: int
    concealed: bool
    alpha: Pixels | None = None
    fitted: tuple[int, int] | None = None
    number: int = 0


@dataclass(frozen=True)
class _Shot:
    """A decoded frame and its time."""

    frame: VideoFrame
    pts: int
    duration: int
    concealed: bool


def frames(
    info: VideoInfo,
    span: Span = WHOLE,
    *,
    after: int | None = None,
) -> Iterator[Frame]:
    """The frames of a video, in the order in which they are shown, each later than the one before.

    A packet is one frame at one time. If the decoder returns nothing for a time, or marks a frame
    as damaged, the last good frame replaces it and is marked `concealed`; frames that merely follow
    a damaged one are used as decoded. A gap between times is not a lost frame (the rate may vary),
    and neither is the missing end of a truncated file, nor anything before the first frame that can
    be decoded. A frame without a time gets the next time at the average rate, and a frame that is
    not later than the last is moved to the next time unit.

    Args:
        info: the result of `probe`.
        span: which frames.
        after: a time in `time_base`. Frames up to it are left out but count for `span.every`, so
            that the others are the same as without it. Decoding begins at the last key frame; in a
            damaged file, pixels that the decoder patches from earlier frames may then differ.

    Raises:
        VideoError: reading fails, or its colours cannot be converted.
    """
    first = info.start + ticks_of(span.start or 0, info.time_base)
    last = None if span.end is None else info.start + ticks_of(span.end, info.time_base)
    before = first - 1 if after is None else max(first - 1, after)
    key = _key_before(info, before, first) if before >= info.start else None
    converter = Converter(info.colour, info.size)
    index, skipped = (0, 0) if key is None else (key.frames, key.skipped)
    for number, shot in enumerate(_decoded(info, key), skipped):
        if shot.pts < first:
            continue
        if last is not None and shot.pts >= last:
            return
        if index % span.every == 0 and (after is None or shot.pts > after):
            pixels = upright(converter.to_rgb(shot.frame, info.depth), info.display_matrix)
            alpha = converter.to_alpha(shot.frame, info.depth) if info.alpha else None
            if alpha is not None:
                alpha = upright(alpha, info.display_matrix)
            size = (shot.frame.height, shot.frame.width)
            fitted = None if size == info.size else size
            yield Frame(pixels, shot.pts, shot.duration, shot.concealed, alpha, fitted, number)
        index += 1


@dataclass(frozen=True)
class _Key:
    """A key frame at which decoding can begin.

    Attributes:
        packet: its index among the packets of the stream.
        pts: its time.
        frames: number of frames before it that count.
        skipped: number of all frames before it.
    """

    packet: int
    pts: int
    frames: int
    skipped: int


def count_frames(info: VideoInfo) -> int:
    """How many frames a video has. All of it is read, but not decoded."""
    with open_video(info.path) as container:
        stream = video_stream(container, info.stream)
        return sum(_gives_frame(packet, stream) for packet in _packets(container, stream, info))


def _key_before(info: VideoInfo, after: int, first: int) -> _Key | None:
    """The last key frame up to a time, if decoding from it is the same as decoding everything.

    It is not if packets have no times or equal times, or if the key frame is damaged.

    Args:
        info: the file.
        after: the time.
        first: frames before this time do not count.
    """
    key: _Key | None = None
    count = every = 0  # packets so far whose frames count, and all that give frames
    latest = info.start - 1
    seen: set[int] = set()  # times since the key frame
    with open_video(info.path) as container:
        stream = video_stream(container, info.stream)
        for number, packet in enumerate(_packets(container, stream, info)):
            if packet.dts is not None and packet.dts > after:
                break
            if not _gives_frame(packet, stream):
                continue
            pts = packet.pts
            if pts is None or pts in seen:
                return None
            if packet.is_keyframe and latest < pts <= after:
                key = _Key(number, pts, count, every)
                seen.clear()
            elif key is not None and pts < key.pts:
                counts = pts >= first
                key = replace(key, frames=key.frames + counts, skipped=key.skipped + 1)
            seen.add(pts)
            every += 1
            latest = max(latest, pts)
            count += pts >= first
    if key is None:
        return None
    beginning = next(_decoded(info, key), None)
    return key if beginning and beginning.pts == key.pts and not beginning.concealed else None


def _decoded(info: VideoInfo, key: _Key | None) -> Iterator[_Shot]:
    """The frames from a key frame or from the start, decoded or concealed."""
    good: VideoFrame | None = None
    pts = info.start - info.step if key is None else key.pts - 1
    for own, frame in _in_order(info, key):
        if (frame is None or frame.is_corrupt) and good is not None:
            # A missing frame is not inserted where another has its time.
            if frame is not None or own > pts:
                pts = max(own, pts + 1)
                yield _Shot(good, pts, 0 if frame is None else frame.duration, True)
        elif frame is not None:
            good = frame
            pts = max(own, pts + 1)
            yield _Shot(good, pts, frame.duration, frame.is_corrupt)


def _in_order(info: VideoInfo, key: _Key | None) -> Iterator[tuple[int, VideoFrame | None]]:
    """Times and decoded frames, from a key frame on; None if the decoder returned nothing."""
    awaited: dict[int, int] = {}  # time and index of each packet whose frame has not come yet
    ready: list[tuple[int, int, VideoFrame | None]] = []  # a heap by time
    order = itertools.count()
    last = info.start - info.step
    with open_video(info.path) as container:
        stream = video_stream(container, info.stream)
        # Decoding frames in parallel would report the error of one frame with another's packet, and
        # would lose frames after an error at the end of the file.
        decoder = decoder_of(stream)
        decoder.thread_type = "SLICE"
        for number, packet in enumerate(_packets(container, stream, info)):
            if key is not None and number < key.packet:
                continue
            if packet.pts is not None and _gives_frame(packet, stream):
                awaited[packet.pts] = number
            try:
                decoded = decoder.decode(packet)
            except av.FFmpegError:
                decoded = []  # its time stays awaited
            for frame in decoded:
                last = last + info.step if frame.pts is None else frame.pts
                awaited.pop(last, None)
                if key is None or last >= key.pts:
                    heapq.heappush(ready, (last, next(order), frame))
            ended = packet.size == 0
            for time in [t for t, fed in awaited.items() if ended or number - fed > _LONGEST_DELAY]:
                del awaited[time]
                heapq.heappush(ready, (time, next(order), None))
            while ready and (not awaited or ready[0][0] < min(awaited)):
                time, _, shown = heapq.heappop(ready)
                yield time, shown


def _packets(
    container: InputContainer, stream: VideoStream, info: VideoInfo
) -> "Iterator[Packet[Any]]":
    """The packets of a stream, as far as they can be read, then an empty one to end decoding."""
    mender = Mender(info.timeline)
    try:
        for packet in container.demux(stream):
            mender.mend(packet)
            yield packet
    except av.InvalidDataError:
        yield Packet()
    except av.FFmpegError as error:
        raise VideoError.of(info.path, f"reading stopped: {error.strerror}") from error


def _gives_frame(packet: "Packet[Any]", stream: VideoStream) -> bool:
    """Whether a packet shows a frame: not if an edit list removes it or it is only a reference."""
    if packet.size == 0 or packet.is_discard:
        return False
    # The fifth bit of VP8's frame header. Later codecs pack such a frame with one that is shown.
    return stream.codec.canonical_name != "vp8" or bool(memoryview(packet)[0] & 0x10)
