"""The options that say which images are pairs, alike in training, checking and measuring."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from img2img.errors import ConfigError

if TYPE_CHECKING:
    from img2img.config import PairingConfig

DataA = Annotated[
    Path | None, typer.Option(help="Folder of the A images, with --data-b, instead of --data.")
]
DataB = Annotated[Path | None, typer.Option(help="Folder of the B images.")]
Match = Annotated[
    Literal["exact", "case", "suffix", "number"] | None,
    typer.Option(
        help="Which names are pairs. exact, the default: equal names; case: equal but"
        " for case, separators and leading zeros; suffix: also but for a common"
        " prefix or suffix; number: with the same number."
    ),
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Table of pairs: file of A, file of B. `data check --write-pairs` makes one.",
    ),
]
Unequal = Annotated[
    Literal["refuse", "stretch", "fit", "pad"] | None,
    typer.Option(
        help="Pairs whose shapes differ by more than 2 %: refuse them (the default), or"
        " stretch the target, fit it (scale and crop) or pad it (white borders)."
    ),
]
SideBySide = Annotated[
    bool,
    typer.Option("--side-by-side", help="Each image of --data is a pair, A on the left."),
]


def test_set_at(
    data: Path | None, data_a: Path | None, data_b: Path | None
) -> Path | tuple[Path, Path] | None:
    """Where the images are to measure on: a data set, or two folders, of A and of B."""
    if data_a is None and data_b is None:
        return data
    if data is not None or data_a is None or data_b is None:
        raise ConfigError("give --data, or --data-a and --data-b together")
    return data_a, data_b


def pairing_flags(
    match: str | None, pairs: Path | None, unequal: str | None, side_by_side: bool
) -> dict[str, Any]:
    """The configuration's keys for what was given."""
    layout = "side_by_side" if side_by_side else None
    flags = {"match": match, "pairs": pairs, "unequal": unequal, "layout": layout}
    return {f"data.{key}": value for key, value in flags.items() if value is not None}


def pairing_of(flags: dict[str, Any]) -> "PairingConfig | None":
    """The same, where there is no configuration of a run; None where nothing was given."""
    from img2img.config import PairingConfig

    if not flags:
        return None
    return PairingConfig(**{key.removeprefix("data."): value for key, value in flags.items()})
