"""`img2img import`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from img2img.cli.models import check_model_option
from img2img.cli.options import AsJson, options_of
from img2img.cli.output import print_json, say, say_note
from img2img.cli.wording import in_options
from img2img.errors import ConfigError


def import_(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Checkpoints such as latest_net_G.pth, or their folder; for a CycleGAN, both"
            " generators.",
            callback=check_model_option,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Model file to write; default: named after the first input."
        ),
    ] = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None,
        typer.Option(help="Direction of a single generator; default: AtoB."),
    ] = None,
    statistics: Annotated[
        Literal["image", "running"],
        typer.Option(
            help="Statistics that BatchNorm uses: those of each image, as in the reference's test"
            " script, or the running averages, as with its --eval."
        ),
    ] = "image",
    dropout: Annotated[
        bool,
        typer.Option(
            "--dropout/--no-dropout",
            help="Keep dropout on, as the reference does when testing Pix2Pix; results are then"
            " random.",
        ),
    ] = False,
    crop_size: Annotated[
        int, typer.Option(min=1, max=8192, help="Side of the training crops, in pixels.")
    ] = 256,
    padding: Annotated[
        Literal["reflect", "replicate"],
        typer.Option(help="Mode of the padding layers, which cannot be inferred from the weights."),
    ] = "reflect",
    upsample: Annotated[
        Literal["nearest", "bilinear"] | None,
        typer.Option(
            help="Interpolation of upsampling layers; default: bilinear if a padding layer follows,"
            " else nearest."
        ),
    ] = None,
    norm: Annotated[
        Literal["instance", "none"] | None,
        typer.Option(
            help="Normalisation of networks whose norms have no weights; default: instance if their"
            " convolutions have biases, else none."
        ),
    ] = None,
    value_range: Annotated[
        Literal["-1,1", "0,1"], typer.Option(help="Values of black and white in training.")
    ] = "-1,1",
    output_function: Annotated[
        Literal["tanh", "sigmoid"],
        typer.Option("--output-function", help="Activation of the last layer."),
    ] = "tanh",
    part: Annotated[
        str | None,
        typer.Option(help="Import only the networks whose names in the file begin with this."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert checkpoints of pytorch-CycleGAN-and-pix2pix, CUT and their forks to a model file.

    Example: img2img import checkpoints/horse2zebra --output horse2zebra.safetensors

    Architecture and sizes are inferred from the weights. Settings that cannot be inferred are
    printed, with the options that change them. No code in the files is run. `translate`, `info`,
    `export` and `train --init-from` also take such checkpoints directly, with default settings.
    """
    from img2img.models.checkpoint import write_model
    from img2img.models.compat.collection import ImportOptions, import_files

    options = options_of(ImportOptions, context.params, output=output_function)
    target = output or Path(f"{files[0].resolve().stem}.safetensors")
    if output is None and target.exists():
        raise ConfigError(f"{target} exists already; choose another file with --output")
    if target.exists() and any(_holds(file, target) for file in files):
        raise ConfigError(f"--output {target}: one of the inputs; choose another file")
    imported = import_files(files, options)
    model = imported.model
    write_model(target, model)
    for note in imported.notes:
        say_note(note)
    names = {"output": "output_function"}
    assumed = {names.get(key, key): value for key, value in imported.assumed.items()}
    if as_json:
        networks = {
            name: spec.model_dump(mode="json")
            for name, spec in (model.specs | model.discriminators).items()
        }
        print_json(
            {
                "output": str(target),
                "networks": networks,
                "assumed": assumed,
                "notes": imported.notes,
            }
        )
        return
    for name, spec in (model.specs | model.discriminators).items():
        settings = ", ".join(f"{key} {value}" for key, value in spec.arguments.items())
        say(f"{name}: {spec.architecture}, {settings}")
    if assumed:
        shown = in_options(", ".join(f"`{key}={value}`" for key, value in assumed.items()))
        say(f"assumed, because it cannot be inferred from the weights: {shown}")
    say(f"wrote {target}")


def _holds(given: Path, target: Path) -> bool:
    """Whether a file or folder that was given is, or has in it, a file."""
    if given.is_dir():
        return any(target.samefile(file) for file in given.iterdir())
    return given.exists() and target.samefile(given)
