"""The options for translating files, with their defaults and meanings."""

from dataclasses import dataclass, fields
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any, Literal

from img2img.errors import ConfigError
from img2img.translate.stabilizer import Strength
from img2img.video import Encoding, Span

Stabilize = Literal["off"] | Strength

# Default frame rate of sequences, and default quality of JPEG and WebP.
RATE, QUALITY = Fraction(25), 95
# Options that require pictures to be treated as the frames of a sequence.
_OVER_TIME = ("stabilize", "every", "start", "end", "fps")


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """How to translate and write a video, or a sequence of pictures.

    Raises:
        ConfigError: `end` is not after `start`, or a number is out of range.
    """

    codec: str | None = None
    """Video codec, see `img2img.video.Encoding`; None: h264, in WebM vp9, in MXF dnxhr."""
    crf: int | None = None
    """Constant rate factor: lower is better quality; None: the codec's default, 18 for h264."""
    preset: str | None = None
    """Encoder preset: speed against file size; None: the codec's default."""
    pixel_format: str | None = None
    """Pixel format, by FFmpeg's name; None: the one that preserves most of the input."""
    start: float | None = None
    """Start time, in seconds after the first frame."""
    end: float | None = None
    """End time, in seconds after the first frame."""
    every: int = 1
    """Take every n-th frame."""
    fps: Fraction | None = None
    """Frame rate of a sequence of pictures; None: 25."""
    stabilize: Stabilize = "off"
    """How strongly to reduce flicker."""
    mask: Path | str | None = None
    """Where results replace their inputs, which stay as they are elsewhere: an image, 0 outside; a
    folder with a mask for each file, of its path and name; or `alpha`, each image's own."""
    feather: float = 0
    """Pixels over which results fade in, inwards from the border of the mask."""
    image_format: str | None = None
    """Format of the images written, such as `png`; None: that of each file, for frames png."""
    quality: int | None = None
    """Quality of JPEG and lossy WebP, 1 to 100; None: 95."""

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"`quality`: {self.quality} is not between 1 and 100")
        if not 0 <= self.feather < inf:
            raise ConfigError(f"`feather`: {self.feather} is not a number of pixels from 0 on")
        if self.feather and self.mask is None:
            raise ConfigError("`feather` would have no effect: there is no `mask`")
        _ = self.span

    @property
    def span(self) -> Span:
        """Which frames to take."""
        return Span(self.start, self.end, self.every)

    @property
    def encoding(self) -> Encoding:
        """How to encode frames as a video."""
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
        """The first option set that requires frames in order; None if none is set."""
        return next((name for name in _OVER_TIME if name in self.given), None)


@dataclass(frozen=True, kw_only=True)
class FolderOptions(VideoOptions):
    """How to translate files. `translate_folder` also takes each field as a keyword."""

    container: str | None = None
    """Container of the videos written, such as `mkv`; None: that of each file, or mp4."""
    frames: bool = False
    """Write numbered images instead of videos, in a folder for each video."""
    skip_existing: bool = False
    """Skip files that this model has already translated with these settings, unless the file or its
    result has changed since, by size or time."""
    overwrite: bool = False
    """Overwrite files that img2img did not write, and, if the output folder is the input folder,
    the inputs. A result that has replaced its input is not translated again."""
    compare: bool = False
    """Also write each input image and its result side by side, in the folder `compare`."""
    gallery: bool = False
    """Also make a page with before/after sliders, `gallery/index.html`."""

    @property
    def video_settings(self) -> dict[str, Any]:
        """Everything besides the model that affects the result of a video."""
        names = ("codec", "crf", "preset", "pixel_format", "container", "start", "end", "every")
        chosen = {name: getattr(self, name) for name in names}
        chosen |= {"fps": None if self.fps is None else str(self.fps)}
        chosen |= {"stabilize": self.stabilize, "frames": self.frames}
        if self.frames:
            chosen |= {"image_format": self.image_format or "png", "quality": self.quality_used}
        return chosen

    @property
    def image_settings(self) -> list[Any]:
        """Everything besides the model that affects the result of an image."""
        over_time = [self.stabilize, *map(str, (self.start, self.end, self.every))]
        return [self.quality_used, *(over_time if self.over_time else ())]
