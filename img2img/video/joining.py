"""Joining closed segments into one file, with the sound and everything else of the source.

Packets are copied, those of the video from the segments, all others from the source. Only text
subtitles are converted, if the container requires it, and sound that neither the container nor
Matroska can hold is encoded again.
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from img2img.errors import VideoError
from img2img.runtime.files import atomic_write
from img2img.video.containers import (
    CONTAINERS,
    FORMATS,
    MATROSKA,
    Muxing,
    add_sound,
    codec_name,
    is_cover,
)
from img2img.video.continuity import Mender, Timeline
from img2img.video.encoding import joined_packets, joined_stream
from img2img.video.probing import VideoInfo, open_video
from img2img.video.span import WHOLE, Span

if TYPE_CHECKING:
    from av.container.core import Chapter  # which is in the stubs alone

# Metadata that a muxer writes itself, and statistics about the source's packets.
_OWN_KEYS = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"),
    # The result is a new file.
    "creation_time",
    *("bps", "number_of_frames", "number_of_bytes", "software"),
}

# The time of a packet in seconds, the stream of the result that it is for, and the packet.
_Due = tuple[float, Stream, "Packet[Any]"]


def join(
    segments: Sequence[Path],
    info: VideoInfo,
    muxing: Muxing,
    *,
    span: Span = WHOLE,
    last_duration: int = 0,
) -> tuple[str, ...]:
    """Write `muxing.target` with the frames of the segments and the other tracks of the source.

    The target appears once it is complete. Memory does not grow with its length.

    Args:
        segments: segments made by `SegmentWriter` with one encoding, in order, at least one, on the
            same disk as the target.
        info: the video that they were made from.
        muxing: the result of `check_container`; or `Muxing(target)`, for the frames alone.
        span: the part of the source that the segments show. Sound outside of it is left out, up to
            whole packets. All streams of a later part are moved to the start of the source.
        last_duration: how long the last frame is shown, in `info.time_base`; 0: the average
            duration.

    Returns:
        A line on everything that the container could not hold unchanged.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
        VideoError: the source or a segment cannot be read, or the container refuses them.
    """
    start, end = span.start or 0.0, span.end
    first = next(joined_packets(segments[:1], info)).pts or 0
    part = _Part(
        after=first * info.time_base if start > 0 else None,
        before=None if end is None else info.start * info.time_base + _exactly(end),
        shift=(first - info.start) * info.time_base if start > 0 else Fraction(0),
    )
    notes: list[str] = []
    with ExitStack() as stack:
        source = stack.enter_context(open_video(muxing.source)) if muxing.source else None
        # In the segments' folder: what a killed process leaves is removed together with them.
        with atomic_write(muxing.target, segments[0].parent) as temporary:
            try:
                with av.open(
                    f"file:{temporary}",
                    "w",
                    format=FORMATS[muxing.target.suffix.lower()],
                    # Other containers ignore this option.
                    container_options={"movflags": _flags(muxing, source)},
                ) as output:
                    pictures = joined_stream(output, segments[0], info)
                    joined = joined_packets(segments, info, last_duration)
                    queues: list[Iterator[_Due]] = [
                        (part.moved(packet, pictures) for packet in joined)
                    ]
                    if source:
                        output.metadata.update(_kept(source.metadata))
                        output.set_chapters([*part.chapters(source.chapters())])
                        _name(pictures, source.streams[info.stream])
                        fed = _add_others(output, source, muxing)
                        queues.append(_of_source(source, fed, muxing, part, info.timeline, notes))
                    output.start_encoding()  # from here on, streams have their time bases
                    # Packets are interleaved by time.
                    for _, stream, packet in heapq.merge(*queues, key=itemgetter(0)):
                        packet.stream = stream
                        output.mux_one(packet)
                notes += _changes(temporary, source, first * info.time_base - part.shift)
            except av.FFmpegError as error:
                if isinstance(error, OSError):
                    raise
                raise VideoError(f"{muxing.target}: cannot be written: {error}") from error
    return tuple(notes)


@dataclass(frozen=True)
class _Part:
    """The part of a source that is written.

    Attributes:
        after, before: start and end of the part, in seconds; None: no bound. The end is excluded.
        shift: number of seconds by which everything is shown earlier.
    """

    after: Fraction | None = None
    before: Fraction | None = None
    shift: Fraction = Fraction(0)

    def holds(self, packet: "Packet[Any]") -> bool:
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None:
            return True
        time = ticks * packet.time_base
        return (self.after is None or time >= self.after) and (
            self.before is None or time < self.before
        )

    def moved(self, packet: "Packet[Any]", stream: Stream) -> _Due:
        """The packet at its new time, with the stream that it is for."""
        ticks = round(self.shift / packet.time_base)
        if packet.pts is not None:
            packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        due = packet.pts if packet.dts is None else packet.dts
        return float((due or 0) * packet.time_base), stream, packet

    def chapters(self, chapters: "Iterable[Chapter]") -> "Iterator[Chapter]":
        """The chapters in this part, shortened to it."""
        for chapter in chapters:
            base = chapter["time_base"] or Fraction(1)
            start, end = chapter["start"] * base, chapter["end"] * base
            if self.after is not None:
                start = max(start, self.after)
            if self.before is not None:
                end = min(end, self.before)
            if start < end:
                moved = [round((time - self.shift) / base) for time in (start, end)]
                yield {**chapter, "start": moved[0], "end": moved[1]}


def _add_others(
    output: OutputContainer, source: InputContainer, muxing: Muxing
) -> dict[int, Stream]:
    """Add the source's other streams, in its order: players choose the first of a kind.

    Returns:
        The stream for the packets of each source stream, by the index of the latter.
    """
    fed: dict[int, Stream] = {}
    for stream in source.streams:
        if stream.index in muxing.converted:
            added = _add_text(output, stream, muxing)
        elif stream.index in muxing.recoded:
            added = add_sound(output, cast(AudioStream, stream), muxing.target.suffix.lower())
        elif stream.index not in muxing.copied:
            continue
        elif stream.type == "video" and muxing.target.suffix.lower() == MATROSKA:
            _attach_cover(output, stream, muxing)
            continue
        else:
            added = output.add_stream_from_template(stream, opaque=True)
        _name(added, stream)
        if stream.type != "attachment":  # which has no packets
            fed[stream.index] = added
    return fed


def _add_text(output: OutputContainer, stream: Stream, muxing: Muxing) -> Stream:
    """Add a stream of text subtitles in the container's own format."""
    added = output.add_stream(CONTAINERS[muxing.target.suffix.lower()])
    decoder, encoder = (cast(SubtitleCodecContext, of.codec_context) for of in (stream, added))
    decoder.open(strict=False)
    encoder.subtitle_header = decoder.subtitle_header
    added.time_base = encoder.time_base = Fraction(1, 1000)
    return added


def _attach_cover(output: OutputContainer, stream: Stream, muxing: Muxing) -> None:
    """Add a cover as an attachment, as Matroska stores it."""
    kind = (codec_name(stream) or "").replace("mjpeg", "jpeg")
    with open_video(cast(Path, muxing.source)) as container:
        packets = container.demux(container.streams[stream.index])
        data = next((bytes(packet) for packet in packets if packet.size), b"")
    name = stream.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
    output.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), data)


def _name(stream: Stream, like: Stream) -> None:
    """Copy language, title and role from another stream."""
    metadata = _kept(like.metadata)
    if "name" in metadata:  # FFmpeg's MP4 reader calls the title this
        metadata.setdefault("title", metadata.pop("name"))
    stream.metadata.update(metadata)
    stream.disposition = like.disposition


def _of_source(
    source: InputContainer,
    fed: Mapping[int, Stream],
    muxing: Muxing,
    part: _Part,
    timeline: Timeline,
    notes: list[str],
) -> Iterator[_Due]:
    if not fed:
        return
    for stream in source.streams:
        if stream.index not in fed:
            stream.discard = Discard.all  # not even read, if the container allows that
    last: dict[int, int] = {}
    mender = Mender(timeline)
    for packet in source.demux([source.streams[index] for index in fed]):
        index = packet.stream.index
        mender.mend(packet)
        if packet.size and is_cover(packet.stream):
            yield 0.0, fed[index], packet  # it has no time
            continue
        if packet.size:
            if _is_gap(packet) or not part.holds(packet):
                continue
            if _made_to_rise(packet, last.get(index), fed[index], muxing):
                kind = packet.stream.type
                note = f"corrected the timestamps of {kind} track {index}: not all were increasing"
                if note not in notes:
                    notes.append(note)
            last[index] = cast(int, packet.dts)
        for written in _as_planned(packet, fed[index], muxing):
            yield part.moved(written, fed[index])


def _as_planned(packet: "Packet[Any]", stream: Stream, muxing: Muxing) -> "list[Packet[Any]]":
    """The packets to write for a packet of the source; an empty one ends its track."""
    index = packet.stream.index
    if index in muxing.recoded:
        return _encoded(packet, cast(AudioStream, stream))
    if not packet.size:
        return []
    return _converted_text(packet, stream) if index in muxing.converted else [packet]


def _is_gap(packet: "Packet[Any]") -> bool:
    """Whether a packet only marks a time without text, which the muxer writes itself."""
    return codec_name(packet.stream) == "mov_text" and packet.size == 2


def _made_to_rise(packet: "Packet[Any]", last: int | None, stream: Stream, muxing: Muxing) -> bool:
    """Move a packet that is not later than the last one, because most containers refuse it.

    A damaged recording must not fail after all the work is done. In Matroska, several subtitles may
    begin at the same time.

    Returns:
        Whether the packet had to be moved.
    """
    if packet.dts is None:
        packet.dts = packet.pts
    at_once = packet.stream.type == "subtitle" and FORMATS[muxing.target.suffix.lower()] in {
        "matroska",
        "webm",
    }
    if packet.dts is not None and (
        last is None or packet.dts > last or (at_once and packet.dts == last)
    ):
        return False
    # At least one time unit of the source and of the result.
    step = max(1, math.ceil((stream.time_base or 0) / packet.time_base))
    least = 0 if last is None else last + step
    packet.dts = least
    packet.pts = least if packet.pts is None else max(packet.pts, least)
    return True


def _converted_text(packet: "Packet[Any]", stream: Stream) -> "list[Packet[Any]]":
    """A text subtitle, converted to the format of a stream; empty if it has no text."""
    text = packet.stream.codec_context.decode2(packet)
    if text is None:
        return []
    written = cast(SubtitleCodecContext, stream.codec_context).encode_subtitle(text)
    written.pts, written.dts, written.duration = packet.pts, packet.dts, packet.duration
    written.time_base = packet.time_base
    return [written]


def _encoded(packet: "Packet[Any]", stream: AudioStream) -> "list[Packet[Any]]":
    """The packets that result from decoding an audio packet and encoding it for a stream."""
    try:
        decoded = packet.stream.codec_context.decode(packet)
    except av.FFmpegError:
        decoded = []  # later packets have their own times
    made = [sound for frame in decoded for sound in stream.encode(frame)]
    return made if packet.size else made + stream.encode(None)


def _flags(muxing: Muxing, source: InputContainer | None) -> str:
    """Flags for the MP4 muxer: write the index first, and keep Apple's metadata."""
    apple = source is not None and any(key.startswith("com.apple.") for key in source.metadata)
    kept = apple and muxing.target.suffix.lower() == ".mov"
    return "+faststart+use_metadata_tags" if kept else "+faststart"


def _changes(path: Path, source: InputContainer | None, begin: Fraction) -> Iterator[str]:
    """A line on everything that a written file lost.

    Args:
        begin: the time at which the video should start, in seconds.
    """
    with open_video(path) as written:
        pictures = written.streams.video[0]
        late = (pictures.start_time or 0) * (pictures.time_base or Fraction(0)) - begin
        if late > Fraction(2, 1000):
            yield (
                f"everything is {float(late) * 1000:.0f} ms later, because the sound begins before"
                f" time 0, which {path.suffix} cannot hold"
            )
        there = {key.lower() for key in written.metadata}
        wanted = _kept(source.metadata) if source else {}
        if lost := [key for key in wanted if key.lower() not in there]:
            yield f"{path.suffix} cannot hold the metadata {', '.join(lost)}"


def _exactly(seconds: float) -> Fraction:
    """The decimal number that was meant: the float 0.2 is slightly more."""
    return Fraction(seconds).limit_denominator(10**6)


def _kept(metadata: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _OWN_KEYS and not key.lower().startswith("_statistics")
    }
