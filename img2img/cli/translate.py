"""`img2img translate`."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from img2img.cli.output import (
    console,
    counting,
    error_console,
    print_json,
    printable,
    say_note,
)

if TYPE_CHECKING:
    from img2img.inference.folder import Report

FAILURES_SHOWN = 20


def translate(
    model: Annotated[Path, typer.Option(help="Run folder, or a model file from one.")],
    source: Annotated[
        str,
        typer.Option(
            "--input", help="An image, a folder (with all folders in it), or a quoted glob."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(help="Folder for the results, which keep tree and names; or one file's name."),
    ],
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None, typer.Option(help="Where a model goes both ways: which.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    scale: Annotated[
        Literal["native", "trained"],
        typer.Option(
            help="Translate pictures at their own size, or resized as the training images were "
            "(the results have the pictures' size either way)."
        ),
    ] = "native",
    image_format: Annotated[
        str | None,
        typer.Option("--format", help="Format of the results, e.g. png; by default each file's."),
    ] = None,
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP results.")
    ] = 95,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Leave results that this model has made with these settings; redo what changed.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Let results replace their inputs, where --output is the input."
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Translate images of any size with a trained model.

    Example: img2img translate --model runs/mine --input photos --output translated

    Each result has the size, bit depth and transparency of its input. A file that cannot be
    translated is named and does not stop the others; the exit status is then 1. Started by
    `torchrun` or `accelerate launch`, several processes share the files.
    """
    from img2img.checkpoint import SCALE_WORTH_SAYING
    from img2img.devices import resolve_device
    from img2img.inference.folder import translate_folder
    from img2img.inference.translator import Translator
    from img2img.processes import joined

    with joined(resolve_device(device).type) as processes:
        translator = Translator.load(model, device=device, direction=direction, scale=scale)
        trained = translator.spec.scale
        if (
            processes.first
            and scale == "native"
            and not 1 / SCALE_WORTH_SAYING <= trained <= SCALE_WORTH_SAYING
        ):
            say_note(
                f"the model was trained on images at {100 * trained:.0f} % of their size, and"
                " pictures are translated at their own; --scale trained may look better"
            )
        with counting("translating") if processes.first else nullcontext() as progress:
            report = translate_folder(
                translator,
                source,
                output,
                image_format=image_format,
                quality=quality,
                skip_existing=skip_existing,
                overwrite=overwrite,
                compare=compare,
                gallery=gallery,
                processes=processes,
                progress=progress,
            )
        if processes.first:
            _say(report, as_json)
            if report.passed_over:
                counts = report.passed_over.items()
                kinds = ", ".join(f"{suffix} ({count})" for suffix, count in counts)
                say_note(f"passed over, as their kinds are not read: {kinds}")
    if report.failed:
        raise typer.Exit(1)


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
    for path, reason in [*report.failed.items()][:FAILURES_SHOWN]:
        line = printable(f"failed: {path}: {reason}")
        error_console.print(line, markup=False, soft_wrap=True)
    if len(report.failed) > FAILURES_SHOWN:
        more = len(report.failed) - FAILURES_SHOWN
        error_console.print(f"... and {more} more; --json lists all")
