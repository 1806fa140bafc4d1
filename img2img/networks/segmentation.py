"""A discriminator that segments images (Sushko et al. 2021, OASIS, arXiv 2012.04781).

Written from the paper: section 3.1, and the table of its architecture in the appendix.
"""

from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from img2img.networks.base import DISCRIMINATORS, Discriminator, DiscriminatorOutput
from img2img.networks.blocks import InitName, initialize
from img2img.registry import Positive

_WIDEST = 4


class SegmentationBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut of one 1x1: [N, before, H, W] to [N, after, H, W]."""

    def __init__(self, before: int, after: int, *, active: bool = True) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.2) if active else nn.Identity(),
            nn.Conv2d(before, after, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.layers(x)
        return y


@DISCRIMINATORS.register("segmentation")
class SegmentationDiscriminator(Discriminator):
    """U-Net that tells the class of each pixel of a label map, or that it is fake, as in OASIS.

    It sees the image alone. Without label maps it tells real from fake at each pixel.

    Args:
        ndf: channels at half size; they double with every second halving up to 4 times that, and
            are half of it on the way back.
        n_layers: halvings.
        classes: `auto`: those of the label maps.
        spectral: divide all weights by their largest singular value (Miyato et al. 2018).
        init: how weights are drawn.
    """

    mixes_images = False

    def __init__(
        self,
        *,
        in_channels: int,
        ndf: Positive = 128,
        n_layers: Annotated[int, Field(ge=1, le=10)] = 6,
        classes: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto",
        spectral: bool = True,
        init: InitName = "normal",
    ) -> None:
        super().__init__()
        self.classes = 0 if classes == "auto" else classes
        self.min_size = 2**n_layers
        widths = [ndf * min(2 ** (layer // 2), _WIDEST) for layer in range(n_layers)]
        narrow = [max(1, width // 2) for width in reversed(widths)]
        entering = [
            widths[-1],
            *(up + skip for up, skip in zip(narrow, widths[-2::-1], strict=False)),
        ]
        self.down = nn.ModuleList(
            SegmentationBlock(before, after, active=layer > 0)
            for layer, (before, after) in enumerate(pairwise([in_channels, *widths]))
        )
        self.up = nn.ModuleList(
            SegmentationBlock(before, after) for before, after in zip(entering, narrow, strict=True)
        )
        self.judge = nn.Conv2d(narrow[-1], self.classes + 1, 1)
        initialize(self, init, spectral=spectral)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        skips, sizes = [], []
        for block in self.down:
            sizes.append(x.shape[-2:])
            x = F.avg_pool2d(block(x), 2)
            skips.append(x)
        features = [*skips]
        skips.pop()
        for block in self.up:
            x = block(F.interpolate(x, sizes.pop(), mode="nearest"))
            features.append(x)
            if skips:
                x = torch.cat([x, skips.pop()], 1)
        return DiscriminatorOutput([self.judge(F.leaky_relu(x, 0.2))], features)
