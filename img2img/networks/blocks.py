"""Pieces that several networks are made of."""

from typing import Literal

from torch import Tensor, nn

PaddingName = Literal["reflect", "replicate", "zero"]
InitName = Literal["normal", "kaiming"]
UpsampleName = Literal["deconv", "nearest", "bilinear"]


def upsampling(
    kind: UpsampleName, in_channels: int, out_channels: int, *, kernel: Literal[3, 4], bias: bool
) -> nn.Module:
    """Double height and width: [N, in, H, W] to [N, out, 2H, 2W].

    `deconv` is the published transposed convolution, whose kernel of 3 or 4 depends on the
    network. The others enlarge first and then convolve, which leaves no checkerboard (Odena et
    al., "Deconvolution and Checkerboard Artifacts", Distill 2016).
    """
    if kind == "deconv":
        return nn.ConvTranspose2d(
            in_channels, out_channels, kernel, 2, padding=1, output_padding=4 - kernel, bias=bias
        )
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode=kind, align_corners=False if kind == "bilinear" else None),
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias),
    )


def padding(kind: PaddingName, pixels: int) -> list[nn.Module]:
    """The layer that pads by `pixels`; none for zero, which a convolution does by itself."""
    layers = {"reflect": nn.ReflectionPad2d, "replicate": nn.ReplicationPad2d}
    return [layers[kind](pixels)] if kind in layers else []


def initialize(network: nn.Module, init: InitName) -> None:
    """Draw the weights: BatchNorm N(1, 0.02), biases 0, and convolutions as `init` says.

    `normal` is N(0, 0.02) as published, which relies on normalisation to find the scale; `kaiming`
    (He et al. 2015, equation 15, for a leaky slope of 0.2) keeps the scale in networks without.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if init == "normal":
                nn.init.normal_(module.weight, 0.0, 0.02)
            else:
                nn.init.kaiming_normal_(module.weight, a=0.2)
            _zero(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            _zero(module.bias)


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
