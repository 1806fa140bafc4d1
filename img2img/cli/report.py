"""`img2img report`."""

from pathlib import Path
from typing import Annotated

import typer

from img2img.cli import completion
from img2img.cli.options import Device, Scale, Show
from img2img.cli.output import counting, say, say_note


def report(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run folder; training may still be running.", autocompletion=completion.runs
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="File to write; default: report.html in the run folder.")
    ] = None,
    examples: Annotated[
        int,
        typer.Option(min=0, max=100, help="Number of best and of worst held-out images to show."),
    ] = 8,
    scale: Scale = "auto",
    device: Device = "auto",
    show: Show = None,
) -> None:
    """Write a page that shows how a training run went, and its results.

    Example: img2img report runs/mine

    A single HTML file to open in a browser or send to someone: losses and measures, samples during
    training, the best and worst held-out images, time and memory, the data, and the commands that
    reproduce the run.
    """
    from img2img.pages import write_report

    with counting("translating") as counter:
        path = write_report(
            run,
            output,
            examples=examples,
            scale=scale,
            device=device,
            show=show or (),
            progress=counter,
            say=say_note,
        )
    say(f"wrote {path}")
