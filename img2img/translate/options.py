"""Every option of translating files, its default and its meaning, written down once."""

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Literal

from img2img.errors import ConfigError
from img2img.translate.stabilizer import Strength
from img2img.video import Encoding, Span

Stabilize = Literal["off"] | Strength

# Pictures a second of a sequence, and quality of JPEG and WebP, by default.
RATE, QUALITY = Fraction(25), 95
# Fields that ask for pictures to be taken for the frames of a sequence.
_OVER_TIME = ("stabilize", "every", "start", "end", "fps")


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """How a video, or pictures that are frames in their order, are translated and written.

    Raises:
        ConfigError: the part ends before it begins, or a number is out of range.
    """

    codec: str | None = None
    """As `img2img.video.Encoding` has it; None: h264, in WebM vp9, in MXF dnxhr."""
    crf: int | None = None
    """Quality, lower is better; None: the codec's good default, 18 for h264."""
    preset: str | None = None
    """The encoder's speed against size; None: the codec's own default."""
    pixel_format: str | None = None
    """FFmpeg's name of it; None: the one that keeps most of the input."""
    start: float | None = None
    """Where the part to translate begins, in seconds after the first frame."""
    end: float | None = None
    """Where it ends, in seconds after the first frame."""
    every: int = 1
    """Take every n-th frame."""
    fps: Fraction | None = None
    """Frames a second of a sequence of pictures; None: 25."""
    stabilize: Stabilize = "off"
    """How strongly to reduce flicker."""
    image_format: str | None = None
    """Suffix of images, such as `png`; None: each file's own, and png for the frames of videos."""
    quality: int | None = None
    """Of JPEG and lossy WebP, 1 to 100; None: 95."""

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"`quality`: {self.quality} is not from 1 to 100")
        _ = self.span

    @property
    def span(self) -> Span:
        """Which frames are taken."""
        return Span(self.start, self.end, self.every)

    @property
    def encoding(self) -> Encoding:
        """How frames become a video."""
        return Encoding(self.codec, self.crf, self.preset, self.pixel_format)

    @property
    def quality_used(self) -> int:
        """`quality`, or its default."""
        return QUALITY if self.quality is None else self.quality

    @property
    def given(self) -> list[str]:
        """Names of the options that differ from their defaults."""
        return [each.name for each in fields(self) if getattr(self, each.name) != each.default]

    @property
    def over_time(self) -> str | None:
        """The first option that only frames in their order have; None: there is none."""
        return next((name for name in _OVER_TIME if name in self.given), None)


@dataclass(frozen=True, kw_only=True)
class FolderOptions(VideoOptions):
    """How files are translated. `translate_folder` also takes each as a keyword."""

    container: str | None = None
    """Suffix of the videos made, such as `mkv`; None: each file's own, or mp4."""
    frames: bool = False
    """Write numbered images, in a folder for each video, instead of videos."""
    skip_existing: bool = False
    """Leave what this model made with these settings, where neither input nor result has changed
    since (by size and time)."""
    overwrite: bool = False
    """Let results replace their inputs, where the output is the folder of the input, and files that
    are no results of an earlier call. A result that has replaced its input is not translated
    again."""
    compare: bool = False
    """Also write input and result of images side by side, in the folder `compare`."""
    gallery: bool = False
    """Make a page of the images to look at, `gallery/index.html`."""

    @property
    def video_settings(self) -> dict[str, Any]:
        """What decides what the result of a video is, apart from the model."""
        names = ("codec", "crf", "preset", "pixel_format", "container", "start", "end", "every")
        chosen = {name: getattr(self, name) for name in names}
        chosen |= {"fps": None if self.fps is None else str(self.fps)}
        chosen |= {"stabilize": self.stabilize, "frames": self.frames}
        if self.frames:
            chosen |= {"image_format": self.image_format or "png", "quality": self.quality_used}
        return chosen

    @property
    def image_settings(self) -> list[Any]:
        """What decides what the result of an image is, apart from the model."""
        over_time = [self.stabilize, *map(str, (self.start, self.end, self.every))]
        return [self.quality_used, *(over_time if self.over_time else ())]
