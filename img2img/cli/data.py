"""`img2img data check` and `img2img data preview`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from img2img.cli.output import console, counting, error_console, print_json
from img2img.cli.train import Assignments, Config, Data, DataA, DataB, data_flags

if TYPE_CHECKING:
    from img2img.config import RunConfig
    from img2img.data.dataset import DataSet

Unpaired = Annotated[
    bool, typer.Option("--unpaired", help="Two folders without pairs, as for cyclegan.")
]

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
    unpaired: Unpaired = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Find the images, decode every one, and name all that is wrong at once.

    Example: img2img data check --data my-pairs

    The exit status is 1 if anything is wrong.
    """
    from img2img.data.check import check_data

    kind, run = _kind_and_config(unpaired, config, data_flags(data, data_a, data_b), assignments)
    with counting("checking images") as progress:
        report = check_data(kind, run.data, run.seed, progress)
    found = report.found
    sizes = {
        domain: {f"{w}x{h}": count for (h, w), count in counts.most_common()}
        for domain, counts in report.survey.sizes.items()
    }
    if as_json:
        print_json(
            {
                "layout": found.layout,
                "train": len(found),
                "held_out": len(found.held_out),
                "sizes": sizes,
                "formats": dict(report.survey.formats),
                "passed_over": dict(report.passed_over),
                "problems": [
                    {"kind": p.kind, "name": p.name, "message": p.message} for p in report.problems
                ],
            }
        )
    else:
        _say("layout", found.layout)
        _say("images", f"{found.counts}, {len(found.held_out)} held out")
        if sizes["A"] == sizes["B"]:  # as of pairs
            sizes = {"A and B": sizes["A"]}
        for domain, counts in sizes.items():
            shown = ", ".join(f"{size} ({n})" for size, n in list(counts.items())[:8])
            _say("sizes", f"{domain}: {shown}")
        _say("formats", ", ".join(f"{f} ({n})" for f, n in report.survey.formats.most_common()))
        if report.passed_over:
            unread = ", ".join(f"{s} ({n})" for s, n in report.passed_over.items())
            _say("not read", f"{unread}; convert them to PNG, JPEG or TIFF")
        for notice in found.notices():
            _say("note", notice)
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
    unpaired: Unpaired = False,
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs, a row each.")] = 4,
    variants: Annotated[int, typer.Option(min=1, help="How many augmentations of each.")] = 4,
) -> None:
    """Draw some images as training will see them: cropped, flipped, coloured.

    Example: img2img data preview --data my-pairs --output preview.png
    """
    from img2img.data.preview import preview_data
    from img2img.images import write_picture

    kind, run = _kind_and_config(unpaired, config, data_flags(data, data_a, data_b), assignments)
    with counting("looking at images") as progress:
        sheet = preview_data(kind, run.data, run.seed, pairs, variants, progress)
    write_picture(output, sheet)
    console.print(f"wrote {output}", markup=False)


def _kind_and_config(
    unpaired: bool, config: Path | None, flags: dict[str, Any], assignments: list[str] | None
) -> "tuple[type[DataSet], RunConfig]":
    """What the folders hold, and the configuration to read them by."""
    from img2img.config import load_config
    from img2img.data.paired import PairedData
    from img2img.data.unpaired import UnpairedData

    run = load_config("cyclegan" if unpaired else "pix2pix", config, flags, assignments or [])
    return UnpairedData if unpaired else PairedData, run


def _say(name: str, value: str) -> None:
    console.print(f"{name:10}{value}", markup=False, soft_wrap=True)
