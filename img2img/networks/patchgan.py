"""Discriminators that judge patches (Isola et al. 2017, section 3.2.2) or single pixels.

The modules are numbered as in the published implementation, so that state_dicts are exchanged
with it key by key.
"""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from img2img.networks.attention import SelfAttention
from img2img.networks.base import DISCRIMINATORS, Discriminator, DiscriminatorOutput
from img2img.networks.blocks import BlurDown, DownsampleName, InitName, initialize
from img2img.networks.minibatch import MinibatchStd
from img2img.networks.norms import NormName, needs_bias, norm_layer
from img2img.registry import Positive


def _activation() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)


def _judge(layers: nn.Sequential, x: Tensor) -> DiscriminatorOutput:
    """Run `layers`, keeping what each activation gave on the way."""
    features = []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            features.append(x)
    return DiscriminatorOutput(logits=[x], features=features)


@DISCRIMINATORS.register("patch")
class PatchDiscriminator(Discriminator):
    """PatchGAN: one logit per patch; with three layers, patches of 70x70 pixels.

    Args:
        ndf: channels of the first convolution; they double up to 8 times that.
        n_layers: halvings; each doubles the patch.
        downsample: `stride` is the published way; `blur` as in the ResNet generator.
        attention: let places attend to each other before the last convolution (Zhang et al. 2019).
        spectral: divide all weights by their largest singular value (Miyato et al. 2018).
        minibatch_std: images to a group whose spread is shown to the last convolution, which gives
            a collapsed generator away (Karras et al. 2018); 0: none.
        init: how weights are drawn; `kaiming` where there is no norm.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        ndf: Positive = 64,
        n_layers: Annotated[int, Field(ge=1, le=12)] = 3,
        norm: NormName = "batch",
        downsample: DownsampleName = "stride",
        attention: bool = False,
        spectral: bool = False,
        minibatch_std: Literal[0] | Annotated[int, Field(ge=2)] = 0,
        init: InitName = "normal",
    ) -> None:
        super().__init__()
        # What n halvings and two convolutions that each lose a pixel still leave one logit of.
        self.min_size = 3 * 2**n_layers
        self.mixes_images = norm == "batch" or minibatch_std > 0
        widths = [ndf * min(2**layer, 8) for layer in range(n_layers + 1)]
        halving = 2 if downsample == "stride" else 1

        def blur(width: int) -> list[nn.Module]:
            return [BlurDown(width)] if downsample == "blur" else []

        layers = [nn.Conv2d(in_channels, ndf, 4, halving, 1), _activation(), *blur(ndf)]
        for layer, (before, after) in enumerate(pairwise(widths), start=1):
            inner = layer < n_layers
            stride = halving if inner else 1
            convolve = nn.Conv2d(before, after, 4, stride, 1, bias=needs_bias(norm))
            layers += [convolve, norm_layer(norm)(after), _activation()]
            layers += blur(after) if inner else []
        if attention:
            layers.append(SelfAttention(widths[-1], twice=True))
        if minibatch_std:
            layers.append(MinibatchStd(minibatch_std))
        layers.append(nn.Conv2d(widths[-1] + (minibatch_std > 0), 1, 4, 1, 1))
        self.model = nn.Sequential(*layers)
        initialize(self, init, spectral=spectral)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        return _judge(self.model, x)


@DISCRIMINATORS.register("pixel")
class PixelDiscriminator(Discriminator):
    """1x1 PatchGAN: sees single pixels, so colour only.

    Args:
        ndf: channels of the first convolution.
        spectral: as in `patch`.
    """

    min_size = 1

    def __init__(
        self,
        *,
        in_channels: int,
        ndf: Positive = 64,
        norm: NormName = "batch",
        spectral: bool = False,
        init: InitName = "normal",
    ) -> None:
        super().__init__()
        self.mixes_images = norm == "batch"
        bias = needs_bias(norm)
        self.net = nn.Sequential(
            nn.Conv2d(in_channels, ndf, 1),
            _activation(),
            nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
            norm_layer(norm)(2 * ndf),
            _activation(),
            nn.Conv2d(2 * ndf, 1, 1, bias=bias),
        )
        initialize(self, init, spectral=spectral)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        return _judge(self.net, x)
