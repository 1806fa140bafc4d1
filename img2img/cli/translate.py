"""`img2img translate`."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from img2img.cli import completion
from img2img.cli.models import check_model_option
from img2img.cli.options import AsJson, Device, Direction, Show, options_of
from img2img.cli.output import counting, frame_rate, parsed_size, print_json, say_note, seconds
from img2img.cli.translated import say_report
from img2img.errors import ConfigError, TranslationStopped

_VIDEO: dict[str, Any] = {"rich_help_panel": "Videos"}
# Bytes of a block that is kept for the next picture. What a very large one needs goes back at once:
# kept, it would be in the way of its other maps.
KEPT = 2**26
# How long one process may be busier than another, of those that share a folder.
PATIENCE = timedelta(days=30)


def translate(
    context: typer.Context,
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            "-m",
            help="A run folder, a model file, or a file written by `img2img export`.",
            autocompletion=completion.models,
            callback=check_model_option,
        ),
    ],
    source: Annotated[
        list[str],
        typer.Option(
            "--input",
            "-i",
            help="An image, a video, a folder with its subfolders, or a quoted glob pattern. For a"
            " model with several inputs, given as many times.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Folder for the results, which get the subfolders and names of the inputs; or a"
            " file name for a single result.",
        ),
    ],
    direction: Direction = None,
    device: Device = "auto",
    devices: Annotated[
        str | None,
        typer.Option(
            help="Share the images among several devices: all, or a list such as cuda:0,cuda:1."
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(
            help="Numeric precision of the network. auto: the fastest that is verified against"
            " fp32; images with more than 8 bits per channel always use fp32."
        ),
    ] = "auto",
    backend: Annotated[
        str,
        typer.Option(
            help="Inference backend, from `img2img list backends`. auto: PyTorch, which starts at"
            " once, or in long jobs the fastest that is installed. `img2img bench` compares them.",
            autocompletion=completion.backends,
        ),
    ] = "auto",
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Images per batch; by default chosen from their size."),
    ] = None,
    scale: Annotated[
        Literal["auto", "native", "trained"],
        typer.Option(
            help="Translate pictures at their own size (native), or resized as in training"
            " (trained). Results have the pictures' size either way. auto: trained if it"
            " changes the sides by more than a factor of 1.5, otherwise native."
        ),
    ] = "auto",
    resize: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size of all results; by default the size of each image."),
    ] = None,
    max_side: Annotated[
        int | None,
        typer.Option(
            min=1, help="Maximum width and height of a result; larger images are reduced."
        ),
    ] = None,
    tile: Annotated[
        str,
        typer.Option(
            help="Split images that are too large for memory: auto, off, or a tile size in"
            " pixels, which splits every image larger than it. Exact for ResNets,"
            " approximate for U-Nets."
        ),
    ] = "auto",
    tile_norm: Annotated[
        Literal["whole", "local"],
        typer.Option(
            help="Normalise tiles with the statistics of the whole image, or each with its own"
            " (local, for comparison)."
        ),
    ] = "whole",
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory limit, such as 4GB or 50%; by default half of what is free. Large"
            " pictures are translated one at a time and in parts; those that cannot fit are"
            " reported.",
        ),
    ] = None,
    statistics: Annotated[
        Literal["image", "running"] | None,
        typer.Option(
            help="Normalise with each image's own statistics, or with the running averages of"
            " training; by default as set in the model file."
        ),
    ] = None,
    reference_exact: Annotated[
        bool,
        typer.Option(
            "--reference-exact",
            help="Reproduce the reference implementation's test script: fp32, colours rounded"
            " down, dropout on if the model was trained with it. Add --statistics running"
            " for its --eval mode.",
        ),
    ] = False,
    image_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Format of the resulting images, such as png; by default the format of each file.",
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Quality of JPEG and WebP results; by default 95."),
    ] = None,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Skip files that this model has already translated with these settings, unless"
            " the file or its result has changed since.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Overwrite files that img2img did not write, and, if --output is the input"
            " folder, the inputs.",
        ),
    ] = False,
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|FILE|alpha",
            help="Change only what is inside a mask; all else stays as it is. A mask is grey, black"
            " outside: one for all images, a folder with one for each, of the same path and name"
            " (of the frames of a video a numbered one each), or the transparency of each image"
            " (alpha).",
        ),
    ] = None,
    feather: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="PX",
            help="Fade results in over so many pixels, inwards from the border of the mask.",
        ),
    ] = 0,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Also write each input and result side by side, in the folder compare/.",
        ),
    ] = False,
    gallery: Annotated[
        bool,
        typer.Option(
            "--gallery", help="Also make a page with before/after sliders, gallery/index.html."
        ),
    ] = False,
    show: Show = None,
    stabilize: Annotated[
        Literal["off", "light", "strong"],
        typer.Option(help="Reduce flicker, at some cost in sharpness and time.", **_VIDEO),
    ] = "off",
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Start time: 12.5 (seconds) or 1:02:03.", **_VIDEO),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End time: 12.5 (seconds) or 1:02:03.", **_VIDEO),
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
            help="Write numbered images instead of videos, in a folder for each; see --format.",
            **_VIDEO,
        ),
    ] = False,
    codec: Annotated[
        str | None,
        typer.Option(
            help="Video codec: h264, hevc, av1, vp9, prores, dnxhr or ffv1 (lossless); by default"
            " h264, for WebM vp9, for MXF dnxhr.",
            **_VIDEO,
        ),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Constant rate factor: a lower value gives better quality and a larger file. By"
            " default 18 for h264.",
            **_VIDEO,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Encoder preset, such as slow; for prores and dnxhr, the profile.",
            **_VIDEO,
        ),
    ] = None,
    pixel_format: Annotated[
        str | None,
        typer.Option(
            help="Pixel format, such as yuv420p; by default the one that preserves most of the"
            " input.",
            **_VIDEO,
        ),
    ] = None,
    container: Annotated[
        str | None,
        typer.Option(
            help="Container: mp4, mov, mkv, webm or mxf; by default the container of each file, or"
            " mp4.",
            **_VIDEO,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Translate images of any size, and videos, with a trained model.

    Example: img2img translate --model runs/mine --input photos --output translated

    Example: img2img translate --model runs/mine --input clip.mp4 --output out.mp4 --stabilize light

    Example: img2img translate --model runs/mine --input frames --output out.mp4 --fps 24

    Each result has the size, bit depth and transparency of its input. A file that cannot be
    translated is reported and does not stop the others; the exit status is then 1. Videos keep
    their timing, sound, subtitles and colours; if one is interrupted, the same command resumes it.
    Under `torchrun` or `accelerate launch`, the processes share the files.
    """
    from img2img.engine.options import TranslatorOptions
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
            raise ConfigError(
                "--devices: only for a single process; under a launcher each process already has"
                " its own device"
            )
        translator_options = options_of(
            TranslatorOptions,
            context.params,
            device=chosen,
            resize=parsed_size("resize", resize),
            tile=_tile(tile),
            show=show or (),
            progress=progress.parts,
            say=say_note if processes.first else lambda _: None,
        )
        options = options_of(
            FolderOptions,
            context.params,
            start=seconds("start", start),
            end=seconds("end", end),
            fps=None if fps is None else frame_rate(fps),
        )
        translator = Translator.load(model, translator_options)
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
        say_report(report, translator.spec, as_json)
    if report.failed:
        raise typer.Exit(1)


def _tile(text: str) -> Literal["auto", "off"] | int:
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise ConfigError(f"--tile: {text!r} is not auto, off or a number of pixels")
    return int(text)
