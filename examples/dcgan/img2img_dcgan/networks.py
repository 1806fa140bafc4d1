"""The generator and the discriminator of DCGAN (Radford et al. 2016, arXiv 1511.06434)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn

from img2img.errors import ConfigError
from img2img.networks import (
    DISCRIMINATORS,
    GENERATORS,
    Discriminator,
    DiscriminatorOutput,
    Generator,
)
from img2img.networks.blocks import OutputTanh
from img2img.networks.norms import BatchNorm2d
from img2img.registry import Positive

FIRST = 4
"""Height and width of the map that noise is projected to, in pixels."""


@GENERATORS.register("dcgan")
class DCGANGenerator(Generator):
    """Noise to square images by transposed convolutions (Radford et al. 2016, figure 1).

    It takes [N, in_channels, 1, 1] and makes [N, out_channels, size, size].

    Args:
        ngf: channels of the last layer but one; each layer before it has twice as many.
        size: height and width of the images, 8, 16, 32, ...; auto: of the crops trained on.
    """

    size_multiple = 1
    min_size = 1
    norm_statistics = "running"

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        ngf: Positive = 128,
        size: Positive | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        if size == "auto":
            raise ConfigError("generator.size: auto is decided when a training starts")
        doublings = size.bit_length() - FIRST.bit_length()
        if doublings < 1 or size != FIRST << doublings:
            raise ConfigError(f"generator.size: {size} is not one of 8, 16, 32, ...")
        self.size = size
        widths = [ngf << layer for layer in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(in_channels, widths[0], FIRST, bias=False)]
        for before, after in pairwise([*widths, out_channels]):
            layers += [
                BatchNorm2d(before),
                nn.ReLU(inplace=True),
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
            ]
        self.layers = nn.Sequential(*layers, OutputTanh())
        initialize(self)

    @classmethod
    def resolve(cls, arguments: Mapping[str, Any], crop_size: tuple[int, int]) -> dict[str, Any]:
        size = crop_size[0] if arguments["size"] == "auto" else arguments["size"]
        return {**arguments, "size": size}

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.layers(x)
        return y


@DISCRIMINATORS.register("dcgan")
class DCGANDiscriminator(Discriminator):
    """Strided convolutions down to one logit per image (Radford et al. 2016, section 3).

    Args:
        ndf: channels of the first layer; each further one has twice as many.
        n_layers: layers that halve the image; 4 take 64 pixels down to 4.
    """

    def __init__(self, *, in_channels: int, ndf: Positive = 128, n_layers: Positive = 4) -> None:
        super().__init__()
        self.min_size = FIRST << n_layers
        widths = [ndf << layer for layer in range(n_layers)]
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, widths[0], 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for before, after in pairwise(widths):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
                BatchNorm2d(after),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers)
        self.logit = nn.Conv2d(widths[-1], 1, FIRST, bias=False)
        initialize(self)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        features = self.layers(x)
        return DiscriminatorOutput([self.logit(features)], [features])


def initialize(network: nn.Module) -> None:
    """Weights from N(0, 0.02), gains of BatchNorm from N(1, 0.02) (section 4)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
