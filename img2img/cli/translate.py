"""`img2img translate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from img2img.cli.output import console, counting, error_console, print_json, say_note


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
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave results that are already there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Translate images of any size with a trained model.

    Example: img2img translate --model runs/mine --input photos --output translated

    Each result has the size, bit depth and transparency of its input. A file that cannot be
    translated is named and does not stop the others; the exit status is then 1.
    """
    from img2img.checkpoint import SCALE_WORTH_SAYING
    from img2img.images import count_unreadable
    from img2img.inference.folder import plan, translate_files
    from img2img.inference.translator import Translator

    jobs = plan(source, output, image_format)
    translator = Translator.load(model, device=device, direction=direction, scale=scale)
    trained = translator.spec.scale
    if scale == "native" and not 1 / SCALE_WORTH_SAYING <= trained <= SCALE_WORTH_SAYING:
        say_note(
            f"the model was trained on images at {100 * trained:.0f} % of their size, and pictures"
            " are translated at their own; --scale trained may look better"
        )
    if Path(source).is_dir() and (unread := count_unreadable(Path(source))):
        kinds = ", ".join(f"{suffix} ({count})" for suffix, count in unread.items())
        say_note(f"passed over, as their kinds are not read: {kinds}")
    with counting("translating") as progress:
        report = translate_files(translator, jobs, skip_existing=skip_existing, progress=progress)
    if as_json:
        print_json(
            {
                "written": [str(path) for path in report.written],
                "skipped": [str(path) for path in report.skipped],
                "failed": {str(path): reason for path, reason in report.failed.items()},
            }
        )
    else:
        skipped = f", {len(report.skipped)} were there already" if report.skipped else ""
        where = jobs[0].target if len(jobs) == 1 else output
        console.print(f"{len(report.written)} translated to {where}{skipped}", markup=False)
    for reason in report.failed.values():
        error_console.print(f"failed: {reason}", markup=False, soft_wrap=True)
    if report.failed:
        raise typer.Exit(1)
