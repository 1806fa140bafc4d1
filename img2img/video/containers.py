"""The containers that can be written, and which tracks of a source each of them can hold."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream

from img2img.errors import ConfigError
from img2img.video.codecs import Encoding, says_shape
from img2img.video.journal import work_folder
from img2img.video.probing import VideoInfo, open_video

# The suffixes that can be written, and the format of text subtitles in each.
CONTAINERS = {
    ".mp4": "mov_text",
    ".m4v": "mov_text",
    ".mov": "mov_text",
    ".mkv": "srt",
    ".webm": "webvtt",
    ".mxf": "",
}
# FFmpeg's names of the containers. By its suffix alone, an M4V would be written for iPods.
FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".mxf": "mxf",
}
# The codec for sound that cannot be copied, by suffix: lossless, except in WebM, which has none.
_SOUND = {
    ".mp4": "flac",
    ".m4v": "flac",
    ".mov": "alac",
    ".mkv": "flac",
    ".webm": "libopus",
    ".mxf": "pcm_s24le",
}
DEFAULT = Encoding()
_OPUS_RATE = 48000  # the highest of the few that Opus supports
_BIT_RATE = 192_000  # for lossy codecs
# The usual layout for a number of channels, if a file does not declare one.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}
# The container that can hold nearly everything.
MATROSKA = ".mkv"
# Containers that store a cover among their tags.
_WITH_COVER = {".mp4", ".m4v", ".mov"}


@dataclass(frozen=True)
class Muxing:
    """Which file to write, and what to do with the source's other tracks.

    Attributes:
        target: the file to write: the requested one, or one of the same name in Matroska.
        source: the file with the other tracks; None if there is none.
        copied: indices of the source's streams whose packets are copied.
        converted: indices of its text subtitles that are converted to the container's format.
        recoded: indices of its audio streams that are encoded again.
        notes: a line on everything that will differ from the source.
    """

    target: Path
    source: Path | None = None
    copied: frozenset[int] = frozenset()
    converted: frozenset[int] = frozenset()
    recoded: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def check_container(
    info: VideoInfo,
    target: Path,
    elsewhere: Callable[[Path], Path] | None = None,
    encoding: Encoding = DEFAULT,
) -> Muxing:
    """Decide, before any work, which tracks the file `target` will contain and how.

    Sound and subtitles are never dropped because of the container: text subtitles are converted to
    its format, and if it cannot hold another track, the file becomes Matroska. Sound that Matroska
    cannot hold either is encoded again. Tracks that FFmpeg does not know are left out.

    Args:
        info: the source.
        target: the requested file.
        elsewhere: if the file becomes Matroska, called with its name with that suffix; returns the
            file to write. None: that name, unless a finished file already has it.
        encoding: the encoding of the frames. If it does not name a codec, and the container's
            default cannot record non-square pixels, the file becomes Matroska, too.

    Raises:
        ConfigError: the suffix cannot be written, the file would replace the source, or the
            Matroska file exists already.
        VideoError: the source cannot be read.
    """
    if target.suffix.lower() not in CONTAINERS:
        raise ConfigError.of(
            target,
            f"videos cannot be written with this suffix; choose one of {', '.join(CONTAINERS)}",
        )
    if info.of_pictures:
        return Muxing(target)
    wished = target
    notes: tuple[str, ...] = ()
    suffix = target.suffix.lower()
    if encoding.codec is None and not says_shape(encoding, suffix, info):
        wished = (elsewhere or Path)(target.with_suffix(MATROSKA))
        notes = (
            f"a {suffix} file cannot record non-square pixels ({info.sample_aspect}), so the file"
            f" becomes {wished.name}",
        )
    with open_video(info.path) as source:
        muxing = _muxing(source, info, wished, elsewhere or Path, notes)
    if muxing.target.exists() and muxing.target.samefile(info.path):
        raise ConfigError(
            f"{'; '.join((*muxing.notes, f'{muxing.target} is the input'))}; choose another"
            " `output`"
        )
    other = muxing.target != target and elsewhere is None
    if other and muxing.target.exists() and not work_folder(muxing.target).exists():
        raise ConfigError(
            f"{'; '.join(muxing.notes)}, but {muxing.target} already exists; choose it or another"
            " file as `output`"
        )
    return muxing


def _muxing(
    source: InputContainer,
    info: VideoInfo,
    target: Path,
    elsewhere: Callable[[Path], Path],
    notes: tuple[str, ...],
) -> Muxing:
    suffix = target.suffix.lower()
    copied, converted, recoded = set(), set(), set()
    for stream in source.streams:
        what = f"{stream.type} track {stream.index} ({codec_name(stream) or 'of an unknown kind'})"
        cover = is_cover(stream)
        if stream.index == info.stream or _is_written_anew(stream, source):
            continue
        if cover and suffix == MATROSKA:
            copied.add(stream.index)
        elif stream.type == "video" and not (cover and suffix in _WITH_COVER):
            why = f"{suffix} cannot hold it" if cover else "only one video track is converted"
            notes += (f"{what} is left out, because {why}",)
        elif _takes(suffix, info, stream):
            copied.add(stream.index)
        elif _is_text(stream) and CONTAINERS[suffix]:
            converted.add(stream.index)
            notes += (f"{what} is converted to {CONTAINERS[suffix]}, as {suffix} requires",)
        elif stream.type in ("audio", "subtitle") and _takes(MATROSKA, info, stream):
            other = elsewhere(target.with_suffix(MATROSKA))
            line = f"{suffix} cannot hold {what}, so the file becomes {other.name}"
            return _muxing(source, info, other, elsewhere, (line,))
        elif isinstance(stream, AudioStream) and _encodes(suffix, stream):
            recoded.add(stream.index)
            codec = _SOUND[suffix].removeprefix("lib")
            notes += (f"{what} is encoded as {codec}, because {suffix} cannot hold it",)
        else:
            notes += (f"{what} is left out, because {suffix} cannot hold it",)
    return Muxing(
        target,
        source=info.path,
        copied=frozenset(copied),
        converted=frozenset(converted),
        recoded=frozenset(recoded),
        notes=notes,
    )


def _takes(suffix: str, info: VideoInfo, stream: Stream) -> bool:
    """Whether a container can hold a stream, found out by writing it with the muxer."""
    try:
        form = FORMATS[suffix]
        with open_video(info.path) as source, av.open(io.BytesIO(), "w", form) as container:
            added = container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
            if stream.type == "audio":  # others may have their first packet hours later
                packet = next(source.demux(source.streams[stream.index]))
                packet.stream = added
                if packet.size:
                    container.mux_one(packet)
        return True
    except (ValueError, av.FFmpegError):
        return False


def _encodes(suffix: str, stream: AudioStream) -> bool:
    """Whether an audio stream can be encoded again for a container."""
    try:
        with av.open(io.BytesIO(), "w", FORMATS[suffix]) as container:
            add_sound(container, stream, suffix).codec_context.open()
        return True
    except (AttributeError, ValueError, av.FFmpegError):
        return False


def add_sound(output: OutputContainer, stream: AudioStream, suffix: str) -> AudioStream:
    """Add an audio stream with a codec that the container can hold."""
    name = _SOUND[suffix]
    rate = _OPUS_RATE if name == "libopus" else stream.rate
    added = cast(AudioStream, output.add_stream(name, rate=rate))
    added.bit_rate = _BIT_RATE
    # The declared layout may be just a number of channels.
    plain = stream.layout.name.endswith("channels") and stream.channels in _LAYOUTS
    added.layout = _LAYOUTS[stream.channels] if plain else stream.layout.name
    bytes_wanted = min(stream.format.bytes, 4)
    formats = added.codec.audio_formats or ()
    added.format = next(form.name for form in formats if form.bytes >= bytes_wanted)
    return added


def codec_name(stream: Stream) -> str | None:
    """FFmpeg's name of a track's codec; None if FFmpeg does not know it."""
    name: str | None = getattr(stream, "name", None)
    return name


def is_cover(stream: Stream) -> bool:
    """Whether a video track is the file's cover image."""
    return bool(stream.disposition & Disposition.attached_pic)


def _is_text(stream: Stream) -> bool:
    return stream.type == "subtitle" and bool(
        stream.codec_context and stream.codec_context.codec.text_sub
    )


def _is_written_anew(stream: Stream, container: InputContainer) -> bool:
    """Whether a track holds chapters or a time code, as in MP4; these are handled separately."""
    return stream.type == "data" and (
        "timecode" in stream.metadata
        or (codec_name(stream) == "bin_data" and bool(container.chapters()))
    )
