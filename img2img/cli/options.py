"""Options that several commands share, and the configuration keys that they set."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import typer

from img2img.cli import completion
from img2img.cli.models import check_model_option
from img2img.cli.wording import OPTIONS_OF_KEYS
from img2img.errors import ConfigError

if TYPE_CHECKING:
    from img2img.config import PairingConfig

Kind = TypeVar("Kind")

Model = Annotated[
    Path,
    typer.Argument(
        help="Run folder, or the model file of a run.",
        autocompletion=completion.models,
        callback=check_model_option,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help=(
            "Folder of images that contains A/ and B/, trainA/ and trainB/, train/A and train/B,"
            " or side-by-side pairs."
        )
    ),
]
Inputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--data-a",
        metavar="<path>",
        help="Folder of the A images; use it with --data-b instead of --data. Given several times,"
        " the images of the same name together are the input, as its channels.",
    ),
]
DataB = Annotated[
    Path | None,
    typer.Option(help="Folder of the B images; use it with --data-a instead of --data."),
]
TestData = Annotated[
    Path | None,
    typer.Option(
        help=(
            "Data set to measure models on: its split test, otherwise val, otherwise all images."
            " Default: the held-out images of the runs."
        )
    ),
]
SideBySide = Annotated[
    bool,
    typer.Option("--side-by-side", help="Each image in --data is a pair, with A on the left."),
]
Match = Annotated[
    Literal["exact", "case", "suffix", "number"] | None,
    typer.Option(
        help=(
            "How file names are matched into pairs. exact, the default: equal names; case:"
            " ignoring case, separators and leading zeros; suffix: also ignoring a common prefix"
            " or suffix; number: comparing only the numbers in the names."
        )
    ),
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="CSV table of pairs: file of A, file of B. `data check --write-pairs` writes one.",
    ),
]
Unequal = Annotated[
    Literal["refuse", "stretch", "fit", "pad"] | None,
    typer.Option(
        help=(
            "What to do with pairs whose aspect ratios differ by more than 2 %: refuse them (the"
            " default), or stretch, fit (scale and crop) or pad the target (with white borders)."
        )
    ),
]
Direction = Annotated[
    Literal["AtoB", "BtoA"] | None,
    typer.Option(help="Translation direction of a two-way model."),
]
_SCALE = typer.Option(
    help=(
        "Translate images at their own size (native) or at the size used in training (trained)."
        " auto, the default: trained if that resizes by more than a factor of 1.5, otherwise"
        " native."
    )
)
Scale = Annotated[Literal["auto", "native", "trained"], _SCALE]
ScaleIfGiven = Annotated[Literal["auto", "native", "trained"] | None, _SCALE]
Show = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CHANNELS",
        help="Channels to show as red, green and blue, by number or name, such as 4,3,2; or one and"
        " its colour map: 1:viridis; of one domain: A=4,3,2. Can be repeated. Default: as in"
        " training.",
    ),
]
Measures = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="What to measure: l1, psnr, ssim, ms_ssim, lpips, lpips_vgg, fid, kid, is, precision,"
        " recall, density, coverage, cycle. Default: all that need no download.",
    ),
]
Features = Annotated[
    Literal["auto", "inception", "efficientnet-lite0"],
    typer.Option(
        help=(
            "Feature network of fid, kid and other set measures. auto: inception if its weights"
            " are on this machine, otherwise efficientnet-lite0. If you name inception, it is"
            " downloaded if necessary."
        )
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights of a feature network: a file, or a folder of such files."),
]
_DEVICE = typer.Option(
    help="Device to compute on: auto, cpu, mps, cuda, or one GPU such as cuda:1."
)
Device = Annotated[str, _DEVICE]
DeviceIfGiven = Annotated[str | None, _DEVICE]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def options_of(kind: type[Kind], parameters: Mapping[str, Any], **others: Any) -> Kind:
    """Options of the library from those of the same names that a command has; and others."""
    names = {each.name for each in fields(cast(Any, kind))}
    return kind(**{name: parameters[name] for name in names & parameters.keys()} | others)


def keys_given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration keys for the options that were given to a command with these
    `parameters`."""
    given = {}
    for key, name in OPTIONS_OF_KEYS.items():
        value = parameters.get(name)
        if name == "data_a" and isinstance(value, list | tuple):  # which may be several inputs
            one = value[0] if len(value) == 1 else None
            several = [*value] if len(value) > 1 else None
            value = one if key == "data.root_a" else several
        elif key == "data.inputs":
            continue
        if value is not None and value is not False:
            key, _, fixed = key.partition("=")  # noqa: PLW2901
            given[key] = fixed or value
    return given


def pairing_of(parameters: Mapping[str, Any]) -> "PairingConfig | None":
    """How to find pairs without a run's configuration; None if no such option was given."""
    from img2img.config import PairingConfig

    given = {key.removeprefix("data."): value for key, value in keys_given(parameters).items()}
    given = {key: value for key, value in given.items() if key in PairingConfig.model_fields}
    return PairingConfig(**given) if given else None


def test_data_of(
    parameters: Mapping[str, Any],
) -> Path | tuple[Path | Sequence[Path], Path] | None:
    """The images to measure on: a data set, or two folders, of A and of B."""
    data, data_a, data_b = (parameters[name] for name in ("data", "data_a", "data_b"))
    if not data_a and data_b is None:
        return data  # type: ignore[no-any-return]
    if data is not None or not data_a or data_b is None:
        raise ConfigError("give `data`, or `data_a` and `data_b` together")
    return data_a[0] if len(data_a) == 1 else data_a, data_b
