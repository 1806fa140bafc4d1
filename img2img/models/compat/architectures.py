"""Which architecture weights of pytorch-CycleGAN-and-pix2pix and its forks seem to be of.

The names and shapes in a state_dict are all that describes it. In forks, resizing and the padding
after it are layers of their own, which shifts the numbers, and blur kernels are stored (in CUT,
arXiv 2007.15651).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor

from img2img.networks.blocks import OutputName, RangeName

State = Mapping[str, Tensor]
Kind = Literal["generator", "discriminator"]
BLUR = "filt"
"""The name of a blur's kernel there."""


@dataclass(frozen=True)
class Assumptions:
    """What cannot be inferred from a network's weights, with the usual values."""

    padding: Literal["reflect", "replicate"] = "reflect"
    """Of layers that pad."""
    upsample: Literal["nearest", "bilinear"] | None = None
    """Of layers that resize; None: bilinear where a layer pads behind them, else nearest."""
    norm: Literal["instance", "none"] | None = None
    """Of networks without weights or averages of norms; None: instance if convolutions in front of
    them have biases, else none, as the published code has it."""
    value_range: RangeName = "-1,1"
    """What black and white are as numbers, in and out."""
    output: OutputName = "tanh"
    """The function that bounds the last layer."""


class Guess(NamedTuple):
    """What weights seem to be of."""

    kind: Kind
    architecture: str
    arguments: dict[str, Any]
    in_channels: int
    out_channels: int
    biased: bool
    """Whether convolutions in front of normalisation have biases."""
    assumed: dict[str, str]


def guess(state: State, assumptions: Assumptions) -> Guess | None:
    """What the weights seem to be of; None if that is no known kind."""
    each = (infer(state, assumptions) for infer in (_unet, _resnet, _patch, _pixel))
    return next(filter(None, each), None)


def _unet(state: State, assumptions: Assumptions) -> Guess | None:
    root = "model.model."
    first, second = _kernel(state, f"{root}0"), _kernel(state, f"{root}1.model.1")
    if first is None or second is None:
        return None
    levels = 1
    inside = root
    while below := _child(state, inside):
        inside = f"{inside}{below}.model."
        levels += 1
    last = max(_numbers(state, root))
    up = _kernel(state, f"{root}{last}") or first
    resized = up[2] == 3
    # Behind the first convolution, the level below and an activation.
    pad_up = assumptions.padding if resized and last > 4 else "zero"
    upsample = _resizing(assumptions, pad_up) if resized else "deconv"
    named = {8: "unet_256", 7: "unet_128"}.get(levels, "unet")
    norm, biased, open_norm = _norm(state, f"{root}1.model.1", assumptions)
    arguments = {
        "ngf": first[0],
        "num_downs": levels,
        "norm": norm,
        "pad_up": pad_up,
        "upsample": upsample,
    }
    assumed = _assumed(arguments, padding=pad_up != "zero", upsample=resized, norm=open_norm)
    out_channels = up[0] if resized else up[1]
    return _generator(named, arguments, first[1], out_channels, biased, assumed, assumptions)


def _resnet(state: State, assumptions: Assumptions) -> Guess | None:
    blocks = sorted(
        {int(m[1]) for key in state if (m := re.match(r"model\.(\d+)\.conv_block", key))}
    )
    first = _kernel(state, "model.1")
    if first is None or not blocks:
        return None
    numbers = _numbers(state, "model.")
    downs = [number for number in numbers if 1 < number < blocks[0]]
    *ups, last = [number for number in numbers if number > blocks[-1]] or [0]
    inner = _numbers(state, f"model.{blocks[0]}.conv_block.")
    head, tail = (inner[0], inner[-1]) if inner else (0, 0)
    padded = head == 1
    blurs = [int(m[1]) for key in state if (m := re.fullmatch(rf"model\.(\d+)\.{BLUR}", key))]
    up = _kernel(state, f"model.{ups[0]}") if ups else None
    resized = up is not None and up[0] < up[1]
    # Behind the last block: resizing, and perhaps padding.
    pad_up = assumptions.padding if resized and ups[0] - blocks[-1] == 3 else "zero"
    open_upsample = resized and not any(number > blocks[-1] for number in blurs)
    upsample = "deconv"
    if resized:
        upsample = _resizing(assumptions, pad_up) if open_upsample else "bilinear"
    norm, biased, open_norm = _norm(state, "model.1", assumptions)
    arguments = {
        "ngf": first[0],
        "n_downs": len(downs),
        "n_blocks": len(blocks),
        "norm": norm,
        # Padding, convolution, norm and activation, and the same once more.
        "dropout": tail - head == (5 if padded else 4),
        "pad": assumptions.padding if padded else "zero",
        "pad_up": pad_up if resized else None,
        "downsample": "blur" if any(number < blocks[0] for number in blurs) else "stride",
        "upsample": upsample,
    }
    named = {9: "resnet_9blocks", 6: "resnet_6blocks"}.get(len(blocks), "resnet")
    end = _kernel(state, f"model.{last}") or first
    padding = padded or pad_up != "zero"
    assumed = _assumed(arguments, padding=padding, upsample=open_upsample, norm=open_norm)
    return _generator(named, arguments, first[1], end[0], biased, assumed, assumptions)


def _patch(state: State, assumptions: Assumptions) -> Guess | None:
    first, numbers = _kernel(state, "model.0"), _numbers(state, "model.")
    if first is None or first[2] != 4 or len(numbers) < 3 or _child(state, "model."):
        return None
    norm, biased, _ = _norm(state, f"model.{numbers[1]}", assumptions)
    blurred = any(key.endswith(f".{BLUR}") for key in state)
    arguments = {
        "ndf": first[0],
        "n_layers": len(numbers) - 2,
        "norm": norm,
        "downsample": "blur" if blurred else "stride",
    }
    return Guess("discriminator", "patch", arguments, first[1], 1, biased, {})


def _pixel(state: State, assumptions: Assumptions) -> Guess | None:
    first = _kernel(state, "net.0")
    if first is None or first[2] != 1:
        return None
    norm, biased, _ = _norm(state, "net.2", assumptions)
    arguments = {"ndf": first[0], "norm": norm}
    return Guess("discriminator", "pixel", arguments, first[1], 1, biased, {})


def _generator(
    architecture: str,
    arguments: dict[str, Any],
    in_channels: int,
    out_channels: int,
    biased: bool,
    assumed: dict[str, str],
    assumptions: Assumptions,
) -> Guess:
    """A generator, with what can never be inferred."""
    never_inferred = {"value_range": assumptions.value_range, "output": assumptions.output}
    arguments, assumed = arguments | never_inferred, assumed | never_inferred
    return Guess("generator", architecture, arguments, in_channels, out_channels, biased, assumed)


def _resizing(assumptions: Assumptions, pad_up: str) -> str:
    """How layers that resize do it: what two widespread ways of writing them are for."""
    return assumptions.upsample or ("nearest" if pad_up == "zero" else "bilinear")


def _assumed(arguments: Mapping[str, Any], *, padding: bool, **left_open: bool) -> dict[str, str]:
    """What was taken for granted of the arguments."""
    taken = {
        name: str(arguments[name]) for name, never_inferred in left_open.items() if never_inferred
    }
    pads = {str(arguments.get("pad")), str(arguments["pad_up"])} & {"reflect", "replicate"}
    return taken | ({"padding": pads.pop()} if padding else {})


def _norm(state: State, convolution: str, assumptions: Assumptions) -> tuple[str, bool, bool]:
    """The kind of normalisation, whether the convolution in front of one has a bias, and whether
    the weights leave the kind open.

    As published, it has one with InstanceNorm only. InstanceNorm with weights and averages computes
    what BatchNorm does, one image at a time. Averages alone are those of old InstanceNorms, which
    the present implementation drops, too.
    """
    biased = f"{convolution}.bias" in state
    affine = any(key.endswith(".weight") and weight.ndim == 1 for key, weight in state.items())
    averages = any(key.endswith(".running_mean") for key in state)
    if affine:
        return ("batch" if averages else "instance_affine"), biased, False
    if averages:
        return "instance", biased, False
    return assumptions.norm or ("instance" if biased else "none"), biased, True


def _kernel(state: State, layer: str) -> tuple[int, ...] | None:
    """The shape of a convolution's weights."""
    weight = state.get(f"{layer}.weight")
    return tuple(weight.shape) if weight is not None and weight.ndim == 4 else None


def _numbers(state: State, prefix: str) -> list[int]:
    """The places of the convolutions directly in a chain."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.weight")
    found = ((pattern.fullmatch(key), weight) for key, weight in state.items())
    return sorted(int(match[1]) for match, weight in found if match and weight.ndim == 4)


def _child(state: State, prefix: str) -> str | None:
    """The place of the chain within a chain."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.model\.")
    return next((match[1] for key in state if (match := pattern.match(key))), None)
