"""Options that several commands have, and the keys of the configuration that they set."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import typer

from img2img.cli import completion
from img2img.cli.models import plausible
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
        callback=plausible,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder of images: A/ and B/, trainA/ and trainB/, train/A and train/B, "
        "or pairs side by side in one image."
    ),
]
DataA = Annotated[
    Path | None, typer.Option(help="Folder of the A images; with --data-b, instead of --data.")
]
DataB = Annotated[Path | None, typer.Option(help="Folder of the B images.")]
TestData = Annotated[
    Path | None,
    typer.Option(
        help="Data set to measure models on: its test images, else val, else all. Default: the"
        " held-out images of the runs."
    ),
]
SideBySide = Annotated[
    bool,
    typer.Option("--side-by-side", help="Each image in --data is a pair, with A on the left."),
]
Match = Annotated[
    Literal["exact", "case", "suffix", "number"] | None,
    typer.Option(
        help="How file names are matched into pairs. exact, the default: equal names; case:"
        " ignoring case, separators and leading zeros; suffix: also ignoring a common prefix"
        " or suffix; number: only the number in the name counts."
    ),
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Table of pairs: file of A, file of B. `data check --write-pairs` writes one.",
    ),
]
Unequal = Annotated[
    Literal["refuse", "stretch", "fit", "pad"] | None,
    typer.Option(
        help="Pairs whose aspect ratios differ by more than 2 %: refuse them (the default),"
        " stretch the target, fit it (scale and crop) or pad it (white borders)."
    ),
]
Direction = Annotated[
    Literal["AtoB", "BtoA"] | None,
    typer.Option(help="Translation direction of a two-way model."),
]
_SCALE = typer.Option(
    help="Translate images at their own size (native) or at the size used in training (trained)."
    " auto, the default: trained if that resizes by more than a factor of 1.5."
)
Scale = Annotated[Literal["auto", "native", "trained"], _SCALE]
ScaleIfGiven = Annotated[Literal["auto", "native", "trained"] | None, _SCALE]
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
        help="Feature network of fid, kid and other set measures. auto: inception if its weights"
        " are on this machine, else efficientnet-lite0. Naming inception may download it."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights of a feature network: a file, or a folder of such files."),
]
_DEVICE = typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")
Device = Annotated[str, _DEVICE]
DeviceIfGiven = Annotated[str | None, _DEVICE]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def options_of(kind: type[Kind], parameters: Mapping[str, Any], **others: Any) -> Kind:
    """Options of the library from those of the same names that a command has; and others."""
    names = {each.name for each in fields(cast(Any, kind))}
    return kind(**{name: parameters[name] for name in names & parameters.keys()} | others)


def keys_given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration's keys for the options that were given; `parameters` are the command's."""
    given = {}
    for key, name in OPTIONS_OF_KEYS.items():
        value = parameters.get(name)
        if value is not None and value is not False:
            key, _, fixed = key.partition("=")  # noqa: PLW2901
            given[key] = fixed or value
    return given


def pairing_of(parameters: Mapping[str, Any]) -> "PairingConfig | None":
    """How pairs are found, where there is no configuration of a run; None: nothing was given."""
    from img2img.config import PairingConfig

    given = {key.removeprefix("data."): value for key, value in keys_given(parameters).items()}
    given = {key: value for key, value in given.items() if key in PairingConfig.model_fields}
    return PairingConfig(**given) if given else None


def test_data_of(parameters: Mapping[str, Any]) -> Path | tuple[Path, Path] | None:
    """Where the images to measure on are: a data set, or two folders, of A and of B."""
    data, data_a, data_b = (parameters[name] for name in ("data", "data_a", "data_b"))
    if data_a is None and data_b is None:
        return data  # type: ignore[no-any-return]
    if data is not None or data_a is None or data_b is None:
        raise ConfigError("give `data`, or `data_a` and `data_b` together")
    return data_a, data_b
