"""The networks of pytorch-CycleGAN-and-pix2pix and its forks, and their weights under our names.

The published networks have the same names here.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.errors import ConfigError, ModelFileError, shortened, some_names
from img2img.models.compat.architectures import BLUR, Assumptions, Guess, Kind, State, guess
from img2img.models.spec import ModelSpec
from img2img.networks import DISCRIMINATORS, GENERATORS, without_storage
from img2img.networks.blocks import (
    BlurDown,
    ResizeConvolution,
    binomial,
)
from img2img.registry import Registry

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
# Names shown of those that are not understood.
_SHOWN = 4


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
    guessed = guess(state, assumptions)
    return None if guessed is None else _fitted(guessed, state)


def described(spec: ModelSpec, state: State) -> Network:
    """The generator of a description, with these weights.

    Raises:
        Unfitting: they do not fit it.
    """
    channels = spec.in_channels, spec.out_channels
    guessed = Guess("generator", spec.architecture, spec.arguments, *channels, False, {})
    return _fitted(guessed, state)


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
            layout.blurs[theirs + BLUR] = module.kernel
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
                    layout.blurs[f"{theirs}{place}.{BLUR}"] = blur
                place += 2 if padded else 1
                walk(convolution, f"{ours}{name}.1.", f"{theirs}{place}.")
            else:
                walk(child, f"{ours}{name}.", f"{theirs}{place}.")
            place += 1

    walk(network, "", "")
    return layout


def _fitted(guessed: Guess, state: State) -> Network:
    """The weights under our names, if they are all there and nothing else is."""
    channels = guessed.in_channels, guessed.out_channels

    def unfitting(reason: object) -> Unfitting:
        return Unfitting(f"like {guessed.architecture}, but {reason}", guessed.kind)

    try:
        network = _built(guessed.kind, guessed.architecture, guessed.arguments, *channels)
    except (ConfigError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise unfitting(shortened(" ".join(str(error).split()))) from None
    layout, left = _layout(network), dict(state)
    for name, kernel in layout.blurs.items():
        given = left.pop(name, None)
        if given is not None and not (
            given.shape == kernel.shape and torch.allclose(given.float(), kernel.float())
        ):
            raise unfitting(f"with another blur in {name}")
    if guessed.arguments.get("norm") != "batch":
        averages = ("running_mean", "running_var", "num_batches_tracked")
        left = {name: tensor for name, tensor in left.items() if not name.endswith(averages)}
    elif guessed.biased:
        left = _without_biases(network, layout, left)
    own = network.state_dict()
    # The last convolution has a bias whatever the norm, but for this one.
    kept = set() if guessed.architecture == "pixel" else {[*own][-1]}
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
        elif not guessed.biased and key not in kept and _is_convolutions_bias(key, own):
            weight = tensors.get(f"{key.removesuffix('bias')}weight", tensor)
            tensors[key] = torch.zeros(tensor.shape, dtype=weight.dtype)
        else:
            missing.append(name)
    if left or missing:
        found = [f"{_few([*left])} are not part of it"] if left else []
        found += [f"{_few(missing)} are missing"] if missing else []
        raise unfitting(" and ".join(found))
    section = Component.model_validate({**guessed.arguments, "name": guessed.architecture})
    arguments = CATALOGUES[guessed.kind].arguments(section, guessed.kind)
    return Network(
        guessed.kind, guessed.architecture, arguments, *channels, tensors, guessed.assumed
    )


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
    channels = (in_channels, out_channels) if kind == "generator" else (in_channels,)
    return without_storage(architecture, arguments, *channels)


def _few(names: list[str]) -> str:
    return shortened(some_names(names, most=_SHOWN))
