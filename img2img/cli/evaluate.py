"""`img2img evaluate`."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    ScaleIfGiven,
    SideBySide,
    TestData,
    Unequal,
    Weights,
    pairing_of,
    test_data_of,
)
from img2img.cli.output import (
    console,
    counting,
    error_console,
    print_json,
    say,
    say_note,
    split_names,
)
from img2img.errors import ConfigError

if TYPE_CHECKING:
    from img2img.evaluation.measuring import Evaluation
    from img2img.metrics.measure import Figure

# Of the table in a file, in order.
COLUMNS = (
    *("value", "low", "high", "baseline", "n", "n_real", "higher_is_better"),
    *("network", "resize", "scale", "note"),
)


def evaluate(
    context: typer.Context,
    result: Annotated[
        Path | None, typer.Argument(help="Folder of translated images to measure.")
    ] = None,
    real: Annotated[
        Path | None, typer.Argument(help="Folder of real images to compare them with.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            help="Measure a model instead of two folders.",
            autocompletion=completion.models,
            callback=check_model_option,
        ),
    ] = None,
    data: TestData = None,
    data_a: Inputs = None,
    data_b: DataB = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="With two folders: the folder of inputs, which are also measured for comparison.",
        ),
    ] = None,
    pages: Annotated[
        Literal["auto", "slices", "channels"],
        typer.Option(
            help="With two folders: what the pages of their files are; auto: what the files say."
        ),
    ] = "auto",
    scale: ScaleIfGiven = None,
    direction: Direction = None,
    side_by_side: SideBySide = False,
    match: Match = None,
    pairs: Pairs = None,
    unequal: Unequal = None,
    measures: Measures = None,
    features: Features = "auto",
    weights: Weights = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the confidence intervals.")] = 0,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Cache the features of the real images.")
    ] = True,
    as_json: AsJson = False,
    as_csv: Annotated[
        Path | None, typer.Option("--csv", help="Also write the table to this CSV file.")
    ] = None,
    fail_above: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Exit with status 1 if the measure is above this."),
    ] = None,
    fail_below: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Exit with status 1 if the measure is below this."),
    ] = None,
) -> None:
    """Measure translations: a folder against the real images, or a model on a test set.

    Examples: img2img evaluate out/ data/test/B

    img2img evaluate --model runs/mine --data data --fail-above kid=0.05

    Each figure has a 95 % confidence interval. The exit status is 1 if a limit is exceeded.
    """
    from img2img.evaluation.folders import evaluate_folders
    from img2img.evaluation.models import evaluate_model
    from img2img.evaluation.options import EvaluationOptions, chosen
    from img2img.metrics.measure import MEASURES

    above, below = ([*map(_limit, texts or [])] for texts in (fail_above, fail_below))
    names = split_names(measures)
    limited = [name for name, _ in (*above, *below)]
    if names is None and any(not MEASURES[name].by_default for name in limited):
        names = chosen(None, {"pair", "set"})  # and what is named by a limit
    named = tuple(names or ()) if measures else ()
    if names is not None:
        names += [name for name in dict.fromkeys(limited) if name not in names]
    with counting("measuring images") as progress:
        options: EvaluationOptions = {
            "measures": names,
            "required": named,
            "features": features,
            "weights": weights,
            "device": device,
            "seed": seed,
            "pairing": pairing_of(context.params),
            "cache": cache,
            "progress": progress,
            "say": say_note,
        }
        test_set = test_data_of(context.params)
        if result and real and not (model or test_set or direction or scale):
            evaluation = evaluate_folders(result, real, inputs=inputs, pages=pages, **options)
        elif model and not (result or real or inputs or pages != "auto"):
            evaluation = evaluate_model(
                model, test_set, direction=direction, scale=scale or "auto", **options
            )
        else:
            raise ConfigError(
                "evaluate: give either two folders (optionally with --input, --pages) or --model"
                " (optionally with --data, --direction, --scale); see img2img evaluate -h"
            )
    if not evaluation.figures:
        raise ConfigError(
            f"nothing could be measured: {'; '.join(dict.fromkeys(evaluation.missing.values()))}"
        )
    if as_json:
        print_json(evaluation.to_json())
    else:
        _print_table(evaluation)
    if as_csv:
        _write_csv(as_csv, evaluation)
    for reason in dict.fromkeys(evaluation.missing.values()):
        without = [name for name, why in evaluation.missing.items() if why == reason]
        say_note(f"not measured: {', '.join(without)}: {reason}")
    failures = [*_past(evaluation, above, "above"), *_past(evaluation, below, "below")]
    for failure in failures:
        say(failure, error_console)
    if failures:
        raise typer.Exit(1)


def _limit(text: str) -> tuple[str, float]:
    """The measure and the limit in a text such as `kid=0.05`."""
    from img2img.evaluation.options import chosen

    name, _, value = text.partition("=")
    chosen([name], {"pair", "set", "cycle"})
    try:
        return name, float(value)
    except ValueError:
        raise ConfigError(f"{text!r}: write it as NAME=VALUE, such as kid=0.05") from None


def _past(
    evaluation: "Evaluation", limits: Sequence[tuple[str, float]], side: Literal["above", "below"]
) -> Iterator[str]:
    """A line for each measure that exceeds its limit or was not measured."""
    for name, limit in limits:
        figure = evaluation.figures.get(name)
        if figure is None:
            yield f"failed: {name} could not be measured"
        # Whatever is no number is past every limit.
        elif not (figure.value <= limit if side == "above" else figure.value >= limit):
            yield f"failed: {name} is {figure.value:.4g}, {side} {limit:g}"


def _print_table(evaluation: "Evaluation") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    baseline = any(figure.baseline is not None for figure in evaluation.figures.values())
    columns = ("value", "95 % interval", *(["input"] if baseline else []), "images")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("better")
    table.add_column("network")
    for figure in evaluation.figures.values():
        table.add_row(
            figure.name,
            f"{figure.value:.4g}",
            "" if figure.low is None else f"{figure.low:.4g} .. {figure.high:.4g}",
            *(["" if figure.baseline is None else f"{figure.baseline:.4g}"] if baseline else []),
            str(figure.n),
            "higher" if figure.higher_is_better else "lower",
            escape(figure.network or ""),
        )
        for channel, value in (figure.channels or {}).items():
            table.add_row(f"  {escape(channel)}", f"{value:.4g}")
    console.print(table)
    for line in _said(evaluation):
        say(line)
    for resize in dict.fromkeys(f.resize for f in evaluation.figures.values() if f.resize):
        say(f"resized for the network: {resize}")
    for figure in evaluation.figures.values():
        if figure.note:
            say(f"{figure.name}: {figure.note}")


def _said(evaluation: "Evaluation") -> Iterator[str]:
    """Lines that say what was measured, at which scale, and whether it is better than the input."""
    figures = evaluation.figures.values()
    if evaluation.where:
        yield f"images: {evaluation.where}"
    for scale in dict.fromkeys(figure.scale for figure in figures if figure.scale):
        yield f"scale: {scale}"
    for figure in figures:
        if figure.in_units:
            each = ", ".join(f"{name} {value:.4g}" for name, value in figure.in_units.items())
            yield f"{figure.name} in the numbers of the files: {each}"
    if any(figure.baseline is not None for figure in figures):
        yield "input: the same measure for the untouched inputs"
    if worse := [figure.name for figure in figures if figure.no_better]:
        yield f"no better than the untouched input: {', '.join(worse)}"


def _write_csv(path: Path, evaluation: "Evaluation") -> None:
    from img2img.runtime.files import atomic_write

    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("measure", *COLUMNS))
        for name, figure in evaluation.figures.items():
            writer.writerow((name, *_cells(figure)))


def _cells(figure: "Figure") -> Sequence[object]:
    tree = figure.to_json()
    return [tree[column] for column in COLUMNS]
