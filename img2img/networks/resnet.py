"""The ResNet generator of CycleGAN (Johnson et al. 2016; Zhu et al. 2017, arXiv 1703.10593).

The modules are numbered as in the published implementation, so that state_dicts are exchanged
with it key by key.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from img2img.networks.base import GENERATORS, Generator, Stage
from img2img.networks.blocks import (
    InitName,
    InParts,
    OutputTanh,
    PaddingName,
    UpsampleName,
    initialize,
    padding,
    stage,
    upsampling,
)
from img2img.networks.norms import NormName, needs_bias, norm_layer
from img2img.registry import Positive


class ResnetBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: [N, C, H, W] to the same."""

    def __init__(self, channels: int, *, norm: NormName, pad: PaddingName, dropout: bool) -> None:
        super().__init__()
        make_norm, bias = norm_layer(norm), needs_bias(norm)
        own_padding = 1 if pad == "zero" else 0

        def convolution() -> list[nn.Module]:
            convolve = nn.Conv2d(channels, channels, 3, padding=own_padding, bias=bias)
            return [*padding(pad, 1), convolve, make_norm(channels)]

        between = [nn.ReLU(inplace=True), nn.Dropout(0.5)] if dropout else [nn.ReLU(inplace=True)]
        self.conv_block = nn.Sequential(*convolution(), *between, *convolution())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv_block(x)
        return y

    def stages(self) -> list[Stage]:
        """A stage for each convolution; the second one's adds what came into the first one's."""
        # Padding, convolution and norm, twice; between them an activation and perhaps dropout.
        length = (len(self.conv_block) - 1) // 2
        first, second = self.conv_block[:-length], self.conv_block[-length:]
        return [stage(first, halo=1), stage(second, halo=1, shortcut=2)]


@GENERATORS.register("resnet_9blocks", n_blocks=9)
@GENERATORS.register("resnet_6blocks", n_blocks=6)
@GENERATORS.register("resnet")
class ResnetGenerator(InParts, Generator):
    """ResNet with two halvings, n residual blocks and two doublings, the generator of CycleGAN.

    Args:
        ngf: channels at full size; 4 times that in the blocks.
        n_blocks: residual blocks at a quarter of the size.
        pad: padding of the convolutions in blocks and after resizing; the first and last layer
            always reflect.
        upsample: how sizes are doubled; `deconv` is the published way.
        init: how weights are drawn; `kaiming` where there is no norm.
    """

    size_multiple = 4
    # The blocks' reflection padding needs two pixels at a quarter of the size.
    min_size = 8

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        ngf: Positive = 64,
        n_blocks: Annotated[int, Field(ge=1, le=64)] = 9,
        norm: NormName = "instance",
        dropout: bool = False,
        pad: PaddingName = "reflect",
        upsample: UpsampleName = "deconv",
        init: InitName = "normal",
    ) -> None:
        super().__init__()
        make_norm, bias = norm_layer(norm), needs_bias(norm)
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(in_channels, ngf, 7, bias=bias),
            make_norm(ngf),
            nn.ReLU(inplace=True),
        ]
        for width in (ngf, 2 * ngf):
            halve = nn.Conv2d(width, 2 * width, 3, 2, 1, bias=bias)
            layers += [halve, make_norm(2 * width), nn.ReLU(inplace=True)]
        layers += [
            ResnetBlock(4 * ngf, norm=norm, pad=pad, dropout=dropout) for _ in range(n_blocks)
        ]
        for width in (4 * ngf, 2 * ngf):
            double = upsampling(upsample, width, width // 2, kernel=3, bias=bias, pad=pad)
            layers += [double, make_norm(width // 2), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, out_channels, 7), OutputTanh()]
        self.model = nn.Sequential(*layers)
        initialize(self, init)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self._parts(), x)

    def stages(self) -> list[Stage]:
        first, *inner, last = self._parts()
        halvings, doublings = inner[:2], inner[-2:]
        blocks = [layer for layer in self.model if isinstance(layer, ResnetBlock)]
        return [
            stage(first, halo=3),
            *(stage(part, halo=1, scale=Fraction(1, 2)) for part in halvings),
            *(each for block in blocks for each in block.stages()),
            *(stage(part, halo=1, scale=Fraction(2)) for part in doublings),
            stage(last, halo=3),
        ]

    def _parts(self) -> Iterator[nn.Sequential]:
        """The layers up to each activation, and each block."""
        part: list[nn.Module] = []
        for layer in self.model:
            part.append(layer)
            if isinstance(layer, ResnetBlock | nn.ReLU | OutputTanh):
                yield nn.Sequential(*part)
                part = []
