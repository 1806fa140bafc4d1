"""Reading what a video file contains, without reading all its frames."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av import VideoFormat, VideoFrame
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from img2img.errors import VideoError
from img2img.images import MAX_PIXELS
from img2img.video.colour import Colour, Converter
from img2img.video.continuity import Timeline, is_cut_off

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts"}
    | {".wmv", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogm", ".mxf", ".vob", ".asf", ".nut"}
    | {".m2v", ".mpv", ".m2t", ".tod", ".mod", ".divx", ".qt", ".dv", ".y4m", ".ivf", ".lrv"}
    | {".h264", ".h265", ".hevc", ".264", ".265", ".insv", ".mjpg", ".mjpeg", ".rm", ".rmvb"}
)
# Kinds of videos that cannot be read. They are counted, so that a report can mention them.
UNREADABLE_VIDEOS = frozenset(
    {".r3d", ".braw", ".ari", ".arx", ".crm", ".swf", ".wtv", ".dvr-ms", ".bik", ".bk2", ".smk"}
    | {".amv", ".nsv", ".m3u8", ".mpd", ".rsv", ".evo", ".xesc"}
)

# The kinds of files that are read, by FFmpeg's names. Others are not opened, whatever their name:
# a playlist, for example, refers to other files, which may be anywhere.
_KINDS = (
    "mov,matroska,avi,mpeg,mpegvideo,mpegts,asf,flv,ogg,mxf,nut,h264,hevc,gif,dv,yuv4mpegpipe,ivf,"
    "rm,mjpeg,m4v,vc1"
)
# Side data of HDR video: the mastering display, and the brightness.
_MASTERING = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
# Decoders that support alpha.
_WITH_OPACITY = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# A file without a frame in this many packets is refused.
_PACKETS_TRIED = 1000


@dataclass(frozen=True)
class VideoInfo:
    """What a file declares about its video, and what its first frame shows.

    Attributes:
        path: the file.
        stream: index of the video among the streams of the file.
        size: height and width as coded, before rotation.
        rotation: degrees by which a player turns the frames anticlockwise; 0 if none.
        display_matrix: the nine numbers for rotation and mirroring; None if there are none.
        sample_aspect: width of a pixel over its height; None if not declared.
        time_base: the unit of all times, in seconds.
        rate: average frames per second; None if unknown.
        start: time of the first frame, in `time_base`.
        duration: duration in seconds, if declared.
        frames: number of frames, as declared or estimated from duration and rate.
        depth: bits per channel, 8 to 16.
        pixel_format: FFmpeg's name of the pixel format.
        codec: FFmpeg's name of the codec; empty for pictures.
        colour: the colour tags.
        alpha: whether frames have an alpha channel.
        interlaced: whether a frame consists of two fields.
        timeline: how to interpret the timestamps.
        cut_off: whether the file is shorter than it declares.
        mastered: whether it has HDR metadata on the mastering display or the brightness.
        sound: whether the file has sound.
    """

    path: Path
    size: tuple[int, int]
    rotation: int
    sample_aspect: Fraction | None
    time_base: Fraction
    rate: Fraction | None
    start: int
    duration: float | None
    frames: int | None
    depth: int
    pixel_format: str
    codec: str
    colour: Colour
    alpha: bool
    stream: int = 0
    display_matrix: tuple[int, ...] | None = None
    interlaced: bool = False
    mastered: bool = False
    sound: bool = False
    timeline: Timeline = field(default_factory=Timeline)
    cut_off: bool = False

    @property
    def remarks(self) -> tuple[str, ...]:
        """A line on each way in which the file differs from what it declares."""
        parts = len(self.timeline.offsets)
        lines = {
            "the file is truncated, and so is the result": self.cut_off,
            f"its timestamps start again, as in {parts} joined recordings;"
            " the result shows the parts one after another": parts > 0,
        }
        return tuple(line for line, true in lines.items() if true)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width as shown."""
        height, width = self.size
        return (width, height) if self.rotation % 180 == 90 else (height, width)

    @property
    def chroma(self) -> str:
        """Chroma sampling: `420`, `422` or `444`, rounded to the finer one."""
        return chroma_of(self.pixel_format)

    @property
    def of_pictures(self) -> bool:
        """Whether it describes pictures instead of a video."""
        return not self.codec

    @property
    def step(self) -> int:
        """The time from one frame to the next at the average rate, in `time_base`."""
        return max(1, round(1 / (self.rate * self.time_base))) if self.rate else 1


def chroma_of(pixel_format: str) -> str:
    """Chroma sampling of a pixel format, see `VideoInfo.chroma`."""
    form = VideoFormat(pixel_format, 16, 16)
    if form.is_rgb:
        return "444"
    if len(form.components) < 3:
        return "420"  # grey has nothing to lose
    if form.chroma_width(16) == 16:
        return "444"
    return "422" if form.chroma_height(16) == 16 else "420"


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The decoder of a stream; for VP8 and VP9 with alpha not FFmpeg's own, which ignores it."""
    name = _WITH_OPACITY.get(stream.codec_context.codec.canonical_name)
    if name and says_alpha(stream):
        return cast(VideoCodecContext, av.CodecContext.create(name, "r"))
    return stream.codec_context


def says_alpha(stream: VideoStream) -> bool:
    """Whether a VP8 or VP9 stream declares alpha, which is in side data of its packets."""
    return any(k.lower() == "alpha_mode" and v == "1" for k, v in stream.metadata.items())


def is_video(path: Path) -> bool:
    """Whether a path has the suffix of a video file."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def probe(path: Path) -> VideoInfo:
    """Read what a video file contains, and check that its first frame can be converted to RGB.

    If a file has several videos, the first that is not a cover is used.

    Raises:
        VideoError: the file cannot be read, contains no video or no frame that can be decoded (it
            is damaged or encrypted), or its frames are larger than `MAX_PIXELS` or have colours
            that cannot be converted.
    """
    with open_video(path) as container:
        stream = _find_video(container, path)
        context = stream.codec_context
        if context.width * context.height > MAX_PIXELS:
            raise VideoError.of(
                path,
                f"frames of {context.width} x {context.height} pixels are more than the"
                f" {MAX_PIXELS} that are read",
            )
        frame = _first_frame(container, stream, path)
        form = frame.format
        depth = min(max(8, *(part.bits for part in form.components)), 16)
        colour = Colour(
            2 if form.name.startswith("yuvj") else frame.color_range,
            frame.color_primaries,
            frame.color_trc,
            frame.colorspace,
        )
        try:
            Converter(colour, (frame.height, frame.width)).to_rgb(frame, depth)
        except VideoError as error:
            raise VideoError.of(path, error.reason) from error
        base = stream.time_base or Fraction(1, av.time_base)
        rate = stream.average_rate or stream.guessed_rate or None
        step = 1 / rate if rate else base
        # With a new reader, because this one is no longer at the beginning.
        with open_video(path) as again:
            timeline = Timeline.of(again, video_stream(again, stream.index), step)
        duration = float(timeline.seconds) or _duration(container, stream, base)
        count = timeline.frames or stream.frames or None
        if count is None and duration and rate:
            count = max(1, round(duration * rate))
        return VideoInfo(
            path=path,
            stream=stream.index,
            size=(frame.height, frame.width),
            rotation=int(frame.rotation),
            display_matrix=_display_matrix(frame),
            sample_aspect=stream.sample_aspect_ratio or context.sample_aspect_ratio or None,
            time_base=base,
            rate=rate,
            start=frame.pts or 0,
            duration=duration,
            frames=count,
            depth=depth,
            pixel_format=form.name,
            codec=context.codec.canonical_name,
            colour=colour,
            alpha=any(part.is_alpha for part in form.components) or says_alpha(stream),
            interlaced=bool(frame.interlaced_frame),
            timeline=timeline,
            cut_off=is_cut_off(path),
            mastered=any(name in frame.side_data for name in _MASTERING),
            sound=bool(container.streams.audio),
        )


@contextmanager
def open_video(path: Path) -> Iterator[InputContainer]:
    """Open a container.

    Raises:
        VideoError: the file does not exist, or is not a supported kind of video.
    """
    try:
        # With "file:", because a name may look like a URL.
        container = av.open(
            f"file:{path}",
            metadata_errors="replace",
            container_options={"format_whitelist": _KINDS},
        )
    except av.ArgumentError as error:
        raise VideoError.of(path, "not a supported kind of video") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoError.of(path, f"cannot be read as a video: {reason}") from error
    with container:
        yield container


def video_stream(container: InputContainer, number: int) -> VideoStream:
    """The stream of a container that `VideoInfo.stream` names."""
    return next(stream for stream in container.streams.video if stream.index == number)


def _find_video(container: InputContainer, path: Path) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None or stream.codec_context.width == 0:
                raise VideoError.of(path, "its video codec is not supported")
            return stream
    raise VideoError.of(path, "contains no video")


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    decoder = decoder_of(stream)
    for number, packet in enumerate(container.demux(stream)):
        try:
            decoded = decoder.decode(packet)
        except av.FFmpegError:
            continue
        if decoded:
            return decoded[0]
        if number == _PACKETS_TRIED:
            break
    raise VideoError.of(path, "no frame can be decoded: it is empty, damaged or encrypted")


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else tuple(np.frombuffer(data, np.int32).tolist())


def _duration(container: InputContainer, stream: VideoStream, base: Fraction) -> float | None:
    if stream.duration:
        return float(stream.duration * base)
    return container.duration / av.time_base if container.duration else None
