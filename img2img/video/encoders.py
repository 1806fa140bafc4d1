"""The encoders: what each supports, and which containers can hold its packets."""

from dataclasses import dataclass

# Other names of codecs: FFmpeg's encoders, and DNxHD, the predecessor of DNxHR.
ALIASES = {
    "prores_ks": "prores",
    "dnxhd": "dnxhr",
    "libx264": "h264",
    "libx265": "hevc",
    "libvpx-vp9": "vp9",
    "libsvtav1": "av1",
}


@dataclass(frozen=True)
class Encoder:
    """What an encoder supports.

    Attributes:
        name: FFmpeg's name of it.
        containers: suffixes of the containers that can hold its packets.
        segments: FFmpeg's name of the container used for its segments.
        shape: whether its packets record the aspect ratio of pixels. If not, MP4 and MOV do; with
            PyAV, Matroska cannot.
        crf: default and maximum constant rate factor; None if it has none.
        presets: the names of its presets.
        preset: the default preset.
        profiles: the profiles for each pixel format, the best first. They are chosen by `preset`
            and passed on as `profile`, after `prefix`.
        alpha: its pixel formats with an alpha channel.
        options: options that are always passed on.
        even: whether 4:2:0 requires even sizes.
        matrices: the colour matrices that its packets can record, as numbers of ITU-T H.273;
            empty: all.
        limited: whether it supports only limited range.
        least: minimum height and width of a frame.
    """

    name: str
    containers: tuple[str, ...]
    crf: tuple[int, int] | None = None
    presets: tuple[str, ...] = ()
    preset: str | None = None
    segments: str = "nut"
    profiles: tuple[tuple[str, tuple[str, ...]], ...] = ()
    prefix: str = ""
    alpha: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    even: bool = False
    shape: bool = False
    matrices: tuple[int, ...] = ()
    limited: bool = False
    least: tuple[int, int] = (1, 1)


_X26_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
MP4_LIKE = (".mp4", ".m4v", ".mov")
_422 = ("hq", "standard", "lt", "proxy")

ENCODERS = {
    "h264": Encoder(
        *("libx264", (*MP4_LIKE, ".mkv"), (18, 51), _X26_PRESETS, "medium"), even=True, shape=True
    ),
    "hevc": Encoder(
        *("libx265", (*MP4_LIKE, ".mkv"), (20, 51), _X26_PRESETS, "medium"),
        options=(("x265-params", "log-level=error:open-gop=0"),),
        even=True,
        shape=True,
    ),
    "av1": Encoder(
        *("libsvtav1", (".mp4", ".mkv", ".webm"), (24, 63)),
        *(tuple(str(speed) for speed in range(14)), "8"),
    ),
    "vp9": Encoder(
        *("libvpx-vp9", (".mp4", ".mkv", ".webm"), (24, 63)),
        alpha=("yuva420p",),
        options=(("row-mt", "1"), ("cpu-used", "2"), ("b", "0")),
    ),
    "ffv1": Encoder(
        *("ffv1", (".mkv", ".mp4")),
        alpha=tuple(
            f"yuva{chroma}p{depth}"
            for chroma in ("420", "422", "444")
            for depth in ("", "10le", "12le", "16le")
            if (chroma, depth) != ("420", "12le")
        ),
    ),
    "prores": Encoder(
        *("prores_ks", (".mov", ".mkv", ".mxf")),
        segments="mov",
        profiles=(
            ("yuv422p10le", _422),
            ("yuv444p10le", ("4444", "4444xq")),
            ("yuva444p10le", ("4444", "4444xq")),
        ),
        alpha=("yuva444p10le",),
        options=(("vendor", "apl0"),),
        limited=True,
    ),
    "dnxhr": Encoder(
        *("dnxhd", (".mov", ".mxf")),
        segments="mov",
        profiles=(
            ("yuv422p", ("hq", "sq", "lb")),
            ("yuv422p10le", ("hqx",)),
            ("yuv444p10le", ("444",)),
        ),
        prefix="dnxhr_",
        matrices=(1, 9),
        limited=True,
        least=(120, 256),
    ),
}
