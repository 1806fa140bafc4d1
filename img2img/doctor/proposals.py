"""Proposals: changes of a configuration that may solve a problem, derived from the run's settings.

Each function returns one change, or None if the run has it already or its parts do not support it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

from img2img.config import RunConfig, load_config
from img2img.losses import RECONSTRUCTIONS
from img2img.networks import DISCRIMINATORS, GENERATORS

# The published rate; what is proposed stays near it.
RATE = 2e-4


@dataclass(frozen=True)
class Proposal:
    """A change of the configuration.

    Attributes:
        settings: the new values by dotted key.
        why: its effect.
    """

    settings: Mapping[str, Any]
    why: str

    @property
    def assignments(self) -> list[str]:
        """The settings as `KEY=VALUE`, the value in JSON."""
        return [f"{key}={json.dumps(value)}" for key, value in self.settings.items()]


Remedy = Callable[[RunConfig], Proposal | None]


def slower_critic(config: RunConfig) -> Proposal:
    """A quarter of the critic's learning rate, at most 2e-4."""
    rate = config.optimizer.lr_d or config.optimizer.lr
    return Proposal(
        {"optimizer.lr_d": _short(min(rate / 4, RATE))}, "the critic learns more slowly"
    )


def faster_critic(config: RunConfig) -> Proposal | None:
    """Four times the critic's learning rate (Heusel et al. 2017), from 2e-4 to 2e-3."""
    now = config.optimizer.lr_d or config.optimizer.lr
    rate = min(max(RATE, 4 * now), 10 * RATE)
    return (
        Proposal({"optimizer.lr_d": _short(rate)}, "the critic learns faster (TTUR)")
        if rate > now
        else None
    )


def slower(config: RunConfig, times: int = 10) -> Proposal:
    """Lower learning rates of both sides, at most 2e-4."""
    rates = {"lr": config.optimizer.lr, "lr_d": config.optimizer.lr_d}
    settings = {
        f"optimizer.{key}": _short(min(rate / times, RATE)) for key, rate in rates.items() if rate
    }
    return Proposal(settings, "smaller steps")


def faster(config: RunConfig) -> Proposal | None:
    """Ten times the learning rate, at least 2e-4 and at most 2e-3."""
    now = config.optimizer.lr
    rate = min(max(RATE, 10 * now), 10 * RATE)
    return Proposal({"optimizer.lr": _short(rate)}, "larger steps") if rate > now else None


def clipped(config: RunConfig) -> Proposal:
    """Gradient norms of at most 1, or a tenth of the present limit."""
    clip = config.optimizer.clip
    return Proposal(
        {"optimizer.clip": _short(clip / 10) if clip else 1.0}, "limits the size of a step"
    )


def r1(config: RunConfig) -> Proposal | None:
    """R1 (Mescheder et al. 2018), which replaces BatchNorm in the critic.

    None if `gp` already serves its purpose.
    """
    known = config.model_dump(mode="json").get("regularizers", [])
    if any(each["name"] == "gp" for each in known):
        return None
    others = [each for each in known if each["name"] != "r1"]
    weight = max([10, *(4 * each.get("weight", 10) for each in known if each["name"] == "r1")])
    settings: dict[str, Any] = {
        "regularizers": [*others, {"name": "r1", "weight": weight, "every": 16}]
    }
    arguments = DISCRIMINATORS.arguments(config.discriminator, "discriminator")
    if arguments.get("norm") == "batch":
        settings["discriminator.norm"] = "instance"
    return Proposal(settings, "keeps the critic smooth around real images")


def diffaugment(config: RunConfig) -> Proposal | None:
    """Differentiable augmentation (Zhao et al. 2020)."""
    known = config.model_dump(mode="json").get("critic", {}).get("augment", [])
    if any(each["name"] == "diffaugment" for each in known):
        return None
    settings = {"critic.augment": [*known, {"name": "diffaugment"}]}
    return Proposal(settings, "keeps the critic from memorising the training images")


def more_augmentation(config: RunConfig) -> Proposal | None:
    """Flips and small turns of training images."""
    known = config.data.augment.geometry
    more = [
        {"name": "HorizontalFlip", "p": 0.5},
        {"name": "Affine", "scale": [0.9, 1.1], "rotate": [-5, 5], "p": 0.5},
    ]
    names = {each.name for each in known}
    added = [each for each in more if each["name"] not in names]
    if not added:
        return None
    before = [each.model_dump(mode="json") for each in known]
    return Proposal(
        {"data.augment.geometry": [*before, *added]}, "makes the training images more varied"
    )


def narrower_generator(config: RunConfig) -> Proposal | None:
    """A generator with half the channels."""
    arguments = _generator_arguments(config)
    if arguments.get("ngf", 0) < 16:
        return None
    return Proposal(
        {"generator.ngf": arguments["ngf"] // 2}, "leaves fewer weights to memorise with"
    )


def average(config: RunConfig) -> Proposal | None:
    """An average of the weights (Karras et al. 2018)."""
    if config.ema.half_life is not None:
        return None
    return Proposal({"ema.half_life": 1000.0}, "the averaged weights fluctuate less")


def bilinear(config: RunConfig) -> Proposal | None:
    """Resizing and a convolution instead of a transposed convolution (Odena et al. 2016)."""
    if _generator_arguments(config).get("upsample") in (None, "bilinear"):
        return None
    return Proposal({"generator.upsample": "bilinear"}, "upsamples without leaving a grid")


def patience(config: RunConfig) -> Proposal | None:
    """Early stopping."""
    if config.metrics.best is None or config.metrics.patience is not None:
        return None
    return Proposal({"metrics.patience": 5}, "stops when held-out images no longer improve")


def heavier(section: str, times: float, why: str) -> Remedy:
    """Higher weights for the losses of a section; if it has none, the published weight.

    None if the method has no such losses.
    """

    def proposal(config: RunConfig) -> Proposal | None:
        losses, factor = config.losses.get(section, []), times
        weights = [RECONSTRUCTIONS.arguments(loss, section)["weight"] for loss in losses]
        if not any(weights):
            if times < 1:
                return None
            losses, factor = load_config(config.method).losses.get(section, []), 1
            weights = [RECONSTRUCTIONS.arguments(loss, section)["weight"] for loss in losses]
        changed = [
            {**loss.model_dump(mode="json"), "weight": _short(weight * factor)}
            for loss, weight in zip(losses, weights, strict=True)
        ]
        return Proposal({f"losses.{section}": changed}, why) if changed else None

    return proposal


def stretched(config: RunConfig) -> Proposal | None:
    """The percentiles of the values for black and white."""
    used = "AB" if config.losses.get("cycle") else config.data.direction[-1]
    sides = [side for side in used if not isinstance(getattr(config.data, side).range, dict)]
    if not sides:
        return None
    return Proposal(
        {f"data.{side}.range": {"percentiles": [0.1, 99.9]} for side in sides},
        "spreads the values in use over the whole range; auto does this for 16-bit files",
    )


def _value(key: str, value: Any, why: str) -> Remedy:
    """One value of a key, for a run that has another."""

    def proposal(config: RunConfig) -> Proposal | None:
        now = reduce(getattr, key.split("."), config)
        return None if now == value else Proposal({key: value}, why)

    return proposal


heavier_targets = heavier("reconstruction", 10, "gives the targets more weight")
slightly_slower = partial(slower, times=2)
skipping = _value("on_nonfinite", "skip", "skips a bad step instead of ending the run")
exact = _value("precision", "fp32", "more precision and a wider range")
least_squares = _value(
    "objective.name", "lsgan", "its gradient does not vanish when the critic is confident"
)
from_scratch = _value("init_from", None, "the initial weights may be the cause")
unclipped = _value("optimizer.clip", None, "stops clipping the gradients")


def _generator_arguments(config: RunConfig) -> dict[str, Any]:
    return GENERATORS.arguments(config.generator, "generator")


def _short(value: float) -> float:
    return float(f"{value:.3g}")
