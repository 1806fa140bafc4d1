"""`img2img compare`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from img2img.cli import completion
from img2img.cli.models import plausible
from img2img.cli.output import console, counting, print_json, printable, say_note, split_names
from img2img.cli.pairing import (
    DataA,
    DataB,
    Match,
    Pairs,
    SideBySide,
    Unequal,
    pairing_flags,
    pairing_of,
    test_set_at,
)
from img2img.errors import ConfigError


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Two models or more: run folders, model files, what `img2img export` wrote, "
            "checkpoints of pytorch-CycleGAN-and-pix2pix.",
            autocompletion=completion.models,
            callback=plausible,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data set, of which test is taken, else val, else all of it. Without: the images "
            "that all the runs held out."
        ),
    ] = None,
    data_a: DataA = None,
    data_b: DataB = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None,
        typer.Option(help="Which way to translate, if the models have both."),
    ] = None,
    scale: Annotated[
        Literal["auto", "native", "trained"],
        typer.Option(
            help="Translate pictures at their own size (native) or resized as in training"
            " (trained). auto: trained where that changes the sides by more than 1.5"
            " times."
        ),
    ] = "auto",
    measures: Annotated[
        str | None,
        typer.Option(help="Which to take, like l1,psnr,kid; by default all that can be had."),
    ] = None,
    features: Annotated[
        Literal["auto", "inception", "efficientnet-lite0"],
        typer.Option(help="The network that sees images for measures of sets."),
    ] = "auto",
    weights: Annotated[
        Path | None,
        typer.Option(help="File of a feature network's weights, or a folder of such files."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Page to write.")] = Path("compare.html"),
    examples: Annotated[
        int,
        typer.Option(
            min=0, max=200, help="How many images it shows: those that the models differ on most."
        ),
    ] = 24,
    side_by_side: SideBySide = False,
    match: Match = None,
    pairs: Pairs = None,
    unequal: Unequal = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare models on one test set: quality, speed and size, in a table and on a page.

    Example: img2img compare runs/mine runs/other --data datasets/icons

    The page is one HTML file with all that it shows: each measure with its interval, on how many
    images one model is better than the other, and the images on which they differ most.
    """
    from rich.markup import escape
    from rich.table import Table

    from img2img.evaluation.comparison import compare_models
    from img2img.evaluation.verdict import verdict
    from img2img.pages import write_comparison

    if output.is_dir():
        raise ConfigError(f"--output {output}: a folder, where a file's name is wanted")
    with counting("translating") as counter:
        found = compare_models(
            models,
            test_set_at(data, data_a, data_b),
            direction=direction,
            scale=scale,
            examples=examples,
            measures=split_names(measures),
            features=features,
            weights=weights,
            device=device,
            pairing=pairing_of(pairing_flags(match, pairs, unequal, side_by_side)),
            progress=counter,
            say=say_note,
        )
    write_comparison(found, output)
    if as_json:
        print_json({**found.to_json(), "page": str(output)})
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for model in found.models:
        table.add_column(escape(printable(model.name)), justify="right", overflow="fold")
    table.add_column("input", justify="right")
    for name in dict.fromkeys(name for model in found.models for name in model.figures):
        figures = [model.figures.get(name) for model in found.models]
        before = [f"{f.baseline:.3g}" for f in figures if f and f.baseline is not None][:1]
        table.add_row(name, *(str(figure) if figure else "" for figure in figures), *before)
    table.add_row("scale", *(model.scale for model in found.models))
    table.add_row("ms a picture", *(f"{1e3 * model.seconds:.1f}" for model in found.models))
    table.add_row("MB", *(f"{model.bytes / 1e6:.1f}" for model in found.models))
    console.print(table)
    console.print(printable(f"images: {found.where}"), markup=False, soft_wrap=True)
    console.print(printable(verdict(found)), markup=False, soft_wrap=True)
    console.print(printable(f"wrote {output}"), markup=False, soft_wrap=True)
