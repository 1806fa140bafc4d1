"""Builds the networks of a configuration, and the specifications for their model files."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch

from img2img.config import Component, MetricsConfig, RunConfig, check_settings, nearest
from img2img.data.augment import check_names
from img2img.data.dataset import DataSet
from img2img.data.domains import as_config
from img2img.data.loader import resolve_workers
from img2img.data.samples import Batch
from img2img.data.sizes import HeightWidth
from img2img.errors import ConfigError, unknown
from img2img.features import Supply, feature_network
from img2img.images import Domain
from img2img.losses import RECONSTRUCTIONS
from img2img.metrics.measure import MEASURES, measure_of, unmet_need
from img2img.metrics.paired import LEAST_SIDE, pair_measure
from img2img.metrics.sets import LEAST as LEAST_IMAGES
from img2img.metrics.sets import SETS
from img2img.models.spec import ModelSpec
from img2img.networks import DISCRIMINATORS, GENERATORS, Generator
from img2img.networks.blocks import recompute_activations
from img2img.registry import Registry
from img2img.runtime.devices import resolve_device, resolve_precision
from img2img.training.health_probe import steps_between
from img2img.training.held_out import HeldOut, measure_names
from img2img.training.methods.base import METHODS, Method
from img2img.training.methods.critic import Critic
from img2img.training.optimizers import OPTIMIZERS
from img2img.training.resolution import smallest_size
from img2img.training.schedule import SCHEDULES

# Version 0.1.0 wrote these lists of losses into the configurations of all runs, empty for most.
ONCE_IN_EVERY_CONFIG = {"reconstruction", "cycle", "identity"}


def method_class(name: str) -> type[Method]:
    """The class of the method with this name.

    Raises:
        ConfigError: there is no such method.
    """
    return cast(type[Method], METHODS.find(Component(name=name), "method").factory)


def on_device(config: RunConfig) -> RunConfig:
    """The configuration with its device and precision resolved.

    Raises:
        ConfigError: they are not available.
    """
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    return config.model_copy(update={"device": str(device), "precision": precision})


def check_parts(config: RunConfig) -> None:
    """Check every part that the configuration names, before anything slow is done.

    Raises:
        ConfigError: a name or an argument is unknown, or a value does not fit.
    """
    method = method_class(config.method)
    known = measure_names(method, aligned=True)
    best, patience = config.metrics.best, config.metrics.patience
    if best is not None and best not in known:
        raise ConfigError(f"metrics.best: {unknown('measure', best, [*known, 'null'])}")
    if patience is not None and best is None:
        raise ConfigError("metrics.patience: needs a measure to watch, but metrics.best is null")
    for name in config.metrics.measures:
        if name not in known:
            raise ConfigError(f"metrics.measures: {unknown('measure', name, known)}")
    if config.data.direction == "BtoA" and len(method.translations) > 1:
        raise ConfigError(
            f"data.direction: {config.method} always learns both directions; choose one when"
            " translating"
        )
    for side in "AB":
        if getattr(config.data, side).is_labels and not method.takes_labels:
            raise ConfigError(
                f"data.{side}.kind: {config.method} does not work with label maps; pix2pix does"
            )
    check_names(config.data.augment)
    if config.data.mask is not None and config.critic.augment:
        raise ConfigError.of_key(
            "critic.augment", "would move images away from the masks of data.mask; set it to []"
        )
    GENERATORS.arguments(config.generator, "generator")
    discriminator = DISCRIMINATORS.arguments(config.discriminator, "discriminator")
    for name, parts in config.losses.items():
        if name not in method.losses and (parts or name not in ONCE_IN_EVERY_CONFIG):
            takes = " and ".join(f"losses.{each}" for each in method.losses) or "none"
            raise ConfigError(
                f"losses.{name}: {config.method} has no losses of this"
                f" name{nearest(name, method.losses)}; it takes {takes}"
            )
        RECONSTRUCTIONS.build_all(parts, f"losses.{name}")
    check_settings(method.settings, config)
    if config.critic.top_k is not None and config.data.batch_size == 1:
        raise ConfigError("critic.top_k: selects images within a batch, but data.batch_size is 1")
    if discriminator.get("minibatch_std") and config.data.batch_size == 1:
        raise ConfigError(
            "discriminator.minibatch_std: compares the images of a batch, but data.batch_size is 1"
        )
    # Whether objective and penalties go with a discriminator shows when it is there.
    Critic.from_config(config, Domain(dtype="uint8"))
    OPTIMIZERS.arguments(config.optimizer, "optimizer")
    SCHEDULES.arguments(config.schedule, "schedule")


def resolve(
    config: RunConfig,
    load_size: HeightWidth,
    crop_size: HeightWidth,
    domains: Mapping[str, Domain] | None = None,
) -> RunConfig:
    """The configuration with every `auto` resolved and all paths made absolute.

    Args:
        config: its device is already resolved; see `on_device`.
        domains: what the values in the files of `A` and `B` mean; None if that is not known.

    Raises:
        ConfigError: the generator cannot be built as configured.
    """
    device = torch.device(config.device).type
    here: dict[str, Path | list[Path]] = {
        key: path.resolve()
        for key in ("root", "root_a", "root_b", "pairs", "holdout")
        if isinstance(path := getattr(config.data, key), Path)
    }
    here["inputs"] = [path.resolve() for path in config.data.inputs]
    init_from = config.init_from.resolve() if config.init_from else None
    weights = config.metrics.weights.resolve() if config.metrics.weights else None
    every = config.doctor.every
    if every == "auto":
        every = steps_between(
            config.data.batch_size * config.optimizer.accumulate * config.n_critic, device
        )
    sizes = {"load_size": load_size, "crop_size": crop_size}
    sides = {
        side: as_config(domain)
        for side, domain in (domains or {}).items()
        if domain.kind != "noise"  # for which there are no files
    }
    for side, section in sides.items():
        if (instances := getattr(config.data, side).instances) is not None:
            sides[side] = section.model_copy(update={"instances": instances.resolve()})
    smallest = smallest_size(crop_size, config.data.grow)
    arguments = GENERATORS.arguments(config.generator, "generator")
    generator = GENERATORS.find(config.generator, "generator").factory
    architecture = cast(type[Generator], generator)
    method = method_class(config.method)
    losses = {
        name: [
            _located(part, RECONSTRUCTIONS, f"losses.{name}")
            for part in config.losses.get(name, [])
        ]
        for name in method.losses
    }
    workers = resolve_workers(config.data, device)
    return config.model_copy(
        update={
            "init_from": init_from,
            "discriminator": _located(config.discriminator, DISCRIMINATORS, "discriminator"),
            "losses": losses,
            "settings": check_settings(method.settings, config).model_dump(mode="json"),
            "metrics": config.metrics.model_copy(update={"weights": weights}),
            "doctor": config.doctor.model_copy(update={"every": every}),
            "data": config.data.model_copy(update={**here, **sizes, **sides, "workers": workers}),
            "generator": Component(
                name=config.generator.name, **architecture.resolve(arguments, smallest)
            ),
        }
    )


def is_bounded(generator: Component) -> bool:
    """Whether the results of the generator that a section describes are in [-1, 1]."""
    return generator.arguments.get("output") != "linear"


def _located(section: Component, parts: Registry[Any], path: str) -> Component:
    """A part's section with absolute paths, for resuming from another working directory."""
    arguments = parts.arguments(section, path)
    located = {
        key: str(arguments[key].resolve())
        for key in section.arguments
        if isinstance(arguments[key], Path)
    }
    return section.model_copy(update=located)


def build_method(
    config: RunConfig, crop_size: HeightWidth, domains: Mapping[str, Domain] | None = None
) -> Method:
    """Build the networks of a resolved configuration, on its device.

    Args:
        domains: what the images of `A` and `B` are; None: 8-bit RGB.

    Raises:
        ConfigError: a part does not fit, or a network cannot take crops of this size, or of the
            size that training starts with.
    """
    domains, rgb = domains or {}, Domain(dtype="uint8")
    # A batch is read in the direction of the data.
    given, wanted = config.data.direction.split("to")
    in_order = domains.get(given, rgb), domains.get(wanted, rgb)
    method = method_class(config.method).from_config(config, in_order)
    # What suits the smallest crops suits those that they double to.
    size = smallest_size(crop_size, config.data.grow)
    grows = config.data.grow.halvings > 0
    what = f"{size[0]} x {size[1]} (height x width)"
    what = (
        f"data.grow.halvings: {what}, the first crop size," if grows else f"data.crop_size: {what}"
    )
    halve = "halve less often, " if grows else ""
    for generator in method.generators.values():
        multiple, least = generator.size_multiple, generator.min_size
        if any(side % multiple or side < least for side in size):
            raise ConfigError(
                f"{what} does not fit generator {config.generator.name!r}, which needs multiples"
                f" of {multiple}, at least {least}; {halve}change the crop, or choose another"
                " generator"
            )
        if generator.style_dim and not method.gives_style:
            raise ConfigError(
                f"generator: {config.generator.name!r} needs a style of {generator.style_dim}"
                f" numbers, which {config.method} does not provide"
            )
    for critic in method.critics.values():
        parts = {"objective": critic.objective} | {
            f"regularizers: {name}": part for name, part in critic.regularizers.items()
        }
        for key, part in parts.items():
            if part.of_labels and not critic.discriminator.classes:
                raise ConfigError(
                    f"{key}: needs label maps as the input (`data.{given}.kind=labels`), and"
                    " discriminator.name `segmentation`"
                )
        least = critic.discriminator.min_size
        if min(size) < least:
            raise ConfigError(
                f"{what} is too small for discriminator {config.discriminator.name!r}, which"
                f" needs at least {least}; {halve}lower discriminator.n_layers, or resize the"
                " images (data.load_size)"
            )
    if config.activation_checkpointing:
        for generator in method.generators.values():
            recompute_activations(generator)
    method.to(torch.device(config.device))
    for critic in method.critics.values():
        critic.clock.cpu()
    return method


def check_measures(
    metrics: MetricsConfig, method: type[Method], found: DataSet, crop_size: HeightWidth
) -> None:
    """Refuse measures that cannot be computed from these held-out images.

    Raises:
        ConfigError: they need targets, more images, or larger ones.
    """
    for name in measures_taken(metrics, found):
        least = LEAST_SIDE.get(name, 1)
        if min(crop_size) < least:
            raise ConfigError(
                f"metrics: {name} needs images of at least {least} pixels per side, but crops are"
                f" {crop_size[1]} x {crop_size[0]}"
            )
        if name in SETS and len(found.held_out) < LEAST_IMAGES:
            raise ConfigError(
                f"metrics: {name} needs at least {LEAST_IMAGES} held-out images; data.holdout"
                f" gives {len(found.held_out)}"
            )
    known = measure_names(method, found.aligned)
    if metrics.best is not None and found.held_out and metrics.best not in known:
        raise ConfigError(
            f"metrics.best: {metrics.best} needs held-out pairs (data.holdout_aligned); without"
            f" them choose from: {', '.join(known)}, null"
        )


def measures_taken(metrics: MetricsConfig, found: DataSet) -> list[str]:
    """The measures of pairs and sets to take of the held-out images."""
    wanted = {measure_of(name) for name in (metrics.best or "", *metrics.measures)}
    kinds = ({"pair", "set"} if found.aligned else {"set"}) if found.held_out else set[str]()
    return [name for name, m in MEASURES.items() if name in wanted and m.of in kinds]


def build_held_out(
    metrics: MetricsConfig,
    method: Method,
    specs: Mapping[str, ModelSpec],
    found: DataSet,
    batches: Callable[[], Iterator[Batch]],
    say: Callable[[str], None],
) -> HeldOut:
    """The evaluation on held-out batches, with the measures that the configuration names.

    Raises:
        MissingFeatures: a measure needs weights that are not on this machine.
        ConfigError: a measure needs RGB images, and these are not RGB.
    """
    device = next(method.parameters()).device
    taken = measures_taken(metrics, found)
    for name in taken:
        if reason := next(filter(None, (unmet_need(name, s.output) for s in specs.values())), None):
            raise ConfigError(f"metrics: {name} {reason}")
    supply = Supply(metrics.weights, True, say, "`metrics.weights`")
    of_sets = [name for name in taken if name in SETS]
    return HeldOut(
        method,
        specs,
        batches,
        found.aligned,
        pairs={n: pair_measure(n, supply, device) for n in taken if n not in SETS},
        sets=(of_sets, feature_network(metrics.features, supply, device)) if of_sets else None,
    )


def describe(
    config: RunConfig,
    method: Method,
    crop_size: HeightWidth,
    scales: Mapping[str, float],
    image_sizes: Mapping[str, HeightWidth | None] | None = None,
    domains: Mapping[str, Domain] | None = None,
) -> dict[str, ModelSpec]:
    """The specification that the model file has of each generator.

    Args:
        scales: by domain; see `TrainingData`, as for `image_sizes`.
        domains: what the images of `A` and `B` are; None: 8-bit RGB.
    """
    domains, rgb = domains or {}, Domain(dtype="uint8")
    specs = {}
    for name, generator in method.generators.items():
        direction = method.direction(name, config.data.direction)
        specs[name] = ModelSpec.of(
            generator,
            architecture=config.generator.name,
            arguments=config.generator.arguments,
            input=domains.get(direction[0], rgb),
            output=domains.get(direction[-1], rgb),
            direction=direction,
            crop_size=crop_size,
            scale=scales[direction[0]],
            image_size=(image_sizes or {}).get(direction[0]),
            method=config.method,
        )
    return specs
