"""`img2img translate`."""

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from img2img.cli import completion
from img2img.cli.models import plausible
from img2img.cli.output import (
    console,
    counting,
    error_console,
    frame_rate,
    parsed_size,
    print_json,
    printable,
    say_note,
    seconds,
)
from img2img.cli.wording import in_options
from img2img.errors import ConfigError, TranslationStopped, some_names

if TYPE_CHECKING:
    from img2img.translate.report import Report
    from img2img.video.convert import Converted

FAILURES_SHOWN = 20
_VIDEO: dict[str, Any] = {"rich_help_panel": "Videos"}
# Bytes of a block that is kept for the next picture. What a very large one needs goes back at once:
# kept, it would be in the way of its other maps.
KEPT = 2**26
# How long one process may be busier than another, of those that share a folder.
PATIENCE = timedelta(days=30)


def translate(
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            "-m",
            help="Run folder, a model file, or what `img2img export` wrote.",
            autocompletion=completion.models,
            callback=plausible,
        ),
    ],
    source: Annotated[
        str,
        typer.Option(
            "--input",
            "-i",
            help="An image or video, a folder (with all folders in it), or a quoted glob.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Folder for the results, which keep tree and names; or one file's name.",
        ),
    ],
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None,
        typer.Option(help="Which way to translate, if the model has both."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    devices: Annotated[
        str | None,
        typer.Option(
            help="Several devices that share the images: all, or a list like cuda:0,cuda:1."
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(
            help="Arithmetic of the networks. auto: the fastest that agrees with fp32;"
            " images of more than 8 bits in fp32."
        ),
    ] = "auto",
    backend: Annotated[
        str,
        typer.Option(
            help="What runs the networks; see `img2img list backends`. auto: eager PyTorch,"
            " which starts at once, or for long jobs what is fastest here. `img2img"
            " bench` measures.",
            autocompletion=completion.backends,
        ),
    ] = "auto",
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Images in a batch; by default what suits their size."),
    ] = None,
    scale: Annotated[
        Literal["auto", "native", "trained"],
        typer.Option(
            help="Translate pictures at their own size (native) or resized as in training"
            " (trained); results have the pictures' size either way. auto: trained"
            " where that changes the sides by more than 1.5 times."
        ),
    ] = "auto",
    resize: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size of all results; by default each image's own."),
    ] = None,
    max_side: Annotated[
        int | None,
        typer.Option(min=1, help="Most pixels to a side of a result; larger images are reduced."),
    ] = None,
    tile: Annotated[
        str,
        typer.Option(
            help="Cut images that are too large for memory into tiles: auto; off; or the"
            " side of tiles in pixels, which cuts all larger images. Exact for ResNets,"
            " approximate for U-Nets."
        ),
    ] = "auto",
    tile_norm: Annotated[
        Literal["whole", "local"],
        typer.Option(
            help="Normalise tiles by statistics of the whole image, or, to compare, each by"
            " its own."
        ),
    ] = "whole",
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory limit, such as 4GB or 50%; by default half of what is free. Large"
            " pictures go one at a time and in parts; those that cannot fit are named.",
        ),
    ] = None,
    statistics: Annotated[
        Literal["image", "running"] | None,
        typer.Option(
            help="Normalise by each image's statistics, or by the averages of training; by "
            "default as the model says."
        ),
    ] = None,
    reference_exact: Annotated[
        bool,
        typer.Option(
            "--reference-exact",
            help="Match the reference's test script: fp32, colours rounded down, dropout on"
            " where the model was trained with it; with --statistics running, match its"
            " --eval.",
        ),
    ] = False,
    image_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="Format of resulting images, e.g. png; by default each file's own."
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Quality of JPEG and WebP results, by default 95."),
    ] = None,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Keep results that this model has made with these settings; redo what changed.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Let results replace files that img2img has not made, and their inputs"
            " where --output is the input folder.",
        ),
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Write input and result side by side, too, in compare/."),
    ] = False,
    gallery: Annotated[
        bool,
        typer.Option(
            "--gallery", help="Make a page with before/after sliders, gallery/index.html."
        ),
    ] = False,
    stabilize: Annotated[
        Literal["off", "light", "strong"],
        typer.Option(help="Reduce flicker, at some cost of sharpness and time.", **_VIDEO),
    ] = "off",
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Where to begin: 12.5 seconds or 1:02:03.", **_VIDEO),
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Where to end, likewise.", **_VIDEO)
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Take every n-th frame.", **_VIDEO)] = 1,
    fps: Annotated[
        str | None,
        typer.Option(
            help="Frame rate of a video made from numbered pictures, such as 29.97; by default 25.",
            **_VIDEO,
        ),
    ] = None,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="Write numbered images, a folder for each video; --format chooses their format.",
            **_VIDEO,
        ),
    ] = False,
    codec: Annotated[
        str | None,
        typer.Option(
            help="h264, hevc, av1, vp9, prores, dnxhr or ffv1 (lossless); by default h264, in "
            "WebM vp9, in MXF dnxhr.",
            **_VIDEO,
        ),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(
            min=0, help="Quality; lower is better and larger; by default 18 for h264.", **_VIDEO
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="The encoder's preset, such as slow; of prores and dnxhr the profile.",
            **_VIDEO,
        ),
    ] = None,
    pixel_format: Annotated[
        str | None,
        typer.Option(
            help="Such as yuv420p; by default the one that keeps most of the input.", **_VIDEO
        ),
    ] = None,
    container: Annotated[
        str | None,
        typer.Option(
            help="mp4, mov, mkv, webm or mxf; by default each file's own, or mp4.", **_VIDEO
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Translate images of any size, and videos, with a trained model.

    Example: img2img translate --model runs/mine --input photos --output translated

    Example: img2img translate --model runs/mine --input clip.mp4 --output out.mp4 --stabilize light

    Example: img2img translate --model runs/mine --input frames --output out.mp4 --fps 24

    Each result has the size, bit depth and transparency of its input. A file that cannot be
    translated is named and does not stop the others; the exit status is then 1. Videos keep times,
    sound, subtitles and colours; after a stop the same command goes on within one. Started by
    `torchrun` or `accelerate launch`, several processes share the files.
    """
    from img2img.engine.sizing import scale_summary
    from img2img.engine.translator import Translator
    from img2img.runtime.devices import keep_freed_memory, named_devices, resolve_device
    from img2img.runtime.processes import joined
    from img2img.translate.folder import translate_folder
    from img2img.translate.options import FolderOptions

    if devices and device != "auto":
        raise ConfigError("--device and --devices: give one of them")
    chosen = named_devices(devices) if devices else [device]
    keep_freed_memory(KEPT)
    with (
        joined(resolve_device(chosen[0]).type, PATIENCE) as processes,
        counting("translating", wanted=processes.first) as progress,
    ):
        if devices and processes.count > 1:
            raise ConfigError("--devices: each of several processes has a device of its own")
        translator = Translator.load(
            model,
            device=chosen,
            direction=direction,
            precision=precision,
            backend=backend,
            batch=batch,
            scale=scale,
            resize=parsed_size("resize", resize),
            max_side=max_side,
            tile=_tile(tile),
            tile_norm=tile_norm,
            max_memory=max_memory,
            statistics=statistics,
            reference_exact=reference_exact,
            progress=progress.parts,
            say=say_note if processes.first else lambda _: None,
        )
        options = FolderOptions(
            image_format=image_format,
            quality=quality,
            skip_existing=skip_existing,
            overwrite=overwrite,
            compare=compare,
            gallery=gallery,
            codec=codec,
            crf=crf,
            preset=preset,
            pixel_format=pixel_format,
            container=container,
            start=seconds("start", start),
            end=seconds("end", end),
            every=every,
            fps=None if fps is None else frame_rate(fps),
            stabilize=stabilize,
            frames=frames,
        )
        try:
            report = translate_folder(
                translator,
                source,
                output,
                options,
                processes=processes,
                progress=progress,
                video_progress=progress.frames,
                say=say_note,
            )
        except TranslationStopped as stopped:
            if as_json and processes.first:
                print_json(stopped.report.to_json())
            raise
    if processes.first:
        _say(report, as_json)
        if report.ways and not as_json:
            say_note(scale_summary(report.ways, report.scale, translator.spec))
        if report.passed_over:
            counts = report.passed_over.items()
            kinds = ", ".join(f"{suffix} ({count})" for suffix, count in counts)
            say_note(f"skipped, as these formats are not read: {kinds}")
        if report.left_out:
            names = some_names([str(path) for path in report.left_out], most=3)
            say_note(
                f"left out, as img2img made them: {names}; to translate one, give it as --input"
            )
    if report.failed:
        raise typer.Exit(1)


def _tile(text: str) -> Literal["auto", "off"] | int:
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise ConfigError(f"--tile: {text!r} is none of auto, off, or a number of pixels")
    return int(text)


def _about(path: Path, made: "Converted") -> str:
    """A line on a video."""
    new = made.frames - made.resumed
    line = f"{path}: {made.frames} frames to {made.target}"
    if made.resumed:
        line += f", {made.resumed} of them before"
    if made.concealed:
        line += f"; {made.concealed} could not be decoded, and the ones before them stand there"
    return f"{line} ({new / made.seconds:.1f} frames/s)" if made.seconds else line


def _say(report: "Report", as_json: bool) -> None:
    """The report for a program, for a person at a terminal, or as lines of a log."""
    speed = f"{report.images_per_second:.1f} images/s"
    where = printable(str(report.output))
    page = printable(str(report.gallery)) if report.gallery else None
    if as_json:
        print_json(report.to_json())
    elif console.is_terminal:
        table = Table(show_header=False)
        table.add_column(style="bold")
        table.add_row("translated", f"{len(report.written)} ({speed})")
        if report.skipped:
            table.add_row("skipped", f"{len(report.skipped)}, there already")
        if report.failed:
            table.add_row("failed", str(len(report.failed)), style="red")
        table.add_row("results", Text(where))
        if page:
            table.add_row("gallery", Text(page))
        console.print(table)
    else:
        line = f"{len(report.written)} translated to {where}"
        if report.skipped:
            line += f", {len(report.skipped)} were there already"
        if report.failed:
            line += f", {len(report.failed)} failed"
        console.print(f"{line} ({speed})", markup=False, soft_wrap=True)
        if page:
            console.print(f"look at it: {page}", markup=False, soft_wrap=True)
    if not as_json:
        for path, made in report.videos.items():
            console.print(printable(_about(path, made)), markup=False, soft_wrap=True)
    _say_failed(report)


def _say_failed(report: "Report") -> None:
    for path, reason in [*report.failed.items()][:FAILURES_SHOWN]:
        line = printable(f"failed: {path}: {in_options(reason)}")
        error_console.print(line, markup=False, soft_wrap=True)
    if len(report.failed) > FAILURES_SHOWN:
        more = len(report.failed) - FAILURES_SHOWN
        error_console.print(f"... and {more} more; --json lists all")
