"""`img2img video`: what goes with the translation of videos."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from img2img.cli.command import Command, Group
from img2img.cli.options import AsJson
from img2img.cli.output import (
    console,
    counting,
    frame_rate,
    print_json,
    say,
    say_note,
    seconds,
)
from img2img.errors import ConfigError, counted, nearest_path

if TYPE_CHECKING:
    from img2img.images import Domain

video_app = typer.Typer(
    cls=Group,
    help="Make videos from images, and measure the flicker of translated ones.",
)


@video_app.command(cls=Command)
def assemble(
    source: Annotated[
        Path, typer.Argument(help="Folder of images, used in the order of their names.")
    ],
    output: Annotated[Path, typer.Option(help="The video file: mp4, mov, mkv, webm or mxf.")],
    fps: Annotated[
        str | None,
        typer.Option(help="Images per second, such as 29.97 or 30000/1001; by default 25."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="A video whose timing, sound, subtitles and colours to use."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="With --like: start time of the images in that video, 12.5 (seconds) or 1:02:03.",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --like: end time of the images.")
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, help="With --like: the images are every n-th frame of that video.")
    ] = 1,
    value_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="auto|dtype|LOW,HIGH",
            help="The values of black and white in 16-bit images: the range that the files use"
            " (auto, the default), the full range of their type (dtype, the default for frames"
            " that img2img has made from a video), or two numbers.",
        ),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="Video codec: h264, hevc, av1, vp9, prores, dnxhr or ffv1; by default h264, for"
            " WebM vp9, for MXF dnxhr."
        ),
    ] = None,
    crf: Annotated[
        int | None, typer.Option(min=0, help="Constant rate factor: lower is better quality.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Encoder preset, such as slow: speed against file size.")
    ] = None,
    pixel_format: Annotated[
        str | None, typer.Option(help="Pixel format, such as yuv444p; by default 4:2:0.")
    ] = None,
) -> None:
    """Make a video from a folder of images, such as those that `translate --frames` writes.

    Example: img2img video assemble frames --fps 24 --output clip.mp4

    Example: img2img video assemble frames --like original.mp4 --output clip.mp4
    """
    from img2img.images import list_images
    from img2img.video import Encoding, Span
    from img2img.video.assembling import assemble

    if not source.is_dir():
        raise ConfigError(f"{source}: no such folder{nearest_path(source)}")
    images = list_images(source)
    values = _values(source, images, value_range)
    if like is not None and fps is not None:
        raise ConfigError("--fps cannot be used with --like, which sets the frame times")
    if like is None and (start is not None or end is not None or every != 1):
        raise ConfigError("--start, --end and --every can only be used with --like")
    with counting("images") as progress:
        made = assemble(
            images,
            output,
            like=like,
            rate=frame_rate(fps or "25"),
            span=Span(seconds("start", start), seconds("end", end), every),
            encoding=Encoding(codec, crf, preset, pixel_format),
            values=values,
            progress=progress,
            say=say_note,
        )
    say(f"{counted(made.frames, 'image')} to {made.target}")


def _values(folder: Path, images: Sequence[Path], wanted: str | None) -> "Domain":
    """What the values of images are, which is said where it is not all that their type has.

    Raises:
        ConfigError: not a range, or not one of such images.
    """
    from img2img.config import SideConfig
    from img2img.data.domains import domain_of
    from img2img.data.sources import ImageSource
    from img2img.images import OURS

    text = wanted or ("dtype" if (folder / OURS).exists() else "auto")
    numbers = re.fullmatch(r"(\d{1,6})\s*,\s*(\d{1,6})", text)
    ends = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    if text not in ("auto", "dtype") and ends[0] >= ends[1]:
        raise ConfigError(f"--range: {text!r} is not auto, dtype or a range such as 0,4095")
    side = SideConfig(range=ends if numbers else text)
    domain = domain_of([ImageSource(path) for path in images], side, "--range")
    if not domain.whole:
        instead = "" if wanted else "; --range dtype uses the full range of the type"
        say_note(f"black and white are {domain}{instead}")
    return domain


@video_app.command(cls=Command)
def evaluate(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The video that was translated.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The translation.")],
    reference: Annotated[
        Path | None,
        typer.Option(
            help="An unstabilised translation to compare sharpness with; by default the input."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how much a translated video flickers.

    Example: img2img video evaluate clip.mp4 out.mp4 --reference unstabilised.mp4

    The warping error (Lai et al. 2018) is how much colours change along the motion of the input.
    It is shown relative to that of the input itself: at 1 the output is as steady as the input.
    Blur lowers it too, so check the sharpness as well.
    """
    from dataclasses import asdict

    from rich.table import Table

    from img2img.evaluation.video import evaluate_video

    with counting("frames") as progress:
        found = evaluate_video(source, output, reference, progress)
    if as_json:
        print_json(asdict(found))
        return
    table = Table(box=None, show_header=False)
    table.add_row("frames compared", str(found.frames))
    table.add_row("changes of scene", str(found.cuts))
    table.add_row("warping error of the input", f"{found.input_error:.3g}")
    table.add_row("warping error of the output", f"{found.output_error:.3g}")
    table.add_row("output over input", "-" if found.ratio is None else f"{found.ratio:.2f}")
    of = "the reference" if reference else "the input"
    sharpness = "-" if found.sharpness is None else f"{found.sharpness:.2f}"
    table.add_row(f"sharpness over that of {of}", sharpness)
    console.print(table)
