"""`img2img export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from img2img.cli import completion
from img2img.cli.models import plausible
from img2img.cli.output import (
    console,
    error_console,
    parsed_size,
    print_json,
    printable,
    say_note,
)
from img2img.errors import ConfigError


def export(
    model: Annotated[
        Path,
        typer.Argument(
            help="Run folder, or a model file from one.",
            autocompletion=completion.models,
            callback=plausible,
        ),
    ],
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            help="onnx: one file that most runtimes take; openvino: .xml and .bin; torch: a "
            "program of torch.export; reference: latest_net_G.pth and the like, as "
            "pytorch-CycleGAN-and-pix2pix has them.",
        ),
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write, or a folder for it; by default beside the model."
        ),
    ] = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None,
        typer.Option(help="Which way to export, if the model has both."),
    ] = None,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels",
            help="Take and give uint8 pixels, (batch, height, width, 3), instead of the floats "
            "that the network has.",
        ),
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Weights in float16: half the size, nearly the same.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="One fixed size for all pictures, width x height; by default any size.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="A fixed number of pictures in a batch; by default any number."),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(min=11, help="ONNX operator set, for older runtimes; by default 18."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Picture or folder to compare on; by default some satellite pictures."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Grey levels that the result may differ by from PyTorch's float32, on average, on "
            "any picture; by default 0.05, with --half 0.5.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Write a model in a format that other programs run, and prove that it is the same there.

    Example: img2img export runs/mine --format onnx --output mine.onnx

    Any number of images, of any height and width that are multiples of what `img2img info` says,
    go through the exported model, unless --batch and --size fix them. It is run on pictures before
    it is kept; if it differs from what PyTorch gives, no file is left and the exit status is 1.
    `img2img translate --model mine.onnx` runs ONNX and OpenVINO files.
    """
    from dataclasses import asdict

    from img2img.export import FORMATS, export_model, export_reference

    if format_name == "reference":
        others = (images, tolerance, size, batch, opset)
        if pixels or half or any(option is not None for option in others):
            raise ConfigError("--format reference: the weights as they are, with no other option")
        files, notes = export_reference(model, output, direction=direction)
        for note in notes:
            say_note(note)
        if as_json:
            print_json({"files": [str(file) for file in files], "format": format_name})
        else:
            names = printable(" and ".join(map(str, files)))
            console.print(f"wrote {names}", markup=False, soft_wrap=True)
        return
    if format_name not in FORMATS.names():
        names = ", ".join([*FORMATS.names(), "reference"])
        raise ConfigError(f"--format {format_name}: there are {names}")
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
    console.print(
        f"wrote {names} ({exported.direction}, {exported.bytes / 1e6:.1f} MB)\n"
        f"differs from PyTorch's float32 by {exported.mean:.2g} grey levels of 255 on average and"
        f" {exported.largest:.2g} at most on the worst of {exported.images} images",
        markup=False,
        soft_wrap=True,
    )
