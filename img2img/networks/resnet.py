"""The ResNet generator of CycleGAN (Johnson et al. 2016; Zhu et al. 2017, arXiv 1703.10593).

The modules are numbered as in the published implementation, so that state_dicts are exchanged
with it key by key.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from img2img.networks.attention import SelfAttention
from img2img.networks.base import GENERATORS, Generator, Stage
from img2img.networks.blocks import (
    BlurDown,
    DownsampleName,
    InitName,
    InParts,
    OutputName,
    PaddingName,
    RangeName,
    UpsampleName,
    initialize,
    input_layer,
    output_layer,
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
    """ResNet: halvings, residual blocks, as many doublings; the generator of CycleGAN.

    Args:
        ngf: channels at full size; they double with each halving.
        n_downs: halvings, 2 as published.
        n_blocks: residual blocks at the smallest size.
        pad: padding of the convolutions in blocks and after resizing; the first and last layer
            always reflect.
        pad_up: padding of the convolutions after resizing; null: as `pad`.
        downsample: `stride` is the published way; `blur` convolves at full size and then halves
            through a blur, which does not alias (Zhang 2019), as CUT does.
        upsample: how sizes are doubled; `deconv` is the published way.
        attention: let places attend to each other after half of the blocks (Zhang et al. 2019).
        spectral: divide all weights by their largest singular value (Miyato et al. 2018).
        value_range: what black and white are as numbers inside.
        output: the function that bounds the last layer; `linear` bounds nothing, for results beyond
            the range of the training images.
        init: how weights are drawn; `kaiming` where there is no norm.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        ngf: Positive = 64,
        n_downs: Annotated[int, Field(ge=1, le=6)] = 2,
        n_blocks: Annotated[int, Field(ge=1, le=64)] = 9,
        norm: NormName = "instance",
        dropout: bool = False,
        pad: PaddingName = "reflect",
        pad_up: PaddingName | None = None,
        downsample: DownsampleName = "stride",
        upsample: UpsampleName = "deconv",
        attention: bool = False,
        spectral: bool = False,
        value_range: RangeName = "-1,1",
        output: OutputName = "tanh",
        init: InitName = "normal",
    ) -> None:
        super().__init__()
        self.bounded = output != "linear"
        self.size_multiple = 2**n_downs
        # The blocks' reflection padding needs two pixels at the smallest size.
        self.min_size = 2 * self.size_multiple
        make_norm, bias = norm_layer(norm), needs_bias(norm)
        widths = [ngf * 2**level for level in range(n_downs + 1)]
        layers: list[nn.Module] = [
            input_layer(nn.ReflectionPad2d(3), value_range),
            nn.Conv2d(in_channels, ngf, 7, bias=bias),
            make_norm(ngf),
            nn.ReLU(inplace=True),
        ]
        for before, after in pairwise(widths):
            stride = 2 if downsample == "stride" else 1
            convolve = nn.Conv2d(before, after, 3, stride, 1, bias=bias)
            layers += [convolve, make_norm(after), nn.ReLU(inplace=True)]
            if downsample == "blur":
                layers.append(BlurDown(after))
        blocks: list[nn.Module] = [
            ResnetBlock(widths[-1], norm=norm, pad=pad, dropout=dropout) for _ in range(n_blocks)
        ]
        if attention:
            blocks.insert(n_blocks // 2, SelfAttention(widths[-1]))
        layers += blocks
        for before, after in pairwise(reversed(widths)):
            double = upsampling(upsample, before, after, kernel=3, bias=bias, pad=pad_up or pad)
            layers += [double, make_norm(after), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, out_channels, 7)]
        layers.append(output_layer(output, value_range))
        self.model = nn.Sequential(*layers)
        initialize(self, init, spectral=spectral)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        return self.run(self._parts(), x)

    def stages(self) -> list[Stage]:
        if any(isinstance(layer, SelfAttention) for layer in self.model):
            return []
        first, *inner, last = self._parts()
        return [
            stage(first, halo=3),
            *(each for part in inner for each in self._stages(part)),
            stage(last, halo=3),
        ]

    def _parts(self) -> Iterator[nn.Sequential]:
        """The layers up to each activation, and each block, blur and attention."""
        part: list[nn.Module] = []
        for layer in self.model:
            part.append(layer)
            if isinstance(layer, ResnetBlock | SelfAttention | nn.ReLU | BlurDown):
                yield nn.Sequential(*part)
                part = []
        yield nn.Sequential(*part)

    @staticmethod
    def _stages(part: nn.Sequential) -> list[Stage]:
        """Those of what comes between the first layers and the last."""
        layer = part[0]
        if isinstance(layer, ResnetBlock):
            return layer.stages()
        if isinstance(layer, BlurDown):
            return [Stage(layer, halo=1, scale=Fraction(1, 2))]
        if isinstance(layer, nn.Conv2d):
            return [stage(part, halo=1, scale=Fraction(1, layer.stride[0]))]
        return [stage(part, halo=1, scale=Fraction(2))]
