"""Short clips, made with PyAV, and what is in a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet

SIZE = (48, 64)
ASS = b"""[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Arial,16,&Hffffff,2
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
CHAPTERS: Any = [
    {
        "id": number,
        "start": 500 * number,
        "end": 500 * (number + 1),
        "time_base": Fraction(1, 1000),
        "metadata": {"title": title},
    }
    for number, title in enumerate(["one", "two", "three"])
]


@dataclass(frozen=True)
class Sound:
    codec: str = "aac"
    language: str = "eng"
    title: str = "Original"
    begin: float = 0.0
    form: str | None = None


def picture(number: int, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    """A smooth picture that moves and of which no two are alike."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    planes = [x * 3 + number * 5, y * 4 + number * 3, (x + y) * 2 + number * 7]
    return np.stack([(127 + 120 * np.sin(plane / 40)) for plane in planes], -1).astype(np.uint8)


def make_clip(
    path: Path,
    *,
    times: Sequence[int] = range(25),
    time_base: Fraction = Fraction(1, 25),
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    form: str = "yuv420p",
    sounds: Sequence[Sound] = (),
    subtitles: Sequence[tuple[str, str]] = (),
    chapters: Any = (),
    metadata: dict[str, str] | None = None,
    attachment: bytes | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
) -> Path:
    """A clip with a frame at each of the times, and with as much sound.

    Args:
        subtitles: codec and language of each track.
    """
    last = times[-1] * time_base
    with av.open(str(path), "w") as clip:
        clip.metadata.update(metadata or {})
        if chapters:
            clip.set_chapters(chapters)
        video = clip.add_stream(codec, rate=25)
        assert isinstance(video, av.VideoStream)
        video.height, video.width = size
        video.pix_fmt = form
        video.time_base = video.codec_context.time_base = time_base
        if codec == "libx264":
            video.options = {"preset": "veryfast", "bf": "2"}
        if rotation:
            video.set_display_rotation(rotation)
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        heard = []
        for sound in sounds:
            audio = clip.add_stream(sound.codec, rate=48000)
            assert isinstance(audio, av.AudioStream)
            audio.metadata.update(language=sound.language, title=sound.title)
            if sound.form:
                audio.format = sound.form
            heard.append(audio)
        read = []
        for name, language in subtitles:
            text = clip.add_stream(name)
            text.time_base = text.codec_context.time_base = Fraction(1, 1000)
            assert isinstance(text, SubtitleStream)
            text.codec_context.subtitle_header = ASS
            text.metadata["language"] = language
            read.append(text)
        if attachment is not None:
            clip.add_attachment("font.ttf", "font/ttf", attachment)
        for number, moment in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = moment, time_base
            clip.mux(video.encode(frame))
        clip.mux(video.encode(None))
        for sound, audio in zip(sounds, heard, strict=True):
            _sound(clip, audio, sound.begin, float(last) + 0.04)
        for track, text in enumerate(read):
            for start in range(0, max(1, int(1000 * last)), 400):
                line = b"0,0,Default,,0,0,0,,line %d of %d" % (start, track)
                made = SubtitleSet.create(line, 0, 300)
                packet = text.codec_context.encode_subtitle(made)
                packet.pts = packet.dts = start + 20
                packet.duration, packet.time_base = 300, Fraction(1, 1000)
                packet.stream = text
                clip.mux(packet)
    return path


def _sound(clip: Any, audio: av.AudioStream, begin: float, end: float) -> None:
    random = np.random.default_rng(0)
    form = av.AudioResampler(format=audio.format.name, layout="stereo", rate=48000)
    position = round(begin * 48000)
    while position < end * 48000:
        samples = (random.standard_normal((1, 2048)) * 0.1).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="stereo")
        frame.rate, frame.pts, frame.time_base = 48000, position, Fraction(1, 48000)
        for fitting in form.resample(frame):
            clip.mux(audio.encode(fitting))
        position += 1024
    clip.mux(audio.encode(None))


def frame_times(path: Path) -> list[float]:
    """When each frame is shown, in seconds."""
    with av.open(str(path)) as clip:
        return [frame.time for frame in clip.decode(video=0) if frame.time is not None]


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    with av.open(str(path)) as clip:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)])


def packets(path: Path, kind: str, track: int = 0) -> list[tuple[float, bytes]]:
    """Time and content of the packets of a track."""
    with av.open(str(path)) as clip:
        stream = getattr(clip.streams, kind)[track]
        return [
            (float(packet.pts * packet.time_base), bytes(packet))
            for packet in clip.demux(stream)
            if packet.size and packet.pts is not None
        ]


def same_packets(
    one: list[tuple[float, bytes]], other: list[tuple[float, bytes]], later: float = 0.0
) -> None:
    """The same packets, at the same times to the millisecond; those of `one` so much later."""
    assert [data for _, data in one] == [data for _, data in other]
    far = [
        abs(one_time - time - later) for (one_time, _), (time, _) in zip(one, other, strict=True)
    ]
    assert max(far) <= 0.001 + 1e-9
