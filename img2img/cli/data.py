"""`img2img data check` and `img2img data preview`."""

from pathlib import Path
from typing import Annotated

import typer

from img2img.cli.output import console, counting, error_console, print_json
from img2img.cli.train import Assignments, Config, Data, DataA, DataB, data_flags

data_app = typer.Typer(
    no_args_is_help=True, help="Look at a folder of images before training on it."
)


@data_app.command("check")
def check(
    data: Data = None,
    data_a: DataA = None,
    data_b: DataB = None,
    config: Config = None,
    assignments: Assignments = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Find the pairs, decode every image, and name all that is wrong at once.

    Example: img2img data check --data my-pairs

    The exit status is 1 if anything is wrong.
    """
    from img2img.config import load_config
    from img2img.data.check import check_data

    run = load_config("pix2pix", config, data_flags(data, data_a, data_b), assignments or [])
    with counting("checking images") as progress:
        report = check_data(run.data, run.seed, progress)
    sizes = {f"{w}x{h}": count for (h, w), count in report.survey.sizes.most_common()}
    if as_json:
        print_json(
            {
                "layout": report.layout,
                "train": report.train,
                "held_out": report.held_out,
                "sizes": sizes,
                "formats": dict(report.survey.formats),
                "passed_over": dict(report.passed_over),
                "problems": [
                    {"kind": p.kind, "name": p.name, "message": p.message} for p in report.problems
                ],
            }
        )
    else:
        _say("layout", report.layout)
        _say("pairs", f"{report.train} to train, {report.held_out} held out")
        _say("sizes", ", ".join(f"{size} ({n})" for size, n in list(sizes.items())[:8]))
        _say("formats", ", ".join(f"{f} ({n})" for f, n in report.survey.formats.most_common()))
        if report.passed_over:
            unread = ", ".join(f"{s} ({n})" for s, n in report.passed_over.items())
            _say("not read", f"{unread}; convert them to PNG, JPEG or TIFF")
        _say("problems", str(len(report.problems)))
    for problem in report.problems:
        error_console.print(f"{problem.kind}: {problem.message}", markup=False, soft_wrap=True)
    if report.problems:
        raise typer.Exit(1)


@data_app.command("preview")
def preview(
    output: Annotated[Path, typer.Option(help="The picture to write.")] = Path("preview.png"),
    data: Data = None,
    data_a: DataA = None,
    data_b: DataB = None,
    config: Config = None,
    assignments: Assignments = None,
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs, a row each.")] = 4,
    variants: Annotated[int, typer.Option(min=1, help="How many augmentations of each.")] = 4,
) -> None:
    """Draw some pairs as training will see them: cropped, flipped, coloured.

    Example: img2img data preview --data my-pairs --output preview.png
    """
    from img2img.config import load_config
    from img2img.data.preview import preview_data
    from img2img.images import write_picture

    run = load_config("pix2pix", config, data_flags(data, data_a, data_b), assignments or [])
    with counting("looking at images") as progress:
        sheet = preview_data(run.data, run.seed, pairs, variants, progress)
    write_picture(output, sheet)
    console.print(f"wrote {output}", markup=False)


def _say(name: str, value: str) -> None:
    console.print(f"{name:10}{value}", markup=False, soft_wrap=True)
