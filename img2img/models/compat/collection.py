"""Checkpoints of other programs as a model of ours: one network per file, or several in one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

from pydantic import ValidationError

from img2img.archives.described import looks_like_pth
from img2img.archives.pth import Content, named_tensors, read_pth
from img2img.archives.safetensors import opened_safetensors
from img2img.config import Direction
from img2img.errors import ConfigError, ModelFileError, nearest_path, shortened, some_names
from img2img.images.domain import Domain
from img2img.models.compat.architectures import Assumptions
from img2img.models.compat.description import description_path, read_description
from img2img.models.compat.junyanz import Network, Unfitting, closest, described
from img2img.models.compat.search import Search, Where
from img2img.models.spec import ANOTHER_PROGRAM, DiscriminatorSpec, ModelFile, ModelSpec
from img2img.networks import Generator, without_storage

_SIDES = str.maketrans("xy", "ab")

_DIRECTIONS: dict[str, Direction] = {"G_AB": "AtoB", "G_BA": "BtoA"}

# `latest_net_G_A.pth`, `netG_A2B.pth`, `G_AB`, `generator`, `netG_ema`.
_ROLE = re.compile(
    r"(?:^|[^a-z]|net)_?(?P<kind>g|d|gen|dis|disc|generator|discriminator)"
    r"_?(?P<way>[ax]_?(?:2|to)?_?[by]|[by]_?(?:2|to)?_?[ax]|[abxy])?_?(?:ema)?(?=$|[^a-z])"
)
_SUFFIXES = {".pth", ".pt", ".ckpt", ".safetensors"}
# Description networks are states of their training.
_OTHERS = re.compile(r"opt|sched|scaler")
_EPOCH = re.compile(
    r"(?P<unit>iter|step)?[^a-z0-9]*(?P<number>\d+)|(?P<word>best|last|latest|final)"
)
# By age, from old to new; without a word or number is what is written anew each time.
_BEST, _STEPS, _EPOCHS, _CURRENT = range(4)
# How often the numbers of a file may be in a network, as layers that share them have it.
_REPEATED = 2
# What the published code tests with.
CROP = 256


@dataclass(frozen=True)
class ImportOptions(Assumptions):
    """Settings that cannot be inferred from the files; None: the usual value."""

    direction: Direction | None = None
    """Translation direction of a single generator; None: `AtoB`."""
    statistics: Literal["image", "running"] = "image"
    """Statistics that BatchNorm uses. `image`: those of each image, as in the reference's test
    script; `running`: the running averages, as in its evaluation mode."""
    dropout: bool = False
    """Keep dropout on, as the reference does when testing Pix2Pix; results are then random."""
    crop_size: int = CROP
    """Side of the training crops, in pixels."""
    part: str | None = None
    """Import only networks whose names in the file begin with this; None: all."""

    @property
    def of_weights(self) -> list[str]:
        """Names of the options that are set and describe a network."""
        others = {"direction", "part"}
        return [
            field.name
            for field in fields(self)
            if field.name not in others and getattr(self, field.name) != field.default
        ]


@dataclass(frozen=True)
class Imported:
    """A model made from checkpoints of another program, with notes on it."""

    model: ModelFile
    assumed: dict[str, str]
    """Settings that cannot be inferred from the files, by name, with the values assumed."""
    notes: list[str] = field(default_factory=list)
    """Lines for the user, for example on what was left out."""


@dataclass(frozen=True)
class _Found:
    """A network within a file."""

    path: Path
    where: str
    """The dotted beginning of its names there."""
    network: Network
    spec: ModelSpec | None = None
    """What stands beside the file of it."""

    def __str__(self) -> str:
        return f"{self.path}: {self.where}" if self.where else str(self.path)

    @cached_property
    def role(self) -> str | None:
        """Which way, or of what, its name says it is: `a`, `a2b`, `ba` ...; None: nothing."""
        for name in (*reversed(self.where.split(".")), self.path.stem):
            for match in _ROLE.finditer(name.lower()):
                if match["kind"][0] == self.network.kind[0]:
                    return match["way"]
        return None

    @property
    def averaged(self) -> bool:
        """Whether it is the average of a network over its training."""
        return "ema" in re.split(r"[^a-z]+", f"{self.path.stem}.{self.where}".lower())


def reference_files(folder: Path) -> list[Path]:
    """The networks of the newest epoch in a folder of checkpoints; empty where there are none."""
    epochs: dict[tuple[int, ...], list[Path]] = {}
    generators: set[tuple[int, ...]] = set()
    for path in sorted(folder.iterdir()):
        name = path.stem.lower()
        role = _ROLE.search(name)
        if role is None or path.suffix not in _SUFFIXES or _OTHERS.search(name):
            continue
        age = _age(f"{name[: role.start('kind')]} {name[role.end() :]}")
        epochs.setdefault(age, []).append(path)
        if role["kind"].startswith("g"):
            generators.add(age)
    return epochs[max(generators)] if generators else []


def import_files(paths: Sequence[Path], options: ImportOptions | None = None) -> Imported:
    """Make one model of files that another program has written.

    Args:
        paths: files, each with one network or several, or folders of the published code's
            checkpoints, of which the newest are taken. Of a CycleGAN the names tell which is which:
            `G_A` there is `G_AB` here, and `D_A`, which judges images of domain B, is `D_B`.

    Raises:
        ModelFileError: a file is damaged, or of no known layout; or there is no generator.
    """
    options = options or ImportOptions()
    notes: list[str] = []
    found: list[_Found] = []
    for path in dict.fromkeys(paths):
        files = reference_files(path) if path.is_dir() else [path]
        if not files:
            raise ModelFileError.of(path, "no checkpoints like latest_net_G.pth in this folder")
        for file in files:
            try:
                found += _networks_of(file, options, notes)
            except ModelFileError as error:
                # One can do without a discriminator that nobody has asked for.
                if not path.is_dir() or _is_generators(file):
                    raise
                notes.append(f"left out: {error}")
    named = _named(found, options)
    specs: dict[str, ModelSpec] = {}
    discriminators: dict[str, DiscriminatorSpec] = {}
    assumed: dict[str, str] = {}
    for name, each in named.items():
        network = each.network
        try:
            if each.spec is not None:
                way = {"direction": options.direction or each.spec.direction}
                specs[name] = each.spec.model_copy(update=way)
            elif network.kind == "generator":
                specs[name] = _spec(name, network, options)
                assumed |= _assumed(name, specs[name], network)
            else:
                discriminators[name] = DiscriminatorSpec(
                    architecture=network.architecture,
                    arguments=network.arguments,
                    in_channels=network.in_channels,
                )
        except ValidationError as error:
            detail = error.errors()[0]
            reason = ": ".join([*map(str, detail["loc"]), detail["msg"]])
            raise ModelFileError(f"{each}: {shortened(reason)}") from None
    if not specs:
        names = ", ".join(map(str, paths))
        raise ModelFileError(f"{names}: contains only discriminators, no generator")
    # Copied out of the files, which may be replaced while the model is in use.
    tensors = {
        name: {key: tensor.clone() for key, tensor in each.network.tensors.items()}
        for name, each in named.items()
    }
    one = paths[0] if len(paths) == 1 else None
    model = ModelFile(specs, tensors, ANOTHER_PROGRAM, discriminators, one)
    for name in specs:
        model.generator(name)  # numbers that are none would be found when it is used
    return Imported(model, assumed, notes)


def _is_generators(path: Path) -> bool:
    role = _ROLE.search(path.stem.lower())
    return role is None or role["kind"].startswith("g")


def _networks_of(path: Path, options: ImportOptions, notes: list[str]) -> list[_Found]:
    content = _read(path)
    description = read_description(path)
    if description is not None:
        notes.append(f"{path}: its settings are read from {description_path(path).name}")
        spec = description.network
        return [_Found(path, "", _described(path, content, spec, options), spec)]
    search = Search(options)
    search.tree(content.tree, ())
    generator = any(network.kind == "generator" for _, network in search.found)
    for where, error in [*search.damaged, *([] if search.found else search.doubtful)]:
        line = f"{path}: {_dotted(where)}{error}"
        # One can do without a discriminator.
        if not ".".join(where).startswith(options.part or "") or (
            generator and error.kind == "discriminator"
        ):
            notes.append(f"left out: {line}")
        else:
            raise ModelFileError(line)
    if not search.found:
        state = dict(named_tensors(content.tree))
        reason = closest(state) if state else "it holds no tensors"
        if content.left_out:
            left_out = _named_few(content.left_out)
            reason += (
                f"; {left_out} could only be rebuilt by running code from the file; none was run"
            )
        raise ModelFileError.of(path, f"contains no known network: {reason}")
    if content.left_out:
        notes.append(f"{path}: left out, as they are not weights: {_named_few(content.left_out)}")
    if search.strange:
        names = _named_few([".".join(where) for where in search.strange])
        notes.append(f"{path}: left out, as unknown: {names}")
    size = path.stat().st_size
    for where, network in search.found:
        if sum(tensor.nbytes for tensor in network.tensors.values()) > _REPEATED * size:
            raise ModelFileError.of(
                path, f"{_dotted(where)}its tensors claim more numbers than the file stores"
            )
    wanted = [
        (where, network)
        for where, network in search.found
        if ".".join(where).startswith(options.part or "")
    ]
    if not wanted:
        names = some_names([".".join(where) for where, _ in search.found])
        raise ModelFileError.of(
            path, f"no network's name begins with {options.part}; there are: {names}"
        )
    return [_Found(path, ".".join(where), network) for where, network in wanted]


def _described(path: Path, content: Content, spec: ModelSpec, options: ImportOptions) -> Network:
    """The network in a file that another file describes."""
    name = description_path(path).name
    if options.of_weights:
        raise ConfigError(
            f"`{options.of_weights[0]}` is set by {name} next to {path}; remove that file to choose"
            " yourself",
            key=options.of_weights[0],
        )
    try:
        return described(spec, content.tree)
    except Unfitting as error:
        raise ModelFileError.of(
            path,
            f"{error}, according to {name} next to it; if these are other weights, remove that"
            " file",
        ) from None


def _read(path: Path) -> Content:
    if not path.is_file():
        raise ModelFileError.of(path, f"no such file{nearest_path(path)}")
    if looks_like_pth(path):
        return read_pth(path)
    with opened_safetensors(path) as file:
        if "img2img" in (file.metadata() or {}):
            raise ModelFileError.of(path, "already a model of img2img")
        return Content({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def _named_few(names: Sequence[str]) -> str:
    return shortened(some_names(names, most=3))


def _dotted(where: Where) -> str:
    return f"{'.'.join(where)}: " if where else ""


def _named(found: Sequence[_Found], options: ImportOptions) -> dict[str, _Found]:
    """The networks by our names for them."""
    # Where the generator from A to B is called `A`, so is the discriminator of its results.
    by_result = not any(each.role and len(each.role) > 1 for each in found)
    generators = [each for each in found if each.network.kind == "generator"]
    named: dict[str, _Found] = {}
    for each in found:
        side = each.role[0].translate(_SIDES) if each.role else None
        if each.network.kind == "generator":
            if len(generators) == 1 and options.direction:
                side = None
            name = {None: "G", "a": "G_AB", "b": "G_BA"}[side]
        else:
            own = {"a": "D_B", "b": "D_A"} if by_result else {"a": "D_A", "b": "D_B"}
            name = "D" if side is None else own[side]
        other = named.get(name)
        if other is None or (each.averaged and not other.averaged):
            named[name] = each
        elif each.averaged == other.averaged:
            raise ModelFileError(
                f"{other} and {each}: both may be {name}; choose with `part`"
                if other.path == each.path
                else f"{other} and {each}: both may be {name}"
            )
    if "G" in named and len(generators) > 1 and {"G_AB", "G_BA"} & named.keys():
        raise ModelFileError(f"{named['G']}: its name does not say its direction")
    if options.direction and len({"G", "G_AB", "G_BA"} & named.keys()) > 1:
        raise ModelFileError(
            "`direction` is for a single generator; the names of these say their directions"
        )
    return named


def _spec(name: str, network: Network, options: ImportOptions) -> ModelSpec:
    channels = network.in_channels, network.out_channels
    built = without_storage(network.architecture, network.arguments, *channels)
    generator = cast(Generator, built)
    multiple = generator.size_multiple
    crop = max(-(-options.crop_size // multiple) * multiple, generator.min_size)
    return ModelSpec.of(
        generator,
        architecture=network.architecture,
        arguments=network.arguments,
        input=Domain.of_type("uint8", network.in_channels),
        output=Domain.of_type("uint8", network.out_channels),
        direction=_DIRECTIONS.get(name) or options.direction or "AtoB",
        norm_statistics=options.statistics,
        dropout=options.dropout,
        crop_size=(crop, crop),
    )


def _assumed(name: str, spec: ModelSpec, network: Network) -> dict[str, str]:
    """What the files leave open, and what it was taken for."""
    taken = {"crop_size": str(spec.crop_size[0])}
    if name == "G":
        taken["direction"] = spec.direction
    if spec.arguments["norm"] == "batch":
        taken["statistics"] = spec.norm_statistics
    if spec.arguments["dropout"]:
        taken["dropout"] = str(spec.dropout)
    return taken | network.assumed


def _age(rest: str) -> tuple[int, ...]:
    """Of a network's name, without what says which one it is: what is newer is larger."""
    found = [*_EPOCH.finditer(rest)]
    numbers = [int(match["number"]) for match in found if match["number"]]
    if any(match["word"] == "best" for match in found):
        return (_BEST, *numbers)
    if not numbers or any(match["word"] for match in found):
        return (_CURRENT, *numbers)
    return (_STEPS if all(match["unit"] for match in found) else _EPOCHS, *numbers)
