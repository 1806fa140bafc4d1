"""Frames encoded as closed segments, which are joined without encoding again.

A segment is a file of whole groups of pictures that starts with a key frame. It is in the NUT
container, the one that keeps every time base (Matroska rounds to milliseconds, MP4 moves the first
frame to zero). `joined_packets` gives the packets of all segments for one stream.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av import Packet, VideoFormat, VideoFrame
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from img2img.errors import ConfigError, StorageError, VideoError
from img2img.video.colour import Converter
from img2img.video.orientation import as_coded
from img2img.video.probing import VideoInfo, open_video
from img2img.video.reading import Frame


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    Attributes:
        codec: `h264`, `hevc`, `av1`, `vp9` or `ffv1`.
        crf: quality, lower is better; None is the codec's default here, `h264`'s is 18.
        preset: speed against size; None is the codec's default here, `h264`'s is medium.
        pixel_format: FFmpeg's name of it; None is yuv420p, of 10 or 12 bits for a video of more
            than 8 where the encoder has them (`vp9` of PyAV's wheels has not), and yuv444p where a
            side is odd and the codec, `h264` or `hevc`, has 4:2:0 of even ones only. No crop would
            help: those codecs crop by two pixels, and few players heed a container's.
    """

    codec: str = "h264"
    crf: int | None = None
    preset: str | None = None
    pixel_format: str | None = None


_X26_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)


@dataclass(frozen=True)
class _Encoder:
    """What an encoder takes.

    Attributes:
        name: FFmpeg's.
        containers: suffixes of the files that hold its packets.
        shape: whether its packets say the shape of a pixel. If not, it is MP4 that does; PyAV
            cannot have Matroska do so.
        crf: the default and the largest; None where the codec has no such thing.
        presets: what it takes; the default.
        options: what it always gets.
        even: whether it takes 4:2:0 of even sides only.
    """

    name: str
    containers: tuple[str, ...]
    crf: tuple[int, int] | None = None
    presets: tuple[str, ...] = ()
    preset: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    even: bool = False
    shape: bool = False


# SVT-AV1 writes to the terminal what it does, unless told to keep to errors.
os.environ.setdefault("SVT_LOG", "1")

# The formats that the tags of a stream describe: no alpha, no grey, no RGB, no range of its own.
_YUV = re.compile(r"yuv4\d\dp(\d+le)?")

# What an encoder is told of a video that does not say.
_RATE = Fraction(25)

# Else all times are moved so that the first decoding time is not below zero.
_AS_GIVEN = {"avoid_negative_ts": "disabled"}

_ENCODERS = {
    "h264": _Encoder(
        "libx264",
        (".mp4", ".m4v", ".mov", ".mkv"),
        (18, 51),
        _X26_PRESETS,
        "medium",
        even=True,
        shape=True,
    ),
    "hevc": _Encoder(
        *("libx265", (".mp4", ".m4v", ".mov", ".mkv"), (20, 51), _X26_PRESETS, "medium"),
        options=(("x265-params", "log-level=error:open-gop=0"),),
        even=True,
        shape=True,
    ),
    "av1": _Encoder(
        *("libsvtav1", (".mp4", ".mkv", ".webm"), (24, 63)),
        *(tuple(str(speed) for speed in range(14)), "8"),
    ),
    "vp9": _Encoder(
        *("libvpx-vp9", (".mp4", ".mkv", ".webm"), (24, 63)),
        options=(("row-mt", "1"), ("cpu-used", "2"), ("b", "0")),
    ),
    "ffv1": _Encoder("ffv1", (".mkv", ".mp4")),
}


def check_encoding(encoding: Encoding, container_suffix: str, info: VideoInfo) -> Encoding:
    """The encoding with its defaults filled in.

    Args:
        encoding: what is wanted.
        container_suffix: of the final file, `.mp4`.
        info: of the video it is for.

    Raises:
        ConfigError: there is no such codec, it has no such quality, preset or pixel format, or the
            container does not take it. The message lists what there is.
    """
    filled = _filled(encoding, info, info.size)
    encoder = _ENCODERS[filled.codec]
    if container_suffix.lower() not in encoder.containers:
        taking = sorted(name for name, e in _ENCODERS.items() if container_suffix in e.containers)
        raise ConfigError(
            f"a {container_suffix} file cannot hold {filled.codec}: use"
            f" {', '.join(encoder.containers)}"
            + (f", or the codec {', '.join(taking)}" if taking else "")
        )
    if (
        not encoder.shape
        and container_suffix.lower() != ".mp4"
        and info.sample_aspect not in {None, 1}
    ):
        raise ConfigError(
            f"{info.path} has pixels of {info.sample_aspect}, which a {container_suffix} file of"
            f" {filled.codec} cannot say: use .mp4, or the codec h264 or hevc"
        )
    return filled


def _filled(encoding: Encoding, info: VideoInfo, size: tuple[int, int]) -> Encoding:
    if encoding.codec not in _ENCODERS:
        raise ConfigError(f"no codec {encoding.codec!r}: there are {', '.join(_ENCODERS)}")
    encoder = _ENCODERS[encoding.codec]
    try:
        formats = [form.name for form in av.Codec(encoder.name, "w").video_formats or ()]
        formats = [name for name in formats if _YUV.fullmatch(name)]
    except ValueError as error:
        raise ConfigError(
            f"the installed PyAV has no encoder {encoder.name}, which {encoding.codec} needs"
        ) from error
    crf, preset = encoding.crf, encoding.preset
    if encoder.crf is None:
        if crf is not None:
            raise ConfigError(f"{encoding.codec} has no crf: it keeps every pixel")
    else:
        best, most = encoder.crf
        crf = best if crf is None else crf
        if not 0 <= crf <= most:
            raise ConfigError(f"a crf of {crf} for {encoding.codec}: it is from 0 to {most}")
    if preset is None:
        preset = encoder.preset
    elif preset not in encoder.presets:
        there = ", ".join(encoder.presets) or "it has none"
        raise ConfigError(f"no preset {preset!r} of {encoding.codec}: {there}")
    odd = size[0] % 2 == 1 or size[1] % 2 == 1
    form = encoding.pixel_format
    if form is None:
        layout = "yuv444p" if odd and encoder.even else "yuv420p"
        deep = [f"{layout}12le", f"{layout}10le"] if info.depth > 10 else [f"{layout}10le"]
        choice = [*(deep if info.depth > 8 else ()), layout]
        form = next(form for form in choice if form in formats)
    elif form not in formats:
        raise ConfigError(
            f"{encoding.codec} has no pixel format {form!r}: there are {', '.join(formats)}"
        )
    elif odd and encoder.even and ("420" in form or "422" in form):
        raise ConfigError(
            f"{encoding.codec} in {form} needs an even size, and this is {size[1]} x {size[0]}:"
            " take a pixel format of 4:4:4, or another codec"
        )
    return replace(encoding, crf=crf, preset=preset, pixel_format=form)


def losses(encoding: Encoding, info: VideoInfo) -> tuple[str, ...]:
    """A line on everything in the pictures of a video that is lost when they are encoded.

    Args:
        encoding: with its defaults, as `check_encoding` returns it.
        info: of the video.
    """
    depth = max(part.bits for part in VideoFormat(encoding.pixel_format or "").components)
    lines = {
        f"{info.depth} bits a channel become {depth}": info.depth > depth,
        "its opacity is left out": info.alpha,
        "it is interlaced: the two fields of a frame become one picture": info.interlaced,
        "what it says of the display that it was made for (HDR) is left out": info.mastered,
    }
    return tuple(line for line, lost in lines.items() if lost)


class SegmentWriter:
    """One closed segment: whole groups of pictures from a key frame on, playable alone.

    Args:
        path: the file, of any suffix.
        info: of the video whose frames these are: time base, colour, rotation, pixel aspect.
        size: height and width of the frames given, upright.
        encoding: how; the same for all segments that are to be joined.

    Raises:
        ConfigError: the encoding is none, as `check_encoding` says.
        StorageError: the file cannot be written.
    """

    def __init__(
        self, path: Path, info: VideoInfo, size: tuple[int, int], encoding: Encoding
    ) -> None:
        height, width = (size[1], size[0]) if info.rotation % 180 == 90 else size
        filled = _filled(encoding, info, (height, width))
        encoder = _ENCODERS[filled.codec]
        options = dict(encoder.options)
        if filled.crf is not None:
            options["crf"] = str(filled.crf)
        if filled.preset is not None:
            options["preset"] = filled.preset
        self._path, self._info = path, info
        self._format = filled.pixel_format or ""
        self._origin = _origin(info)
        # Of its own size: a player that finds no tags goes by the size of what it plays.
        self._converter = Converter(info.colour, (height, width))
        with self._writing():
            self._file = path.open("wb")
        self._container = av.open(self._file, "w", format="nut", options=_AS_GIVEN)
        stream = self._container.add_stream(encoder.name, rate=info.rate or _RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, self._format
        context = stream.codec_context
        context.time_base = stream.time_base = info.time_base
        _describe(context, info)
        self._stream = stream

    def write(self, frame: Frame) -> None:
        """Encode a frame.

        Raises:
            StorageError: the disk is full.
            VideoError: the encoder refuses the frame, as of a size that it has not.
        """
        pixels = as_coded(frame.pixels, self._info.display_matrix)
        coded = self._converter.from_rgb(pixels, self._format)
        coded.pts, coded.time_base = frame.pts - self._origin, self._info.time_base
        self._mux(coded)

    def close(self) -> None:
        """Write what the encoder still holds, and see the file onto the disk.

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
            packets = self._stream.encode(coded)
        except av.FFmpegError as error:
            context = self._stream.codec_context
            raise VideoError(
                f"{context.name} cannot encode frames of {context.width} x {context.height} pixels:"
                f" {error.strerror}"
            ) from error
        with self._writing():
            self._container.mux(packets)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror or error}") from error


def joined_stream(container: OutputContainer, segment: Path, info: VideoInfo) -> VideoStream:
    """A stream for `joined_packets` in a file that is not begun, with all that `info` says of it.

    A segment itself does not hold the display matrix, and with some codecs neither the colours nor
    the shape of a pixel.

    Args:
        container: the file.
        segment: any of them: they are encoded alike.
        info: of the video.

    Raises:
        VideoError: the segment cannot be read.
    """
    with open_video(segment) as source:
        stream = container.add_stream_from_template(source.streams.video[0], opaque=True)
    context = stream.codec_context
    context.framerate = info.rate or _RATE
    if info.display_matrix is not None:
        stream.set_display_matrix(info.display_matrix)
    _describe(context, info)
    stream.time_base = info.time_base
    if stream.codec.canonical_name == "hevc" and container.format.name in {"mp4", "mov"}:
        context.codec_tag = "hvc1"  # the one that Apple plays
    return stream


def _describe(context: VideoCodecContext, info: VideoInfo) -> None:
    colour = info.colour.of_yuv((context.height, context.width))
    context.color_range, context.colorspace = colour.range, colour.matrix
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    if info.sample_aspect:
        context.sample_aspect_ratio = info.sample_aspect


def joined_packets(
    segments: Sequence[Path], info: VideoInfo, last: int = 0
) -> "Iterator[Packet[VideoStream]]":
    """The packets of segments one after the other, for one stream.

    Their `pts` are those of the frames written, in `info.time_base`, and each lasts until the next.
    Their `dts` are made anew, as each segment's own begin before its first frame and so within the
    segment before it: that of the n-th packet is the n-th of all times in order, as many frames ago
    as the codec reorders.

    Args:
        segments: in order, at least one.
        info: of the video that they were written for.
        last: how long the last frame is shown, in `time_base`; 0 is as long as on average.

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
        for packet in container.demux(container.streams.video[0]):
            if packet.size == 0:
                continue
            if packet.pts is None:
                raise VideoError(f"{segment}: a packet without a time")
            # NUT divides the unit where it is too coarse for it.
            packet.pts = int(packet.pts * packet.time_base / info.time_base) + _origin(info)
            packet.time_base = info.time_base
            yield packet


def _origin(info: VideoInfo) -> int:
    """What is taken off all times in a segment, as NUT holds none below zero."""
    return min(info.start, 0)
