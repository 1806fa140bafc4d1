"""`img2img export`."""

from pathlib import Path
from typing import Annotated

import typer

from img2img.cli.models import require_model
from img2img.cli.options import AsJson, Direction, Model
from img2img.cli.output import error_console, parsed_size, print_json, say, say_note
from img2img.errors import ConfigError, counted, unknown


def export(
    model: Model,
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            help="onnx: one file that most runtimes read; openvino: .xml and .bin; torch: a"
            " torch.export program (.pt2); reference: checkpoints for pytorch-CycleGAN-and-pix2pix,"
            " such as latest_net_G.pth.",
        ),
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File or folder to write; default: next to the model."),
    ] = None,
    direction: Direction = None,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels",
            help="Make input and output uint8 pixels, (batch, height, width, channels), instead of"
            " floats.",
        ),
    ] = False,
    half: Annotated[
        bool,
        typer.Option(
            "--half", help="Store weights in float16: half the size, nearly the same results."
        ),
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Fix the image size, width x height; default: any size.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Fix the batch size; default: any."),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(
            min=11, help="ONNX operator set version; lower it for older runtimes. Default: 18."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Image or folder to verify the export on; default: bundled satellite images."
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Largest mean difference from PyTorch's float32 on any image, in grey levels of"
            " 255. Default: 0.05, with --half 0.5.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model in a format that other programs run, and verify it against PyTorch.

    Example: img2img export runs/mine --format onnx --output mine.onnx

    The exported model takes any batch size, height and width, unless --batch and --size fix them;
    sides must be multiples of the size_multiple that `img2img info` shows. It is run on images
    first: if its results differ from PyTorch's, no file is written and the exit status is 1.
    `img2img translate` runs exported ONNX and OpenVINO models.
    """
    require_model(model)
    from dataclasses import asdict

    from img2img.export import FORMATS, export_model, export_reference

    if format_name == "reference":
        others = (images, tolerance, size, batch, opset)
        if pixels or half or any(option is not None for option in others):
            raise ConfigError(
                "--format reference writes the weights unchanged; the only other options it takes"
                " are --output and --direction"
            )
        files, notes = export_reference(model, output, direction=direction)
        for note in notes:
            say_note(note)
        if as_json:
            print_json({"files": [str(file) for file in files], "format": format_name})
        else:
            say(f"wrote {' and '.join(map(str, files))}")
        return
    if format_name not in FORMATS.names():
        known = [*FORMATS.names(), "reference"]
        raise ConfigError(f"--format: {unknown('format', format_name, known)}")
    with error_console.status(f"exporting to {format_name}", spinner="line"):
        exported = export_model(
            model,
            output,
            format_name,
            direction=direction,
            pixels=pixels,
            half=half,
            size=parsed_size("size", size),
            batch=batch,
            opset=opset,
            images=images,
            tolerance=tolerance,
        )
    if as_json:
        print_json({**asdict(exported), "files": [str(file) for file in exported.files]})
        return
    names = " and ".join(str(file) for file in exported.files)
    say(f"wrote {names} ({exported.direction}, {exported.bytes / 1e6:.1f} MB)")
    say(
        f"differs from PyTorch's float32 by {exported.mean:.2g} grey levels of 255 on average and"
        f" {exported.largest:.2g} at most on the worst of {counted(exported.images, 'image')}"
    )
