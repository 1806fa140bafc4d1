"""Encoding frames as closed segments, which are joined without encoding them again.

A segment is a file of complete groups of pictures that starts with a key frame. Its container is
NUT, which keeps every time base, if NUT can hold the codec. MOV counts from the first frame, so the
time of that frame is stored as metadata. Matroska counts milliseconds, so the unit of the video's
time base is written as one. `joined_packets` yields the packets of all segments for one stream.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av import Packet, VideoFrame
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from img2img.errors import StorageError, VideoError
from img2img.images import Picture
from img2img.video.codecs import Encoding, encoder_of, filled, has_alpha, held_colour
from img2img.video.colour import Colour, Converter
from img2img.video.orientation import as_coded
from img2img.video.probing import VideoInfo, open_video, says_alpha
from img2img.video.reading import Frame

# The frame rate passed to an encoder if the video does not declare one.
_RATE = Fraction(25)

# Otherwise all times would be moved so that the first decoding time is not negative, and an edit
# list of MOV would round them.
_AS_GIVEN = {"avoid_negative_ts": "disabled", "use_editlist": "0"}
_MATROSKA, _MOV = "matroska", "mov"
_MILLISECOND = Fraction(1, 1000)
# The metadata key for the time of a MOV's first frame.
_FIRST = "comment"


class SegmentWriter:
    """Writes one closed segment: complete groups of pictures from a key frame on.

    Args:
        path: the file, with any suffix.
        info: the video that the frames are from: time base, colour, rotation, pixel aspect.
        size: height and width of the frames, upright.
        encoding: the same for all segments that are joined.

    Raises:
        ConfigError: the encoding is not valid, as in `check_encoding`.
        StorageError: the file cannot be written.
    """

    def __init__(
        self, path: Path, info: VideoInfo, size: tuple[int, int], encoding: Encoding
    ) -> None:
        height, width = (size[1], size[0]) if info.rotation % 180 == 90 else size
        chosen = filled(encoding, info, (height, width))
        encoder = encoder_of(chosen)
        options = dict(encoder.options)
        if chosen.crf is not None:
            options["crf"] = str(chosen.crf)
        if encoder.profiles:
            options["profile"] = f"{encoder.prefix}{chosen.preset}"
        elif chosen.preset is not None:
            options["preset"] = chosen.preset
        self._path, self._info = path, info
        self._format = chosen.pixel_format or ""
        self._alpha = has_alpha(chosen)
        # VP9 stores alpha in side data of its packets, which NUT cannot hold.
        kind = _MATROSKA if encoder.name == "libvpx-vp9" and self._alpha else encoder.segments
        self._unit = _MILLISECOND if kind == _MATROSKA else info.time_base
        self._first_noted = kind != _MOV
        self._origin = _origin(info)
        # By the coded size: without tags, a player decides by the size of the video.
        colour = held_colour(chosen.codec or "", info, (height, width))
        self._converter = Converter(colour, (height, width))
        with self._writing():
            self._file = path.open("wb")
        options_here = _AS_GIVEN if kind == _MOV else {"avoid_negative_ts": "disabled"}
        self._container = av.open(self._file, "w", format=kind, options=options_here)
        stream = self._container.add_stream(encoder.name, rate=info.rate or _RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, self._format
        if kind == _MATROSKA:
            stream.metadata["alpha_mode"] = "1"
        context = stream.codec_context
        context.time_base, stream.time_base = info.time_base, self._unit
        _describe(context, info, colour)
        self._stream = stream

    def write(self, frame: Frame) -> None:
        """Encode a frame.

        Raises:
            StorageError: the disk is full.
            VideoError: the encoder refuses the frame, for example because of its size.
        """
        alpha = frame.alpha if self._alpha else None
        pixels = frame.pixels if self._alpha else Picture(frame.pixels, frame.alpha).composited()
        pixels = as_coded(pixels, self._info.display_matrix)
        if alpha is not None:
            alpha = as_coded(alpha, self._info.display_matrix)
        coded = self._converter.from_rgb(pixels, self._format, alpha)
        coded.pts, coded.time_base = frame.pts - self._origin, self._info.time_base
        if not self._first_noted:
            self._container.metadata[_FIRST] = str(coded.pts)
            self._first_noted = True
        self._mux(coded)

    def close(self) -> None:
        """Write the frames that the encoder still holds, and flush the file to disk.

        Raises:
            StorageError: the disk is full.
        """
        with self._writing(), self._file:
            self._mux(None)
            self._container.close()
            self._file.flush()
            os.fsync(self._file.fileno())

    def _mux(self, coded: VideoFrame | None) -> None:
        try:
            with _usual_scheduling():
                packets = self._stream.encode(coded)
        except av.FFmpegError as error:
            context = self._stream.codec_context
            raise VideoError(
                f"{context.name} cannot encode frames of {context.width} x {context.height} pixels:"
                f" {error.strerror}"
            ) from error
        for packet in packets:
            packet.time_base = self._unit
        with self._writing():
            self._container.mux(packets)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror or error}") from error


@contextmanager
def _usual_scheduling() -> Iterator[None]:
    """SVT-AV1 gives itself and its caller real-time priority where it may, as root may: undo it.

    Nothing else would run on a processor that such a thread computes on.
    """
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").glob("*") if hasattr(os, "SCHED_FIFO") else ():
            with suppress(OSError):  # it has ended
                if os.sched_getscheduler(int(thread.name)) == os.SCHED_FIFO:
                    os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def joined_stream(container: OutputContainer, segment: Path, info: VideoInfo) -> VideoStream:
    """Add a stream for `joined_packets` to a new file, with the properties in `info`.

    A segment does not store the display matrix, and with some codecs neither the colour tags nor
    the aspect ratio of pixels.

    Args:
        container: the file, before its header is written.
        segment: any of the segments: all are encoded alike.
        info: the video.

    Raises:
        VideoError: the segment cannot be read.
    """
    with open_video(segment) as source:
        there = source.streams.video[0]
        stream = container.add_stream_from_template(there, opaque=True)
        tag, with_alpha = there.codec_context.codec_tag, says_alpha(there)
    if stream.codec.canonical_name == "prores":
        stream.codec_context.codec_tag = tag  # which is its profile
    if with_alpha:
        stream.metadata["alpha_mode"] = "1"
    context = stream.codec_context
    context.framerate = info.rate or _RATE
    if info.display_matrix is not None:
        stream.set_display_matrix(info.display_matrix)
    size = (context.height, context.width)
    _describe(context, info, held_colour(stream.codec.canonical_name, info, size))
    stream.time_base = info.time_base
    if stream.codec.canonical_name == "hevc" and container.format.name in {"mp4", "mov"}:
        context.codec_tag = "hvc1"  # the one that Apple plays
    return stream


def _describe(context: VideoCodecContext, info: VideoInfo, colour: Colour) -> None:
    context.color_range, context.colorspace = colour.range, colour.matrix
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    if info.sample_aspect:
        context.sample_aspect_ratio = info.sample_aspect


def joined_packets(
    segments: Sequence[Path], info: VideoInfo, last: int = 0
) -> "Iterator[Packet[VideoStream]]":
    """The packets of all segments, one after the other, for one stream.

    Their `pts` are those of the written frames, in `info.time_base`, and each lasts until the next.
    Their `dts` are new, because those of a segment begin before its first frame, within the
    previous segment: the n-th packet gets the n-th of all times in order, shifted by as many frames
    as the codec reorders.

    Args:
        segments: the segments in order, at least one.
        info: the video that they were written for.
        last: how long the last frame is shown, in `time_base`; 0: the average duration.

    Raises:
        VideoError: a segment cannot be read.
    """
    times = _times(segments[0], info)
    with open_video(segments[0]) as container:
        depth = container.streams.video[0].codec_context.reorder_depth
    earlier = [times[0] - info.step * n for n in range(depth, 0, -1)]
    for path, following in zip(segments, [*segments[1:], None], strict=True):
        coming = [times[-1] + (last or info.step)] if following is None else _times(following, info)
        lengths = {time: later - time for time, later in pairwise([*times, coming[0]])}
        decoded = earlier + times
        for number, packet in enumerate(_packets(path, info)):
            packet.dts, packet.duration = decoded[number], lengths[packet.pts or 0]
            yield packet
        earlier = decoded[len(times) :]
        times = coming


def _times(segment: Path, info: VideoInfo) -> list[int]:
    return sorted(packet.pts or 0 for packet in _packets(segment, info))


def _packets(segment: Path, info: VideoInfo) -> "Iterator[Packet[VideoStream]]":
    with open_video(segment) as container:
        unit = _MILLISECOND if "matroska" in container.format.name else info.time_base
        first = int(container.metadata.get(_FIRST, "0")) + _origin(info)
        for packet in container.demux(container.streams.video[0]):
            if packet.size == 0:
                continue
            if packet.pts is None:
                raise VideoError.of(segment, "a packet without a time")
            # NUT and MOV subdivide a time unit that is too coarse for them.
            packet.pts = int(packet.pts * packet.time_base / unit) + first
            packet.time_base = info.time_base
            yield packet


def _origin(info: VideoInfo) -> int:
    """The time subtracted from all times in a segment, because NUT cannot hold negative ones."""
    return min(info.start, 0)
