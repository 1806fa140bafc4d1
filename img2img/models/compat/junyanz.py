"""The networks of pytorch-CycleGAN-and-pix2pix and its forks, inferred from their weights.

The names and shapes in a state_dict are all that describes the architecture. The published
networks have the same names here. In forks, resizing and the padding after it are layers of their
own, which shifts the numbers, and blur kernels are stored (in CUT, arXiv 2007.15651).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.errors import ConfigError, ModelFileError, shortened, some_names
from img2img.models.spec import ModelSpec
from img2img.networks import DISCRIMINATORS, GENERATORS
from img2img.networks.blocks import (
    BlurDown,
    OutputName,
    RangeName,
    ResizeConvolution,
    binomial,
)
from img2img.registry import Registry

State = Mapping[str, Tensor]
Kind = Literal["generator", "discriminator"]

CATALOGUES: dict[Kind, Registry[Any]] = {"generator": GENERATORS, "discriminator": DISCRIMINATORS}
# Those that all have seen, to compare strange weights with.
_WELL_KNOWN: list[tuple[Kind, str]] = [
    ("generator", "unet_256"),
    ("generator", "unet_128"),
    ("generator", "resnet_9blocks"),
    ("generator", "resnet_6blocks"),
    ("discriminator", "patch"),
    ("discriminator", "pixel"),
]
_BLUR = "filt"
# Names shown of those that are not understood.
_SHOWN = 4


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


@dataclass(frozen=True)
class Network:
    """A generator or discriminator of ours that computes what the other one did."""

    kind: Kind
    architecture: str
    arguments: dict[str, Any]
    in_channels: int
    out_channels: int
    """Of a discriminator: 1."""
    tensors: dict[str, Tensor]
    """By our names."""
    assumed: dict[str, str]
    """The fields of `Assumptions` that could not be inferred, and their values."""


class Unfitting(ModelFileError):
    """Weights that are nearly those of a known kind.

    Attributes:
        kind: which.
    """

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.kind = kind


def recognize(state: State, assumptions: Assumptions) -> Network | None:
    """The network that has these weights; None if its kind is not known.

    Raises:
        Unfitting: they nearly fit a known kind.
    """
    for guess in (_unet, _resnet, _patch, _pixel):
        guessed = guess(state, assumptions)
        if guessed is not None:
            return _fitted(guessed, state)
    return None


def described(spec: ModelSpec, state: State) -> Network:
    """The generator of a description, with these weights.

    Raises:
        Unfitting: they do not fit it.
    """
    channels = spec.in_channels, spec.out_channels
    guess = _Guess("generator", spec.architecture, spec.arguments, *channels, False, {})
    return _fitted(guess, state)


def closest(state: State) -> str:
    """Which known layout is nearest to weights that are of none, and what it does not have."""
    known = {name: set(_built(kind, name, {}, 3, 3).state_dict()) for kind, name in _WELL_KNOWN}
    alike = {name: len(keys & set(state)) / len(keys | set(state)) for name, keys in known.items()}
    best = max(alike, key=lambda name: alike[name])
    if not alike[best]:
        return f"{_few([*state])} are in none of the known layouts: {', '.join(known)}"
    strange = [key for key in state if key not in known[best]]
    if not strange:
        return f"{_few(sorted(known[best] - set(state)))} are missing for {best}"
    return f"{_few(strange)} are not in {best}, the closest of {', '.join(known)}"


def reference_state(network: nn.Module) -> dict[str, Tensor]:
    """The state_dict that the other implementation has for a generator or discriminator of ours."""
    layout = _layout(network)
    state = {layout.names[key]: tensor for key, tensor in network.state_dict().items()}
    if any(isinstance(module, BlurDown) for module in network.modules()):
        state |= layout.blurs
    if any(isinstance(module, nn.Identity) for module in network.modules()):
        # Without normalisation there are biases only at the ends there. Here all have some, which
        # are 0 where the weights are from there.
        biases = [key for key in state if _is_convolutions_bias(key, state)][:-1]
        if not any(state[key].any() for key in biases):
            state = {key: tensor for key, tensor in state.items() if key not in biases}
    return state


@dataclass
class _Layout:
    """How a network is written there."""

    names: dict[str, str] = field(default_factory=dict)
    """Their name by ours."""
    blurs: dict[str, Tensor] = field(default_factory=dict)
    """The kernels stored with it, by their name."""


def _layout(network: nn.Module) -> _Layout:
    layout = _Layout()

    def walk(module: nn.Module, ours: str, theirs: str) -> None:
        if isinstance(module, BlurDown):
            layout.blurs[theirs + _BLUR] = module.kernel
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        layout.names.update({ours + name: theirs + name for name, _ in own})
        place = 0
        for name, child in module.named_children():
            if not isinstance(module, nn.Sequential):
                walk(child, f"{ours}{name}.", f"{theirs}{name}.")
            elif isinstance(child, ResizeConvolution):
                convolution = child[1]
                assert isinstance(convolution, nn.Conv2d)
                padded = convolution.padding_mode != "zeros"
                if not padded:
                    # Which makes bilinear resizing of a map's doubled copy.
                    blur = 4 * binomial(4).repeat(convolution.in_channels, 1, 1, 1)
                    layout.blurs[f"{theirs}{place}.{_BLUR}"] = blur
                place += 2 if padded else 1
                walk(convolution, f"{ours}{name}.1.", f"{theirs}{place}.")
            else:
                walk(child, f"{ours}{name}.", f"{theirs}{place}.")
            place += 1

    walk(network, "", "")
    return layout


class _Guess(NamedTuple):
    """What weights seem to be of."""

    kind: Kind
    architecture: str
    arguments: dict[str, Any]
    in_channels: int
    out_channels: int
    biased: bool
    """Whether convolutions in front of normalisation have biases."""
    assumed: dict[str, str]


def _unet(state: State, assumptions: Assumptions) -> _Guess | None:
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


def _resnet(state: State, assumptions: Assumptions) -> _Guess | None:
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
    blurs = [int(m[1]) for key in state if (m := re.fullmatch(rf"model\.(\d+)\.{_BLUR}", key))]
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


def _patch(state: State, assumptions: Assumptions) -> _Guess | None:
    first, numbers = _kernel(state, "model.0"), _numbers(state, "model.")
    if first is None or first[2] != 4 or len(numbers) < 3 or _child(state, "model."):
        return None
    norm, biased, _ = _norm(state, f"model.{numbers[1]}", assumptions)
    blurred = any(key.endswith(f".{_BLUR}") for key in state)
    arguments = {
        "ndf": first[0],
        "n_layers": len(numbers) - 2,
        "norm": norm,
        "downsample": "blur" if blurred else "stride",
    }
    return _Guess("discriminator", "patch", arguments, first[1], 1, biased, {})


def _pixel(state: State, assumptions: Assumptions) -> _Guess | None:
    first = _kernel(state, "net.0")
    if first is None or first[2] != 1:
        return None
    norm, biased, _ = _norm(state, "net.2", assumptions)
    arguments = {"ndf": first[0], "norm": norm}
    return _Guess("discriminator", "pixel", arguments, first[1], 1, biased, {})


def _generator(
    architecture: str,
    arguments: dict[str, Any],
    in_channels: int,
    out_channels: int,
    biased: bool,
    assumed: dict[str, str],
    assumptions: Assumptions,
) -> _Guess:
    """A generator, with what can never be inferred."""
    never_inferred = {"value_range": assumptions.value_range, "output": assumptions.output}
    arguments, assumed = arguments | never_inferred, assumed | never_inferred
    return _Guess("generator", architecture, arguments, in_channels, out_channels, biased, assumed)


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


def _fitted(guess: _Guess, state: State) -> Network:
    """The weights under our names, if they are all there and nothing else is."""
    channels = guess.in_channels, guess.out_channels

    def unfitting(reason: object) -> Unfitting:
        return Unfitting(f"like {guess.architecture}, but {reason}", guess.kind)

    try:
        network = _built(guess.kind, guess.architecture, guess.arguments, *channels)
    except (ConfigError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise unfitting(shortened(" ".join(str(error).split()))) from None
    layout, left = _layout(network), dict(state)
    for name, kernel in layout.blurs.items():
        given = left.pop(name, None)
        if given is not None and not (
            given.shape == kernel.shape and torch.allclose(given.float(), kernel.float())
        ):
            raise unfitting(f"with another blur in {name}")
    if guess.arguments.get("norm") != "batch":
        averages = ("running_mean", "running_var", "num_batches_tracked")
        left = {name: tensor for name, tensor in left.items() if not name.endswith(averages)}
    elif guess.biased:
        left = _without_biases(network, layout, left)
    own = network.state_dict()
    # The last convolution has a bias whatever the norm, but for this one.
    kept = set() if guess.architecture == "pixel" else {[*own][-1]}
    tensors, missing = {}, []
    for key, tensor in own.items():
        name = layout.names[key]
        if name in left:
            tensors[key] = left.pop(name)
            if tensors[key].shape != tensor.shape:
                given_shape, wanted = list(tensors[key].shape), list(tensor.shape)
                raise unfitting(f"{name} has shape {given_shape} instead of {wanted}")
        elif key.endswith("num_batches_tracked"):  # which old files do not have
            tensors[key] = torch.zeros((), dtype=torch.long)
        elif not guess.biased and key not in kept and _is_convolutions_bias(key, own):
            weight = tensors.get(f"{key.removesuffix('bias')}weight", tensor)
            tensors[key] = torch.zeros(tensor.shape, dtype=weight.dtype)
        else:
            missing.append(name)
    if left or missing:
        found = [f"{_few([*left])} are not part of it"] if left else []
        found += [f"{_few(missing)} are missing"] if missing else []
        raise unfitting(" and ".join(found))
    section = Component.model_validate({**guess.arguments, "name": guess.architecture})
    supplied = ("in_channels", "out_channels")
    arguments = CATALOGUES[guess.kind].arguments(section, guess.kind, *supplied)
    return Network(guess.kind, guess.architecture, arguments, *channels, tensors, guess.assumed)


def _without_biases(network: nn.Module, layout: _Layout, state: State) -> dict[str, Tensor]:
    """The same with biases in front of BatchNorm, which has none here, taken off its averages.

    By an image's own statistics they have no effect.
    """
    left, own = dict(state), network.state_dict()
    places = [key.removesuffix(".running_mean") for key in own if key.endswith(".running_mean")]
    for place in places:
        chain, _, number = place.rpartition(".")
        inside = network.get_submodule(chain)
        before = inside[int(number) - 1]  # type: ignore[index]
        inner = f".{len(before) - 1}" if isinstance(before, nn.Sequential) else ""
        weight = layout.names[f"{chain}.{int(number) - 1}{inner}.weight"]
        bias = left.pop(weight.removesuffix("weight") + "bias", None)
        mean = layout.names[f"{place}.running_mean"]
        if bias is not None and mean in left and left[mean].shape == bias.shape:
            left[mean] = left[mean] - bias
    return left


def _is_convolutions_bias(key: str, state: State) -> bool:
    weight = state.get(f"{key.removesuffix('bias')}weight")
    return key.endswith(".bias") and weight is not None and weight.ndim == 4


def _built(
    kind: Kind, architecture: str, arguments: dict[str, Any], in_channels: int, out_channels: int
) -> nn.Module:
    """The network without storage."""
    section = Component.model_validate({**arguments, "name": architecture})
    supplied: dict[str, Any] = {"in_channels": in_channels}
    if kind == "generator":
        supplied["out_channels"] = out_channels
    with torch.device("meta"):
        network: nn.Module = CATALOGUES[kind].build(section, kind, **supplied)
    return network


def _few(names: list[str]) -> str:
    return shortened(some_names(names, most=_SHOWN))
