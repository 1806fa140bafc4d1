"""`img2img data check` and `img2img data preview`."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from img2img.cli.command import Command, Group
from img2img.cli.options import (
    AsJson,
    Data,
    DataB,
    Inputs,
    Match,
    Pairs,
    SideBySide,
    Unequal,
    keys_given,
)
from img2img.cli.output import counting, error_console, print_json, say
from img2img.cli.train import Assignments, Config
from img2img.cli.wording import in_options
from img2img.errors import ConfigError, counted

if TYPE_CHECKING:
    from img2img.config import RunConfig
    from img2img.data.check import DataReport
    from img2img.data.dataset import DataSet

# So many problems of a kind are named one by one; of more, three.
FEW = 10

Unpaired = Annotated[
    bool,
    typer.Option(
        "--unpaired", help="Check two folders of images without pairs, as cyclegan uses them."
    ),
]

data_app = typer.Typer(cls=Group, help="Check and preview a data set before training on it.")


@data_app.command("check", cls=Command)
def check(
    context: typer.Context,
    data: Data = None,
    data_a: Inputs = None,
    data_b: DataB = None,
    side_by_side: SideBySide = False,
    match: Match = None,
    pairs: Pairs = None,
    unequal: Unequal = None,
    config: Config = None,
    assignments: Assignments = None,
    unpaired: Unpaired = False,
    write_pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Write the pairs, including proposed ones, to a table that you can correct and"
            " then pass to training as --pairs.",
        ),
    ] = None,
    all_problems: Annotated[
        bool,
        typer.Option(
            "--all",
            help=f"List every problem. By default, if there are more than {FEW} of one kind, only"
            " three are shown.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the images, decode all of them, and list every problem at once.

    Example: img2img data check --data my-pairs

    If names or shapes do not quite match, it proposes options that make them match. The exit status
    is 1 if there is any problem.
    """
    from img2img.data.check import check_data, remarks
    from img2img.data.domains import resolve_domains
    from img2img.data.pair_list import write_pairs as write_table
    from img2img.data.value_notices import value_facts, value_notices

    flags = keys_given(context.params)
    kind, run = _kind_and_config(unpaired, config, flags, assignments)
    with counting("checking images") as progress:
        report = check_data(kind, run.data, run.seed, progress)
    domains = resolve_domains(run.data, report.survey.values)
    found = report.found
    if write_pairs:
        A, B = run.data.folders[0], run.data.folders[-1]
        write_table(write_pairs, [(pair.A.path, pair.B.path) for pair in report.pairs], A, B)
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
                "values": {
                    side: {**domain.model_dump(), "bits": domain.bits}
                    for side, domain in domains.items()
                },
                "passed_over": dict(report.passed_over),
                "left_out": [str(path) for path in report.left_out],
                "proposal": _proposal_json(report),
                "problems": [
                    {"kind": p.kind, "name": p.name, "message": p.message} for p in report.problems
                ],
            }
        )
    else:
        _say("layout", found.layout)
        _say("images", f"{found.counts}, {len(found.held_out)} held out")
        if report.proposed:
            also = f"{report.proposed.counts}, {len(report.proposed.held_out)} held out"
            _say("proposal", f"{found.proposal}")
            _say("", f"this gives {also}")
        if sizes["A"] == sizes["B"]:  # as of pairs
            sizes = {"A and B": sizes["A"]}
        for domain, counts in sizes.items() if report.survey.formats else ():
            shown = ", ".join(f"{size} ({n})" for size, n in list(counts.items())[:8])
            _say("sizes", f"{domain}: {shown}")
        formats = report.survey.formats.most_common()
        _say("formats", ", ".join(f"{f} ({n})" for f, n in formats) or "no readable file")
        if formats:
            _say("values", value_facts(domains, report.survey.values))
        for notice in (
            *remarks(report, run.data),
            *found.notices(),
            *value_notices(domains, report.survey.values),
        ):
            _say("note", notice)
        _say("problems", str(len(report.problems)))
    for line in _problems(report, all_problems):
        say(in_options(line), error_console)
    if not as_json:
        for name, line in _ways_on(report, data, data_a, data_b, flags, write_pairs):
            _say(name, line)
    if report.problems:
        raise typer.Exit(1)


def _problems(report: "DataReport", every: bool) -> Iterator[str]:
    """A line for each problem; for many of one kind, a summary and three examples."""
    from img2img.data.problems import EXPLANATIONS

    kinds = dict.fromkeys(problem.kind for problem in report.problems)
    for kind in kinds:
        those = [problem for problem in report.problems if problem.kind == kind]
        if every or len(those) <= FEW:
            yield from (f"{kind}: {problem.message}" for problem in those)
        else:
            yield f"{kind}: {len(those)} {EXPLANATIONS[kind]}, such as"
            yield from (f"  {problem.message}" for problem in those[:3])
            yield "  ... (--all or --json names them all)"


def _ways_on(
    report: "DataReport",
    data: Path | None,
    data_a: list[Path] | None,
    data_b: Path | None,
    flags: dict[str, Any],
    table: Path | None,
) -> Iterator[tuple[str, str]]:
    """The next commands: to train on what was found, or to change how it is found."""
    from img2img.data.problems import NO_PAIRS, UNEQUAL

    proposal = report.found.proposal
    given = [("--data", data), *(("--data-a", each) for each in data_a or ()), ("--data-b", data_b)]
    words = [word for flag, path in given if path for word in (flag, str(path))]
    options = {key.removeprefix("data."): str(value) for key, value in flags.items()}
    if table:
        yield "wrote", f"{table}: {counted(len(report.pairs), 'pair')}"
        options |= {"pairs": str(table)}
        options.pop("match", None)
    elif proposal:
        options |= {"match": proposal.match}
    elif report.found.empty and report.problems:
        yield "no pairs", NO_PAIRS
    shapes = any(problem.kind == "size" for problem in report.problems)
    if shapes:
        yield "shapes", UNEQUAL
        options |= {"unequal": "fit"}
    if table or proposal or shapes:
        for key in ("match", "pairs", "unequal"):
            words += [f"--{key}", options[key]] if key in options else []
        yield "to train", shlex.join(["img2img", "train", "pix2pix", *words])
    if proposal and not table:
        line = ["img2img", "data", "check", *words, "--write-pairs", "pairs.csv"]
        yield "or first", f"{shlex.join(line)}, check the table, then train with --pairs pairs.csv"


def _proposal_json(report: "DataReport") -> dict[str, Any] | None:
    proposal = report.found.proposal
    if proposal is None:
        return None
    pairs = [[str(pair.A.path), str(pair.B.path)] for pair in report.pairs]
    return {"match": proposal.match, "pairs": pairs}


@data_app.command("preview", cls=Command)
def preview(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Image file to write.")] = Path("preview.png"),
    data: Data = None,
    data_a: Inputs = None,
    data_b: DataB = None,
    side_by_side: SideBySide = False,
    match: Match = None,
    pairs: Pairs = None,
    unequal: Unequal = None,
    config: Config = None,
    assignments: Assignments = None,
    unpaired: Unpaired = False,
    rows: Annotated[int, typer.Option(min=1, help="Number of rows, each with one pair.")] = 4,
    variants: Annotated[
        int, typer.Option(min=1, help="Number of augmented versions of each pair.")
    ] = 4,
) -> None:
    """Draw some images as training will see them: cropped, flipped, recoloured.

    Example: img2img data preview --data my-pairs --output preview.png
    """
    from img2img.data.preview import preview_data
    from img2img.images import write_picture

    kind, run = _kind_and_config(unpaired, config, keys_given(context.params), assignments)
    for folder in run.data.folders:
        if output.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(
                f"--output {output} is inside the data set, so it would become a training image;"
                " choose another place"
            )
    with counting("reading images") as progress:
        sheet = preview_data(kind, run.data, run.seed, rows, variants, progress)
    write_picture(output, sheet)
    say(f"wrote {output}")


def _kind_and_config(
    unpaired: bool, config: Path | None, flags: dict[str, Any], assignments: list[str] | None
) -> "tuple[type[DataSet], RunConfig]":
    """The class of data set for the folders, and the configuration to read them with."""
    from img2img.config import load_config
    from img2img.data.paired import PairedData
    from img2img.data.unpaired import UnpairedData

    run = load_config("cyclegan" if unpaired else "pix2pix", config, flags, assignments or [])
    return UnpairedData if unpaired else PairedData, run


def _say(name: str, value: str) -> None:
    say(f"{name:10}{in_options(value)}")
