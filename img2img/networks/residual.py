"""A residual discriminator without normalisation (Huang et al. 2024, R3GAN, arXiv 2501.05441)."""

import math
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from img2img.networks.base import DISCRIMINATORS, Discriminator, DiscriminatorOutput
from img2img.networks.blocks import BlurDown
from img2img.networks.minibatch import MinibatchStd
from img2img.networks.spectral import normalize_spectra
from img2img.registry import Positive


class InvertedBottleneck(nn.Module):
    """1x1 to twice the channels, 3x3 in groups, and 1x1 back, beside a shortcut (section 4).

    [N, C, H, W] to the same.

    Args:
        group_width: channels of a group; fewer where they would not divide.
        share: a factor on the initial weights of the first two layers.
        last: the same for the third.
    """

    def __init__(self, channels: int, group_width: int, share: float, last: float) -> None:
        super().__init__()
        wide = 2 * channels
        groups = wide // math.gcd(wide, group_width)
        self.layers = nn.Sequential(
            _drawn(nn.Conv2d(channels, wide, 1), 0.2, share),
            nn.LeakyReLU(0.2, inplace=True),
            _drawn(nn.Conv2d(wide, wide, 3, padding=1, groups=groups), 0.2, share),
            nn.LeakyReLU(0.2, inplace=True),
            _drawn(nn.Conv2d(wide, channels, 1, bias=False), 1.0, last),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


def _drawn(layer: nn.Conv2d, slope: float, share: float = 1.0) -> nn.Conv2d:
    """The layer with weights that keep the scale of maps, if a leaky ReLU of this slope follows."""
    nn.init.kaiming_normal_(layer.weight, a=slope)
    with torch.no_grad():
        layer.weight *= share
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


@DISCRIMINATORS.register("residual")
class ResidualDiscriminator(Discriminator):
    """Residual blocks without normalisation, as in R3GAN (section 4); one logit per patch.

    Each stage halves by a blur and a 1x1 convolution, and goes through blocks; three stages see
    89x89 pixels. Weights are drawn as Fixup has it (Zhang et al. 2019, arXiv 1901.09321): the last
    of a block 0, the others scaled to the number of blocks. It is made for penalties on gradients
    (`r1`, `r2`), which keep it in bounds.

    Args:
        ndf: channels at full size; they double with each halving up to 8 times that.
        n_layers: stages, each of which halves.
        blocks: residual blocks to a stage.
        group_width: channels that a 3x3 convolution of the blocks looks at together.
        spectral: divide all weights by their largest singular value (Miyato et al. 2018).
        minibatch_std: images to a group whose spread is shown to the last convolution, which gives
            a collapsed generator away (Karras et al. 2018); 0: none.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        ndf: Positive = 32,
        n_layers: Annotated[int, Field(ge=1, le=12)] = 3,
        blocks: Annotated[int, Field(ge=1, le=16)] = 2,
        group_width: Positive = 16,
        spectral: bool = False,
        minibatch_std: Literal[0] | Annotated[int, Field(ge=2)] = 0,
    ) -> None:
        super().__init__()
        # What a blur still can reflect after all halvings but the last.
        self.min_size = 2 ** (n_layers - 1) + 1
        self.mixes_images = minibatch_std > 0
        widths = [ndf * min(2**stage, 8) for stage in range(n_layers + 1)]
        # Fixup's rule for blocks of three layers. A weight of 0 has no spectrum to normalise.
        share, last = (n_layers * blocks) ** (-1 / 4), float(spectral)
        # At full size before the first blur, or nobody would ever judge what is finest.
        self.enter = nn.Sequential(
            _drawn(nn.Conv2d(in_channels, ndf, 3, padding=1), 0.2),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                BlurDown(before),
                _drawn(nn.Conv2d(before, after, 1), 1.0),
                *(InvertedBottleneck(after, group_width, share, last) for _ in range(blocks)),
            )
            for before, after in pairwise(widths)
        )
        spread = [MinibatchStd(minibatch_std)] if minibatch_std else []
        judge = nn.Conv2d(widths[-1] + len(spread), 1, 3, padding=1)
        self.judge = nn.Sequential(*spread, _drawn(judge, 1.0))
        if spectral:
            normalize_spectra(self)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        x = self.enter(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return DiscriminatorOutput([self.judge(x)], features)
