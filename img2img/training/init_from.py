"""Initialises a run with another model's weights."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor, nn

from img2img.config import Direction
from img2img.errors import ConfigError, counted, some_names
from img2img.images import Domain
from img2img.models.checkpoint import load_model
from img2img.models.spec import DiscriminatorSpec, ModelSpec
from img2img.networks.spectral import load_plain, plain_state
from img2img.training.methods.base import Method


def init_from(
    path: Path, method: Method, data: Direction, domains: Mapping[str, Domain] | None = None
) -> list[str]:
    """Initialise networks from a model file: generators by direction, discriminators by name.

    Layers are matched by name. Those that the file lacks, or has in another shape, keep their
    random weights.

    Args:
        path: a model file, a run folder, or a checkpoint that `img2img import` reads.
        data: the direction in which pairs are read.
        domains: what the values in the files of `A` and `B` mean in this run; None if not known.

    Returns:
        A line for each network, which says how much was taken and which layers do not match; and
        one for each side whose values the model scaled differently.

    Raises:
        ModelFileError: there is no model, or it is damaged.
        ConfigError: it has no generator of this direction, or none of a network's layers fits.
    """
    model = load_model(path)
    sources = {spec.direction: name for name, spec in model.specs.items()}
    directions = {name: method.direction(name, data) for name in method.generators}
    if not {*directions.values()} & {*sources}:
        raise ConfigError(f"init_from: {path} translates {' and '.join(sources)} only")
    told: list[str] = []
    for name, generator in method.generators.items():
        direction = directions[name]
        if direction not in sources:
            told.append(
                f"{name} starts from random weights: {path} translates {' and '.join(sources)} only"
            )
            continue
        source = sources[direction]
        spec = model.specs[source]
        taken = _load_matching(generator, model.tensors[source], name, "generator", spec, path)
        told.append(f"{name} starts from {source} of {path}, {taken}")
        told += _other_values(name, spec, domains or {})
    for name, critic in method.critics.items():
        if judge := model.discriminators.get(name):
            weights = model.tensors[name]
            taken = _load_matching(
                critic.discriminator, weights, name, "discriminator", judge, path
            )
            told.append(f"{name} starts from {name} of {path}, {taken}")
    return told


def _other_values(name: str, spec: ModelSpec, domains: Mapping[str, Domain]) -> Iterator[str]:
    """A line for each side whose values the model scaled differently."""
    for side, here in domains.items():
        there = spec.domains[side]
        if there.whole:
            there = Domain.of_type(here.dtype, here.channels)
        if (there.low, there.high) != (here.low, here.high):
            kept = "[{},{}]".format(*there.ends)
            yield (
                f"{name}: values of {side} are scaled by {here.range} here, but by {there.range}"
                f" in the model; `data.{side}.range={kept}` keeps the model's range"
            )


def _load_matching(
    network: nn.Module,
    theirs: Mapping[str, Tensor],
    name: str,
    section: str,
    spec: ModelSpec | DiscriminatorSpec,
    path: Path,
) -> str:
    """Load the layers that fit; return a phrase that says how many."""
    own = plain_state(network)
    taken = {
        key: tensor
        for key, tensor in theirs.items()
        if key in own and own[key].shape == tensor.shape
    }
    settings = {"name": spec.architecture, **spec.arguments}
    matching = " ".join(
        f"`{section}.{key}={'null' if value is None else value}`" for key, value in settings.items()
    )
    if not taken:
        raise ConfigError(f"init_from: no layer of {path} fits {name}; its layers need {matching}")
    load_plain(network, taken)
    count = f"{len(taken)} of {counted(len(own), 'layer')}"
    numbers = sum(tensor.numel() for tensor in own.values())
    share = sum(tensor.numel() for tensor in taken.values()) / numbers
    others = sorted(own.keys() ^ theirs.keys() | (own.keys() & theirs.keys()) - taken.keys())
    if not others:
        return count
    little = f", only {100 * share:.0f} % of its weights" if share < 0.5 else ""
    names = some_names(others, most=4)
    return f"{count}{little}; these do not match: {names}; with {matching} all would"
