"""The U-Net generator of Pix2Pix (Isola et al. 2017, arXiv 1611.07004, section 6.1.1).

The modules are nested and numbered as in the published implementation, so that state_dicts are
exchanged with it key by key.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from img2img.networks.attention import SelfAttention
from img2img.networks.base import GENERATORS, Generator
from img2img.networks.blocks import (
    MODES,
    Blur,
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
    upsampling,
)
from img2img.networks.norms import NormName, needs_bias, norm_layer
from img2img.registry import Positive

MIN_DOWNS, MAX_DOWNS = 2, 8
# The level with attention: its map is an eighth of the image, 32 x 32 of the published crops.
ATTENTIVE = 2


class UNetLevel(InParts):
    """One halving, everything below it, and the doubling back, beside a skip connection.

    [N, outer, H, W] to [N, 2 * outer, H, W]; for the outermost, which ends with the layer `last`,
    [N, in_channels, H, W] to [N, outer, H, W].
    """

    def __init__(
        self,
        outer: int,
        inner: int,
        below: "UNetLevel | None",
        *,
        in_channels: int | None = None,
        last: nn.Module | None = None,
        norm: NormName,
        pad: PaddingName,
        pad_up: PaddingName | None,
        downsample: DownsampleName,
        upsample: UpsampleName,
        attention: bool = False,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        self.outermost = last is not None
        bias = needs_bias(norm)
        make_norm = norm_layer(norm)
        from_below = inner if below is None else 2 * inner
        lower = [] if below is None else [below]
        # Reflection needs two pixels, which the innermost map may not have.
        pad = "replicate" if pad == "reflect" and below is None else pad
        entering = in_channels or outer
        down: nn.Module = nn.Conv2d(entering, inner, 4, 2, 1, bias=bias, padding_mode=MODES[pad])
        if downsample == "blur":
            down = nn.Sequential(Blur(entering), down)
        up = upsampling(
            upsample,
            from_below,
            outer,
            kernel=4,
            bias=bias or self.outermost,
            pad=pad_up or pad,
        )
        layers: list[nn.Module]
        if last is not None:
            layers = [down, *lower, nn.ReLU(inplace=True), up, last]
        else:
            # The innermost map can be one pixel, which has no variance to normalise by.
            down_norm = [] if below is None else [make_norm(inner)]
            attend = [SelfAttention(inner)] if attention else []
            layers = [nn.LeakyReLU(0.2), down, *down_norm, *attend, *lower]
            layers += [nn.ReLU(inplace=True), up, make_norm(outer)]
        if dropout:
            layers.append(nn.Dropout(0.5))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y = self.run(self._parts(), x)
        return y if self.outermost else torch.cat([x, y], 1)

    def _parts(self) -> Iterator[nn.Module]:
        """What comes before the level below, that level, its activation, and what comes after."""
        below = [index for index, layer in enumerate(self.model) if isinstance(layer, UNetLevel)]
        for index in below:
            yield self.model[:index]
            yield from self.model[index : index + 2]
        yield self.model[below[0] + 2 :] if below else self.model


@GENERATORS.register("unet_256", num_downs=8)
@GENERATORS.register("unet_128", num_downs=7)
@GENERATORS.register("unet")
class UNetGenerator(Generator):
    """U-Net of any depth, the generator of Pix2Pix.

    Args:
        ngf: channels of the outermost level; they double inwards up to 8 times that.
        num_downs: how often the image is halved, 2 to 12; sizes are multiples of 2**num_downs.
            `auto`: the most that the crop allows.
        dropout: whether the inner levels of full width drop half of their activations.
        pad: padding of the convolutions, but for `deconv`; `zero` is the published way.
        pad_up: padding of the convolutions after resizing; null: as `pad`.
        downsample: `stride` is the published way; `blur` blurs what is halved, which then does not
            alias (Zhang 2019).
        upsample: how sizes are doubled; `deconv` is the published way.
        attention: let places attend to each other on the third level, or the innermost of two
            (Zhang et al. 2019).
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
        num_downs: Annotated[int, Field(ge=MIN_DOWNS, le=12)] | Literal["auto"] = "auto",
        norm: NormName = "batch",
        dropout: bool = True,
        pad: PaddingName = "zero",
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
        depth = MAX_DOWNS if num_downs == "auto" else num_downs
        self.bounded = output != "linear"
        self.size_multiple = self.min_size = 2**depth
        widths = [ngf * min(2**level, 8) for level in range(depth)]
        make_level = partial(
            UNetLevel,
            norm=norm,
            pad=pad,
            pad_up=pad_up,
            downsample=downsample,
            upsample=upsample,
        )
        level = None
        for index in range(depth - 1, 0, -1):
            level = make_level(
                widths[index - 1],
                widths[index],
                level,
                attention=attention and index == min(ATTENTIVE, depth - 1),
                dropout=dropout and 4 <= index < depth - 1,
            )
        self.enter = input_layer(nn.Sequential(), value_range)
        self.model = make_level(
            out_channels,
            ngf,
            level,
            in_channels=in_channels,
            last=output_layer(output, value_range),
        )
        initialize(self, init, spectral=spectral)

    @classmethod
    def resolve(cls, arguments: Mapping[str, Any], crop_size: tuple[int, int]) -> dict[str, Any]:
        resolved = dict(arguments)
        if resolved["num_downs"] == "auto":
            halvings = [(size & -size).bit_length() - 1 for size in crop_size]
            resolved["num_downs"] = max(MIN_DOWNS, min(*halvings, MAX_DOWNS))
        return resolved

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.model(self.enter(x))
        return y
