"""How videos, and pictures that are frames in their order, are translated."""

from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from img2img.errors import ImageError
from img2img.images import Animation
from img2img.translate.sequences import RATE
from img2img.translate.stabilizer import Strength
from img2img.video import Encoding
from img2img.video.span import Span

Stabilize = Literal["off"] | Strength


@dataclass(frozen=True)
class VideoOptions:
    """How videos are translated.

    Attributes:
        codec: as `img2img.video.Encoding` has it; None: h264, vp9 in WebM, dnxhr in MXF.
        crf: quality, lower is better; None: the codec's good default, 18 for h264.
        preset: speed of the encoder against size; None: the codec's own.
        pixel_format: as FFmpeg calls it; None: what keeps most of the input.
        container: suffix of the results, such as `mkv`; None: each file's own, or mp4.
        start, end: the part to translate, in seconds after the first frame.
        every: take every n-th frame.
        fps: frames a second of a sequence of pictures; None: 25.
        stabilize: against flicker: how much.
        frames: write numbered images, in a folder a video, instead of videos.
        image_format: of those, as a suffix.

    Raises:
        ConfigError: the part ends before it begins.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pixel_format: str | None = None
    container: str | None = None
    start: float | None = None
    end: float | None = None
    every: int = 1
    fps: Fraction | None = None
    stabilize: Stabilize = "off"
    frames: bool = False
    image_format: str = "png"

    def __post_init__(self) -> None:
        Span(self.start, self.end, self.every)

    @property
    def span(self) -> Span:
        """Which frames are taken."""
        return Span(self.start, self.end, self.every)

    @property
    def given(self) -> dict[str, bool]:
        """Whether each option, by its name on the command line, says something."""
        return {
            "stabilize": self.stabilize != "off",
            "every": self.every != 1,
            "start": self.start is not None,
            "end": self.end is not None,
            "fps": self.fps is not None,
            "frames": self.frames,
            "codec": self.codec is not None,
            "crf": self.crf is not None,
            "preset": self.preset is not None,
            "pixel-format": self.pixel_format is not None,
            "container": self.container is not None,
        }

    @property
    def over_time(self) -> str | None:
        """The first option that only frames in their order have; None: there is none."""
        of_frames = ("stabilize", "every", "start", "end", "fps")
        return next((f"--{option}" for option in of_frames if self.given[option]), None)

    def part(self, pictures: list[Path]) -> list[Path]:
        """Those of the frames of a sequence that are taken."""
        shown = self.span.taken([1] * len(pictures), 1 / (self.fps or RATE))
        return [pictures[number] for number in shown]

    def part_of(self, animation: Animation) -> Animation:
        """An animation of the frames that are taken, each shown until the next.

        Raises:
            ImageError: there are none.
        """
        if self.span == Span():
            return animation
        shown = self.span.taken(animation.durations, Fraction(1, 1000))
        if not shown:
            raise ImageError("no frames between the given times")
        ends = [*shown[1:], min(shown[-1] + self.every, len(animation.frames))]
        lasting = [sum(animation.durations[one:end]) for one, end in zip(shown, ends, strict=True)]
        frames = tuple(animation.frames[number] for number in shown)
        return replace(animation, frames=frames, durations=tuple(lasting))

    def settings(self, quality: int) -> dict[str, Any]:
        """What decides what a result is, apart from the model.

        Args:
            quality: of images.
        """
        chosen = asdict(self)
        chosen["fps"] = None if self.fps is None else str(self.fps)
        if self.frames:
            return {**chosen, "quality": quality}
        del chosen["image_format"]
        return chosen

    @property
    def encoding(self) -> Encoding:
        """How frames become a video."""
        return Encoding(self.codec, self.crf, self.preset, self.pixel_format)
