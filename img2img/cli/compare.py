"""`img2img compare`."""

from pathlib import Path
from typing import Annotated

import typer

from img2img.cli import completion
from img2img.cli.models import check_model_option
from img2img.cli.options import (
    AsJson,
    DataB,
    Device,
    Direction,
    Features,
    Inputs,
    Match,
    Measures,
    Pairs,
    Scale,
    Show,
    SideBySide,
    TestData,
    Unequal,
    Weights,
    pairing_of,
    test_data_of,
)
from img2img.cli.output import console, counting, print_json, printable, say, say_note, split_names
from img2img.errors import ConfigError


def compare(
    context: typer.Context,
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more models: run folders, model files, exported models, or checkpoints"
            " of pytorch-CycleGAN-and-pix2pix.",
            autocompletion=completion.models,
            callback=check_model_option,
        ),
    ],
    data: TestData = None,
    data_a: Inputs = None,
    data_b: DataB = None,
    direction: Direction = None,
    scale: Scale = "auto",
    measures: Measures = None,
    features: Features = "auto",
    weights: Weights = None,
    output: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("compare.html"),
    examples: Annotated[
        int,
        typer.Option(
            min=0,
            max=200,
            help="Number of images on the page: those on which the models differ most.",
        ),
    ] = 24,
    side_by_side: SideBySide = False,
    match: Match = None,
    pairs: Pairs = None,
    unequal: Unequal = None,
    device: Device = "auto",
    show: Show = None,
    as_json: AsJson = False,
) -> None:
    """Compare models on one test set: quality, speed and size, in a table and on a page.

    Example: img2img compare runs/mine runs/other --data datasets/icons

    The page is a single HTML file. It shows each measure with its confidence interval, the number
    of images on which one model beats the other, and the images on which they differ most.
    """
    from rich.markup import escape
    from rich.table import Table

    from img2img.evaluation.comparison import compare_models
    from img2img.evaluation.verdict import verdict
    from img2img.pages import write_comparison

    if output.is_dir():
        raise ConfigError(f"--output {output} is a folder; give the name of a file")
    with counting("translating") as counter:
        found = compare_models(
            models,
            test_data_of(context.params),
            direction=direction,
            scale=scale,
            examples=examples,
            show=show or (),
            measures=split_names(measures),
            features=features,
            weights=weights,
            device=device,
            pairing=pairing_of(context.params),
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
    table.add_row("ms per image", *(f"{1e3 * model.seconds:.1f}" for model in found.models))
    table.add_row("MB", *(f"{model.bytes / 1e6:.1f}" for model in found.models))
    console.print(table)
    say(f"images: {found.where}")
    say(verdict(found))
    say(f"wrote {output}")
