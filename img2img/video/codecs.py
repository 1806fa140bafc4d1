"""What frames are encoded as: the codec, its settings and pixel format, and what is lost by it."""

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

# Codecs for editing or archives: replacing one by a codec for playback is a loss.
_EDITED = {
    *("prores", "dnxhd", "ffv1", "qtrle", "png", "utvideo", "huffyuv", "ffvhuff", "rawvideo"),
    *("v210", "v410", "cfhd", "jpeg2000", "magicyuv", "r210", "mjpeg"),
}
# Codecs for playback.
_OF_PLAYERS = {"h264", "hevc", "av1", "vp9"}
# The pixel formats that phones, browsers and QuickTime play, of the codecs that all support.
_PLAYED = {"h264": {"yuv420p"}, "hevc": {"yuv420p", "yuv420p10le"}}


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    Attributes:
        codec: one of `ENCODERS`, or FFmpeg's name of its encoder. None: `vp9` in WebM, `dnxhr` in
            MXF, else `h264`; but of frames with opacity, where nothing else is said either,
            `prores` in MOV and `ffv1` in Matroska.
        crf: quality, lower is better; None is the codec's default here, `h264`'s is 18.
        preset: speed against size; for `prores` and `dnxhr` the profile. None is the codec's own.
        pixel_format: FFmpeg's name of it; None is the one that keeps most of the video: first its
            opacity, then its depth, then the resolution of its colours. Of pictures the codecs of
            players make 4:2:0, which all players take. A codec, `h264` or `hevc`, that has 4:2:0
            and 4:2:2 of even sizes only gets 4:4:4 for an odd one. No crop would
            help: those codecs crop by two pixels, and few players heed a container's.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pixel_format: str | None = None


# Pixel formats that the tags of a stream describe: not grey, RGB or those with their own range.
_YUV = re.compile(r"yuva?4(20|22|44)p(\d+le)?")
# Containers that themselves say the shape of a pixel.
_SHAPED = frozenset(MP4_LIKE)
_MXF, _WEBM = ".mxf", ".webm"
_WITH_ALPHA = {".mov": "prores", ".mkv": "ffv1"}


def encoder_of(encoding: Encoding) -> Encoder:
    """What encodes it; of an encoding that is filled in."""
    return ENCODERS[encoding.codec or ""]


def _default_codec(encoding: Encoding, suffix: str, info: VideoInfo) -> str:
    if suffix == _WEBM:
        return "vp9"
    if suffix == _MXF:
        return "dnxhr"
    # A quality, preset or pixel format is meant for the usual codec.
    usual = encoding != Encoding() or not info.alpha
    return "h264" if usual else _WITH_ALPHA.get(suffix, "h264")


def says_shape(encoding: Encoding, suffix: str, info: VideoInfo) -> bool:
    """Whether a file of a suffix can say that the pixels of a video are not square, if they are."""
    codec = _named(encoding, suffix, info)
    return info.sample_aspect in {None, 1} or suffix in _SHAPED or ENCODERS[codec].shape


def check_encoding(
    encoding: Encoding, container_suffix: str, info: VideoInfo, size: tuple[int, int] | None = None
) -> Encoding:
    """The encoding with its defaults filled in.

    Args:
        encoding: what is wanted.
        container_suffix: of the final file, `.mp4`.
        info: of the video it is for.
        size: height and width of the frames as coded; None: the video's own.

    Raises:
        ConfigError: there is no such codec, it has no such quality, preset or pixel format, or the
            container does not take it. The message lists what there is.
    """
    suffix = container_suffix.lower()
    named = replace(encoding, codec=_named(encoding, suffix, info))
    encoder = encoder_of(named)
    if suffix not in encoder.containers:
        taking = sorted(name for name, e in ENCODERS.items() if suffix in e.containers)
        raise ConfigError(
            f"a {suffix} file cannot hold {named.codec}: use {', '.join(encoder.containers)}"
            + (f", or the codec {', '.join(taking)}" if taking else "")
        )
    if not says_shape(named, suffix, info):
        raise ConfigError(
            f"{info.path} has pixels of shape {info.sample_aspect}, which a {suffix}"
            f" file of {named.codec} cannot record: use .mp4, or the codec h264 or hevc"
        )
    return filled(named, info, size or info.size)


def check_choices(encoding: Encoding, suffix: str) -> None:
    """See whether what was chosen goes together, and with a container, whatever the video.

    Raises:
        ConfigError: as `check_encoding`.
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
        raise ConfigError(f"no codec {encoding.codec!r}: there are {', '.join(ENCODERS)}")
    return codec


def filled(encoding: Encoding, info: VideoInfo, size: tuple[int, int]) -> Encoding:
    """Quality, preset and pixel format of an encoding whose codec is known, for frames of a size.

    Raises:
        ConfigError: as `check_encoding`, but for the container.
    """
    encoding = replace(encoding, codec=_named(encoding, "", info))
    encoder = encoder_of(encoding)
    try:
        formats = [form.name for form in av.Codec(encoder.name, "w").video_formats or ()]
    except ValueError as error:
        raise ConfigError(
            f"the installed PyAV has no encoder {encoder.name}, which {encoding.codec} needs"
        ) from error
    formats = [
        name
        for name in formats
        if _YUV.fullmatch(name) and (name in encoder.alpha or not name.startswith("yuva"))
    ]
    if size[0] < encoder.least[0] or size[1] < encoder.least[1]:
        least = f"{encoder.least[1]} x {encoder.least[0]}"
        raise ConfigError(
            f"{encoding.codec} needs frames of at least {least}, and these are {size[1]}"
            f" x {size[0]}: use another `codec`"
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
            why = "its profile (`preset`) decides" if encoder.profiles else "it keeps every pixel"
            raise ConfigError(f"{encoding.codec} has no crf: {why}")
        return None
    best, most = encoder.crf
    crf = best if crf is None else crf
    if not 0 <= crf <= most:
        raise ConfigError(f"crf {crf} for {encoding.codec}: it must be from 0 to {most}")
    return crf


def _preset(encoding: Encoding, encoder: Encoder, form: str) -> str | None:
    there = dict(encoder.profiles).get(form, encoder.presets)
    if encoding.preset is None:
        return there[0] if encoder.profiles else encoder.preset
    if encoding.preset not in there:
        choices = ", ".join(there) or "it has none"
        of = f"{encoding.codec} in {form}" if encoder.profiles else encoding.codec
        raise ConfigError(f"no preset {encoding.preset!r} of {of}: {choices}")
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
        # A profile that was named decides among the formats.
        profiles = dict(encoder.profiles)
        of_profile = [name for name in formats if encoding.preset in profiles.get(name, ())]
        fitting = [name for name in of_profile or formats if not odd or "444" in name]
        thrifty = info.of_pictures and encoding.codec in _OF_PLAYERS
        return min(fitting, key=lambda name: _cost(name, info, "420" if thrifty else info.chroma))
    if form not in formats:
        raise ConfigError(
            f"{encoding.codec} has no pixel format {form!r}: there are {', '.join(formats)}"
        )
    if odd and "444" not in form:
        raise ConfigError(
            f"{encoding.codec} in {form} needs an even size, and this is {size[1]} x"
            f" {size[0]}: use a pixel format of 4:4:4, or another codec"
        )
    return form


def _cost(name: str, info: VideoInfo, wanted: str) -> tuple[int, ...]:
    """What a pixel format would lose of a video, the worst first, and then what it wastes.

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
    """Bits a channel."""
    return max(part.bits for part in VideoFormat(pixel_format).components)


def held_colour(codec: str, info: VideoInfo, size: tuple[int, int]) -> Colour:
    """The tags of frames encoded so, whose pixels then are converted by them.

    Args:
        codec: one of `ENCODERS`, or FFmpeg's name of it.
        info: of the video.
        size: height and width of the frames as coded.
    """
    encoder = ENCODERS[ALIASES.get(codec, codec)]
    colour = info.colour.of_yuv(size)
    return colour.held_by(encoder.matrices, size, limited=encoder.limited)


def has_alpha(encoding: Encoding) -> bool:
    """Whether an encoding, filled in, has opacity."""
    return (encoding.pixel_format or "").startswith("yuva")


def losses(
    encoding: Encoding, info: VideoInfo, size: tuple[int, int], *, chosen: bool = False
) -> tuple[str, ...]:
    """A line on everything in the pictures of a video that is lost when they are encoded; or none.

    Args:
        encoding: with its defaults, as `check_encoding` returns it.
        info: of the video.
        size: height and width of the frames as they are encoded.
        chosen: whether the user has chosen the pixel format, and needs no remark on it.
    """
    codec, form = encoding.codec or "", encoding.pixel_format or ""
    depth, chroma = depth_of(form), chroma_of(form)
    played = _PLAYED.get(codec, {form})
    odd = encoder_of(encoding).even and (size[0] % 2 == 1 or size[1] % 2 == 1)
    edited = info.codec in _EDITED and codec in _OF_PLAYERS
    lines = {
        f"{info.codec} becomes {codec}, which is for playback, not for editing"
        " (`codec=prores`, `dnxhr` or `ffv1` is)": edited,
        f"chroma {_colons(info.chroma)} becomes {_colons(chroma)}": chroma < info.chroma,
        f"{info.depth} bits per channel become {depth}": info.depth > depth,
        "transparency is replaced by white": info.alpha and not has_alpha(encoding),
        "interlaced frames are written as progressive": info.interlaced,
        "its HDR mastering metadata is lost": info.mastered,
    }
    said = [line for line, lost in lines.items() if lost]
    if form not in played and not chosen:
        # What it would be if its sides were even.
        of_even = filled(replace(encoding, pixel_format=None), info, (2, 2)).pixel_format
        even = "an even size (`max_side`, `resize`)"
        if of_even in played:
            way = f"{even}, or `codec=vp9`,"
        else:
            way = f"`pixel_format=yuv420p`{f' with {even}' if odd else ''}"
        said.append(
            f"{'it stays' if form == of_even else 'its odd size makes it'} {_colons(chroma)} of"
            f" {depth} bits ({codec} {form}), which phones, browsers and QuickTime may not play:"
            f" {way} avoids that"
        )
    return ("; ".join(said),) if said else ()


def _colons(chroma: str) -> str:
    return ":".join(chroma)
