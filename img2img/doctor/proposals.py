"""Changes of a configuration that may cure a training, with values derived from the run's own.

Each function returns one change, or None where the run has it already or its parts do not take it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from img2img.config import RunConfig, load_config
from img2img.losses import RECONSTRUCTIONS
from img2img.networks import DISCRIMINATORS, GENERATORS

# The published rate; what is proposed stays near it.
RATE = 2e-4


@dataclass(frozen=True)
class Proposal:
    """A change.

    Attributes:
        settings: values by dotted key.
        why: what it does.
    """

    settings: Mapping[str, Any]
    why: str

    @property
    def assignments(self) -> list[str]:
        """The settings as `KEY=VALUE`, the value in JSON."""
        return [f"{key}={json.dumps(value)}" for key, value in self.settings.items()]


def slower_critic(config: RunConfig) -> Proposal:
    """A quarter of the critic's rate, 2e-4 at most."""
    rate = config.optimizer.lr_d or config.optimizer.lr
    return Proposal(
        {"optimizer.lr_d": _short(min(rate / 4, RATE))}, "the critic learns more slowly"
    )


def faster_critic(config: RunConfig) -> Proposal | None:
    """Four times the critic's rate (Heusel et al. 2017), 2e-4 at least and 2e-3 at most."""
    now = config.optimizer.lr_d or config.optimizer.lr
    rate = min(max(RATE, 4 * now), 10 * RATE)
    return (
        Proposal({"optimizer.lr_d": _short(rate)}, "the critic learns faster (TTUR)")
        if rate > now
        else None
    )


def slower(config: RunConfig, times: int = 10) -> Proposal:
    """Lower rates of both sides, 2e-4 at most."""
    rates = {"lr": config.optimizer.lr, "lr_d": config.optimizer.lr_d}
    settings = {
        f"optimizer.{key}": _short(min(rate / times, RATE)) for key, rate in rates.items() if rate
    }
    return Proposal(settings, "smaller steps")


def faster(config: RunConfig) -> Proposal | None:
    """Ten times the rate, 2e-4 at least and 2e-3 at most."""
    now = config.optimizer.lr
    rate = min(max(RATE, 10 * now), 10 * RATE)
    return Proposal({"optimizer.lr": _short(rate)}, "larger steps") if rate > now else None


def clipped(config: RunConfig) -> Proposal:
    """Gradient norms of at most 1, or a tenth of the present limit."""
    clip = config.optimizer.clip
    return Proposal(
        {"optimizer.clip": _short(clip / 10) if clip else 1.0}, "limits the size of a step"
    )


def skipping(config: RunConfig) -> Proposal | None:
    """`on_nonfinite: skip`."""
    if config.on_nonfinite == "skip":
        return None
    return Proposal({"on_nonfinite": "skip"}, "skips a bad step instead of ending the run")


def exact(config: RunConfig) -> Proposal | None:
    """float32."""
    if config.precision == "fp32":
        return None
    return Proposal({"precision": "fp32"}, "more precision and a wider range")


def r1(config: RunConfig) -> Proposal | None:
    """R1 (Mescheder et al. 2018), which BatchNorm in the critic does not allow.

    None where `gp` does what it is for.
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
    """Half the channels."""
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
    """Resizing and a convolution in place of a transposed one (Odena et al. 2016)."""
    if _generator_arguments(config).get("upsample") in (None, "bilinear"):
        return None
    return Proposal({"generator.upsample": "bilinear"}, "upsamples without leaving a grid")


def least_squares(config: RunConfig) -> Proposal | None:
    """Least squares (Mao et al. 2017)."""
    if config.objective.name == "lsgan":
        return None
    return Proposal(
        {"objective.name": "lsgan"}, "its gradient does not vanish when the critic is confident"
    )


def patience(config: RunConfig) -> Proposal | None:
    """Early stopping."""
    if config.metrics.best is None or config.metrics.patience is not None:
        return None
    return Proposal({"metrics.patience": 5}, "stops when held-out images no longer improve")


def heavier(config: RunConfig, section: str, times: float, why: str) -> Proposal | None:
    """Other weights of the losses of a section; more than none is the published weight.

    None where such losses are not part of the method.
    """
    losses = config.losses.get(section, [])
    weights = [RECONSTRUCTIONS.arguments(loss, section)["weight"] for loss in losses]
    if not any(weights):
        if times < 1:
            return None
        losses, times = load_config(config.method).losses.get(section, []), 1
        weights = [RECONSTRUCTIONS.arguments(loss, section)["weight"] for loss in losses]
    changed = [
        {**loss.model_dump(mode="json"), "weight": _short(weight * times)}
        for loss, weight in zip(losses, weights, strict=True)
    ]
    return Proposal({f"losses.{section}": changed}, why) if changed else None


def from_scratch(config: RunConfig) -> Proposal | None:
    """No weights to start from."""
    if config.init_from is None:
        return None
    return Proposal({"init_from": None}, "the initial weights may be the cause")


def unclipped(config: RunConfig) -> Proposal | None:
    """No clipping."""
    if config.optimizer.clip is None:
        return None
    return Proposal({"optimizer.clip": None}, "stops clipping the gradients")


def _generator_arguments(config: RunConfig) -> dict[str, Any]:
    return GENERATORS.arguments(config.generator, "generator")


def _short(value: float) -> float:
    return float(f"{value:.3g}")
