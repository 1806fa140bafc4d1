"""Choosing codec, quality, preset and pixel format, and reporting what they lose."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFormat

from img2img.errors import ConfigError
from img2img.video.colour import Colour
from img2img.video.encoders import ALIASES, ENCODERS, MP4_LIKE, Encoder
from img2img.video.probing import VideoInfo, chroma_of

# Codecs for editing or archiving. Replacing one with a codec for playback is a loss.
_EDITED = {
    *("prores", "dnxhd", "ffv1", "qtrle", "png", "utvideo", "huffyuv", "ffvhuff", "rawvideo"),
    *("v210", "v410", "cfhd", "jpeg2000", "magicyuv", "r210", "mjpeg"),
}
# Codecs for playback.
_OF_PLAYERS = {"h264", "hevc", "av1", "vp9"}
# The pixel formats that phones, browsers and QuickTime play, for the codecs that all of them play.
_PLAYED = {"h264": {"yuv420p"}, "hevc": {"yuv420p", "yuv420p10le"}}


@dataclass(frozen=True)
class Encoding:
    """How to encode frames.

    Attributes:
        codec: a name in `ENCODERS`, or FFmpeg's name of the encoder. None: `vp9` in WebM, `dnxhr`
            in MXF, otherwise `h264`. If no option is set and the frames have alpha, None means
            `prores` in MOV and `ffv1` in Matroska.
        crf: constant rate factor, lower is better quality; None: the codec's default, 18 for
            `h264`.
        preset: speed against file size; for `prores` and `dnxhr` the profile. None: the codec's
            default.
        pixel_format: FFmpeg's name of the pixel format. None: the one that preserves most of the
            video, first alpha, then bit depth, then chroma resolution. From pictures, codecs for
            playback make 4:2:0, which every player supports. `h264` and `hevc` support 4:2:0 and
            4:2:2 only for even sizes, so odd sizes get 4:4:4. (Cropping would not help: they crop
            by two pixels, and few players respect the crop of a container.)
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pixel_format: str | None = None


# Pixel formats that a stream's colour tags apply to: not grey, RGB or those with a fixed range.
_YUV = re.compile(r"yuva?4(20|22|44)p(\d+le)?")
# Containers that record the aspect ratio of pixels themselves.
_SHAPED = frozenset(MP4_LIKE)
_MXF, _WEBM = ".mxf", ".webm"
_WITH_ALPHA = {".mov": "prores", ".mkv": "ffv1"}


def encoder_of(encoding: Encoding) -> Encoder:
    """The encoder for an encoding whose defaults are filled in."""
    return ENCODERS[encoding.codec or ""]


def _default_codec(encoding: Encoding, suffix: str, info: VideoInfo) -> str:
    if suffix == _WEBM:
        return "vp9"
    if suffix == _MXF:
        return "dnxhr"
    # If a quality, preset or pixel format is set, it is meant for the usual codec.
    usual = encoding != Encoding() or not info.alpha
    return "h264" if usual else _WITH_ALPHA.get(suffix, "h264")


def says_shape(encoding: Encoding, suffix: str, info: VideoInfo) -> bool:
    """Whether a file with this suffix can record the pixel aspect ratio of a video."""
    codec = _named(encoding, suffix, info)
    return info.sample_aspect in {None, 1} or suffix in _SHAPED or ENCODERS[codec].shape


def check_encoding(
    encoding: Encoding, container_suffix: str, info: VideoInfo, size: tuple[int, int] | None = None
) -> Encoding:
    """The encoding with its defaults filled in.

    Args:
        encoding: the requested encoding.
        container_suffix: suffix of the final file, such as `.mp4`.
        info: the video to encode.
        size: height and width of the frames as coded; None: those of the video.

    Raises:
        ConfigError: the codec is unknown, does not support the quality, preset or pixel format, or
            cannot be stored in the container. The message lists what is supported.
    """
    suffix = container_suffix.lower()
    named = replace(encoding, codec=_named(encoding, suffix, info))
    encoder = encoder_of(named)
    if suffix not in encoder.containers:
        taking = sorted(name for name, e in ENCODERS.items() if suffix in e.containers)
        raise ConfigError(
            f"a {suffix} file cannot hold {named.codec}; use {', '.join(encoder.containers)}"
            + (f", or `codec` {', '.join(taking)}" if taking else "")
        )
    if not says_shape(named, suffix, info):
        raise ConfigError(
            f"{info.path} has non-square pixels ({info.sample_aspect}), which a {suffix} file with"
            f" {named.codec} cannot record; use .mp4, or `codec` h264 or hevc"
        )
    return filled(named, info, size or info.size)


def check_choices(encoding: Encoding, suffix: str) -> None:
    """Check that the options fit each other and the container, before any video is opened.

    Raises:
        ConfigError: see `check_encoding`.
    """
    if encoding != Encoding():
        check_encoding(encoding, suffix, _USUAL)


_USUAL = VideoInfo(
    path=Path("video"),
    size=(1080, 1920),
    rotation=0,
    sample_aspect=None,
    time_base=Fraction(1, 25),
    rate=Fraction(25),
    start=0,
    duration=None,
    frames=None,
    depth=8,
    pixel_format="yuv420p",
    codec="h264",
    colour=Colour(0, 2, 2, 2),
    alpha=False,
)


def _named(encoding: Encoding, suffix: str, info: VideoInfo) -> str:
    codec = encoding.codec or _default_codec(encoding, suffix, info)
    codec = ALIASES.get(codec, codec)
    if codec not in ENCODERS:
        raise ConfigError(f"`codec`: {encoding.codec!r} is not one of {', '.join(ENCODERS)}")
    return codec


def filled(encoding: Encoding, info: VideoInfo, size: tuple[int, int]) -> Encoding:
    """An encoding with quality, preset and pixel format filled in, for frames of a size.

    Raises:
        ConfigError: see `check_encoding`; the container is not checked.
    """
    encoding = replace(encoding, codec=_named(encoding, "", info))
    encoder = encoder_of(encoding)
    try:
        formats = [form.name for form in av.Codec(encoder.name, "w").video_formats or ()]
    except ValueError as error:
        raise ConfigError(
            f"`codec` {encoding.codec} needs the encoder {encoder.name}, which the installed PyAV"
            " does not have; choose another `codec`"
        ) from error
    formats = [
        name
        for name in formats
        if _YUV.fullmatch(name) and (name in encoder.alpha or not name.startswith("yuva"))
    ]
    if size[0] < encoder.least[0] or size[1] < encoder.least[1]:
        least = f"{encoder.least[1]} x {encoder.least[0]}"
        raise ConfigError(
            f"{encoding.codec} needs frames of at least {least}, but these are {size[1]} x"
            f" {size[0]}; choose another `codec`"
        )
    form = _pixel_format(encoding, encoder, formats, info, size)
    return replace(
        encoding,
        crf=_crf(encoding, encoder),
        preset=_preset(encoding, encoder, form),
        pixel_format=form,
    )


def _crf(encoding: Encoding, encoder: Encoder) -> int | None:
    crf = encoding.crf
    if encoder.crf is None:
        if crf is not None:
            why = (
                "its profile (`preset`) decides the quality"
                if encoder.profiles
                else "it is lossless"
            )
            raise ConfigError(f"`crf` {crf} cannot be used with {encoding.codec}: {why}")
        return None
    best, most = encoder.crf
    crf = best if crf is None else crf
    if not 0 <= crf <= most:
        raise ConfigError(f"`crf` {crf}: for {encoding.codec} it must be between 0 and {most}")
    return crf


def _preset(encoding: Encoding, encoder: Encoder, form: str) -> str | None:
    there = dict(encoder.profiles).get(form, encoder.presets)
    if encoding.preset is None:
        return there[0] if encoder.profiles else encoder.preset
    if encoding.preset not in there:
        of = f"{encoding.codec} in {form}" if encoder.profiles else encoding.codec
        choices = f"choose from {', '.join(there)}" if there else "it has none"
        raise ConfigError(f"`preset`: {of} has no preset {encoding.preset!r}; {choices}")
    return encoding.preset


def _pixel_format(
    encoding: Encoding,
    encoder: Encoder,
    formats: list[str],
    info: VideoInfo,
    size: tuple[int, int],
) -> str:
    odd = encoder.even and (size[0] % 2 == 1 or size[1] % 2 == 1)
    form = encoding.pixel_format
    if form is None:
        # If a profile is set, only its formats are considered.
        profiles = dict(encoder.profiles)
        of_profile = [name for name in formats if encoding.preset in profiles.get(name, ())]
        fitting = [name for name in of_profile or formats if not odd or "444" in name]
        thrifty = info.of_pictures and encoding.codec in _OF_PLAYERS
        return min(fitting, key=lambda name: _cost(name, info, "420" if thrifty else info.chroma))
    if form not in formats:
        raise ConfigError(
            f"`pixel_format`: {encoding.codec} has no pixel format {form!r}; choose from"
            f" {', '.join(formats)}"
        )
    if odd and "444" not in form:
        raise ConfigError(
            f"`pixel_format`: {encoding.codec} in {form} needs an even size, but this is {size[1]}"
            f" x {size[0]}; choose a 4:4:4 pixel format or another `codec`"
        )
    return form


def _cost(name: str, info: VideoInfo, wanted: str) -> tuple[int, ...]:
    """What a pixel format would lose of a video, the worst first, and then what it would waste.

    Args:
        wanted: the chroma sampling to keep.
    """
    form = VideoFormat(name)
    alpha, depth = any(part.is_alpha for part in form.components), depth_of(name)
    chroma = chroma_of(name)
    return (
        int(info.alpha and not alpha),
        max(0, info.depth - depth),
        int(chroma < wanted),
        int(alpha and not info.alpha),
        int(chroma) - int(wanted),
        depth,
    )


def depth_of(pixel_format: str) -> int:
    """Bits per channel."""
    return max(part.bits for part in VideoFormat(pixel_format).components)


def held_colour(codec: str, info: VideoInfo, size: tuple[int, int]) -> Colour:
    """The colour tags that the encoded frames get; their pixels are converted accordingly.

    Args:
        codec: a name in `ENCODERS`, or FFmpeg's name of the encoder.
        info: the video to encode.
        size: height and width of the frames as coded.
    """
    encoder = ENCODERS[ALIASES.get(codec, codec)]
    colour = info.colour.of_yuv(size)
    return colour.held_by(encoder.matrices, size, limited=encoder.limited)


def has_alpha(encoding: Encoding) -> bool:
    """Whether an encoding whose defaults are filled in has an alpha channel."""
    return (encoding.pixel_format or "").startswith("yuva")


def losses(
    encoding: Encoding, info: VideoInfo, size: tuple[int, int], *, chosen: bool = False
) -> tuple[str, ...]:
    """A line on everything in the frames of a video that encoding loses; or none.

    Args:
        encoding: the encoding as `check_encoding` returns it.
        info: the video to encode.
        size: height and width of the frames as coded.
        chosen: whether the user has chosen the pixel format, so that it needs no remark.
    """
    codec, form = encoding.codec or "", encoding.pixel_format or ""
    depth, chroma = depth_of(form), chroma_of(form)
    played = _PLAYED.get(codec, {form})
    odd = encoder_of(encoding).even and (size[0] % 2 == 1 or size[1] % 2 == 1)
    edited = info.codec in _EDITED and codec in _OF_PLAYERS
    lines = {
        f"{info.codec} becomes {codec}, which is made for playback; for editing, choose `codec`"
        " prores, dnxhr or ffv1": edited,
        f"chroma {_colons(info.chroma)} becomes {_colons(chroma)}": chroma < info.chroma,
        f"{info.depth} bits per channel become {depth}": info.depth > depth,
        "transparency is replaced by white": info.alpha and not has_alpha(encoding),
        "interlaced frames are written as progressive": info.interlaced,
        "its HDR mastering metadata is lost": info.mastered,
    }
    said = [line for line, lost in lines.items() if lost]
    if form not in played and not chosen:
        # The pixel format that an even size would get.
        of_even = filled(replace(encoding, pixel_format=None), info, (2, 2)).pixel_format
        even = "an even size (`max_side`, `resize`)"
        if of_even in played:
            way = f"{even}, or `codec=vp9`,"
        else:
            way = f"`pixel_format=yuv420p`{f' with {even}' if odd else ''}"
        said.append(
            f"phones, browsers and QuickTime may not play the result, because"
            f" {'it stays' if form == of_even else 'its odd size makes it'} {_colons(chroma)} with"
            f" {depth} bits ({codec} {form}); {way} avoids that"
        )
    return ("; ".join(said),) if said else ()


def _colons(chroma: str) -> str:
    return ":".join(chroma)
