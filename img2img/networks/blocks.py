"""Pieces that several networks are made of."""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from img2img.networks.base import Stage
from img2img.networks.norms import NormLayer, freeze_idle_biases
from img2img.networks.spectral import normalize_spectra
from img2img.runtime.devices import at_least_float32

PaddingName = Literal["reflect", "replicate", "zero"]
InitName = Literal["normal", "kaiming"]
UpsampleName = Literal["deconv", "nearest", "bilinear"]
DownsampleName = Literal["stride", "blur"]
RangeName = Literal["-1,1", "0,1"]
OutputName = Literal["tanh", "sigmoid", "linear"]

# What torch's convolutions call the kinds of padding.
MODES: dict[PaddingName, Literal["reflect", "replicate", "zeros"]] = {
    "reflect": "reflect",
    "replicate": "replicate",
    "zero": "zeros",
}


class InParts(nn.Module):
    """A module that runs as a chain of parts.

    With `recompute`, only what goes from part to part is kept for the backward pass, which computes
    the rest once more (Chen et al. 2016, arXiv 1604.06174). The gradients are the same; BatchNorm's
    running averages take each batch in twice.
    """

    recompute = False

    def run(self, parts: Iterable[nn.Module], x: Tensor) -> Tensor:
        """The chain's output."""
        for part in parts:
            # One without weights is an activation, which may work in place and costs nothing.
            whole = isinstance(part, InParts) or not any(True for _ in part.parameters())
            if self.recompute and torch.is_grad_enabled() and not whole:
                x = checkpoint(part, x, use_reentrant=False)
            else:
                x = part(x)
        return x


def recompute_activations(network: nn.Module) -> None:
    """Let every part of a network that can do so save memory as `InParts` says."""
    for module in network.modules():
        if isinstance(module, InParts):
            module.recompute = True


class OutputTanh(nn.Module):
    """tanh in float32 at least, whatever the network computes in.

    In bfloat16 tanh is exactly 1 from 3.2 on: its gradient there is 0, and a generator that once
    gets so far never comes back. Nor would bfloat16 give all 256 grey levels near white.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(at_least_float32(x))


class OutputSigmoid(nn.Module):
    """The logistic function in float32 at least, for the reasons of `OutputTanh`."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(at_least_float32(x))


class OutputLinear(nn.Module):
    """Nothing but float32, for results that may be beyond the range."""

    def forward(self, x: Tensor) -> Tensor:
        return at_least_float32(x)


_OUTPUTS: dict[OutputName, type[nn.Module]] = {
    "tanh": OutputTanh,
    "sigmoid": OutputSigmoid,
    "linear": OutputLinear,
}


class ToUnit(nn.Module):
    """[-1, 1] to [0, 1], in front of a network that was trained on such numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1) / 2


class FromUnit(nn.Module):
    """[0, 1] to [-1, 1], behind a network that gives such numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


def input_layer(layer: nn.Module, value_range: RangeName) -> nn.Module:
    """The first layer of a generator that was trained on numbers of this range."""
    return layer if value_range == "-1,1" else nn.Sequential(ToUnit(), layer)


def output_layer(activation: OutputName, value_range: RangeName) -> nn.Module:
    """The last layer of a generator that was trained to give numbers of this range."""
    last = _OUTPUTS[activation]()
    return last if value_range == "-1,1" else nn.Sequential(last, FromUnit())


def stage(
    layers: nn.Sequential, *, halo: int, scale: Fraction = Fraction(1), shortcut: int = 0
) -> Stage:
    """Layers that run one after the other, of which the last convolution ends the stage's `op`."""
    end = 1 + max(index for index, layer in enumerate(layers) if _convolutions(layer))
    norm = layers[end] if end < len(layers) else None
    if isinstance(norm, NormLayer):
        return Stage(layers[:end], halo, scale, norm, layers[end + 1 :], shortcut)
    return Stage(layers[:end], halo, scale, None, layers[end:], shortcut)


def _convolutions(network: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def upsampling(
    kind: UpsampleName,
    in_channels: int,
    out_channels: int,
    *,
    kernel: Literal[3, 4],
    bias: bool,
    pad: PaddingName = "zero",
) -> nn.Module:
    """Double height and width: [N, in, H, W] to [N, out, 2H, 2W].

    `deconv` is the published transposed convolution, whose kernel of 3 or 4 depends on the
    network. The others enlarge first and then convolve, padded as `pad` says, which leaves no
    checkerboard (Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016).
    `bilinear` is what others call a blur: zeros between the pixels, smoothed by the binomial filter
    (1, 3, 3, 1) with edges repeated (Karras et al. 2019, arXiv 1812.04948), gives the same numbers.
    """
    if kind == "deconv":
        return nn.ConvTranspose2d(
            in_channels, out_channels, kernel, 2, padding=1, output_padding=4 - kernel, bias=bias
        )
    align = False if kind == "bilinear" else None
    return ResizeConvolution(
        nn.Upsample(scale_factor=2, mode=kind, align_corners=align),
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias, padding_mode=MODES[pad]),
    )


class ResizeConvolution(nn.Sequential):
    """Enlarges, then convolves."""


class Blur(nn.Module):
    """Blur, [N, channels, H, W] to the same, by the binomial filter (1, 2, 1).

    What is halved afterwards has nothing to alias (Zhang, "Making Convolutional Networks
    Shift-Invariant Again", 2019, arXiv 1904.11486).
    """

    stride = 1
    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Not persistent: nothing in it is learned.
        self.register_buffer("kernel", binomial(3).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), "reflect")
        return F.conv2d(padded, self.kernel.to(x.dtype), stride=self.stride, groups=x.shape[1])


class BlurDown(Blur):
    """Blur and halve: to [N, channels, ceil(H / 2), ceil(W / 2)]."""

    stride = 2


def binomial(size: int) -> Tensor:
    """The square blur kernel [1, 1, size, size] of binomial coefficients, whose sum is 1."""
    # Not where a network is built without storage, which nobody would fill in.
    row = torch.tensor([float(math.comb(size - 1, k)) for k in range(size)], device="cpu")
    return (row[:, None] * row / row.sum() ** 2)[None, None]


def padding(kind: PaddingName, pixels: int) -> list[nn.Module]:
    """The layer that pads by `pixels`; none for zero, which a convolution does by itself."""
    layers = {"reflect": nn.ReflectionPad2d, "replicate": nn.ReplicationPad2d}
    return [layers[kind](pixels)] if kind in layers else []


def initialize(network: nn.Module, init: InitName, *, spectral: bool) -> None:
    """Draw the weights: BatchNorm N(1, 0.02), biases 0, and convolutions as `init` says.

    `normal` is N(0, 0.02) as published, which relies on normalisation to find the scale; `kaiming`
    (He et al. 2015, equation 15, for a leaky slope of 0.2) keeps the scale in networks without.
    The last convolution is always N(0, 0.02): larger, it would start the tanh behind it at its
    ends, where there is no gradient. Biases that have no effect stay as they are. Weights without
    storage, which are about to be loaded, are left alone.

    Args:
        spectral: divide them by their largest singular value from then on.
    """
    freeze_idle_biases(network)
    if any(weight.is_meta for weight in network.parameters()):
        return  # drawing them would draw nothing, and takes torch a second to prepare
    convolutions = _convolutions(network)
    for convolution in convolutions:
        if init == "normal" or convolution is convolutions[-1]:
            nn.init.normal_(convolution.weight, 0.0, 0.02)
        else:
            nn.init.kaiming_normal_(convolution.weight, a=0.2)
        _zero(convolution.bias)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
            _zero(module.bias)
    if spectral:
        normalize_spectra(network)


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
