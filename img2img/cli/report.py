"""`img2img report`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from img2img.cli import completion
from img2img.cli.output import console, counting, printable, say_note


def report(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run folder; the run may still be running.", autocompletion=completion.runs
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="File to write; by default report.html in the run folder.")
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            min=0, max=100, help="How many of the best held-out images, and of the worst, it shows."
        ),
    ] = 8,
    scale: Annotated[
        Literal["auto", "native", "trained"],
        typer.Option(
            help="Translate held-out images at their own size (native) or resized as in"
            " training (trained). auto: trained where that changes the sides by more than"
            " 1.5 times."
        ),
    ] = "auto",
    device: Annotated[
        str, typer.Option(help="Where to translate them: auto, cpu, cuda, cuda:1 or mps.")
    ] = "auto",
) -> None:
    """Write a page that shows how a run went and what came of it.

    Example: img2img report runs/mine

    One HTML file with all that it shows, to be opened in a browser or sent to somebody: losses and
    measures, samples through training, the held-out images that came out best and worst, time and
    memory, the data, and the commands that reproduce it.
    """
    from img2img.pages import write_report

    with counting("translating") as counter:
        path = write_report(
            run,
            output,
            examples=examples,
            scale=scale,
            device=device,
            progress=counter,
            say=say_note,
        )
    console.print(printable(f"wrote {path}"), markup=False, soft_wrap=True)
