"""The generator of SPADE, for label maps (Park et al. 2019, arXiv 1903.07291).

Written from the paper: sections 3 and 3.1, and figure 4.
"""

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from img2img.networks.base import GENERATORS, Generator
from img2img.networks.blocks import InitName, OutputName, initialize, output_layer
from img2img.networks.norms import BatchNorm2d, InstanceNorm2d
from img2img.registry import Positive

# From the smallest map to the image: 4 pixels to 256.
_MOST_UPS, _SMALLEST = 6, 4
# Widths are at most this many times those at full size.
_WIDEST = 16


class SpadeConvolution(nn.Module):
    """Spatially-adaptive normalisation, an activation, and a convolution.

    norm(x) * (1 + gamma) + beta, where the norm has no weights, and gamma and beta are convolutions
    of the label map at the size of x (equation 1; the 1 makes gamma a change of scale).
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        classes: int,
        *,
        norm: Literal["batch", "instance"],
        hidden: int,
        kernel: int = 3,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.norm = (
            BatchNorm2d(channels, affine=False) if norm == "batch" else InstanceNorm2d(channels)
        )
        self.shared = nn.Sequential(nn.Conv2d(classes, hidden, 3, padding=1), nn.ReLU())
        self.modulate = nn.Conv2d(hidden, 2 * channels, 3, padding=1)
        self.activate = nn.LeakyReLU(0.2) if active else nn.Identity()
        self.convolve = nn.Conv2d(
            channels, out_channels, kernel, padding=kernel // 2, bias=kernel > 1
        )

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gamma, beta = self.modulate(self.shared(labels)).chunk(2, 1)
        y: Tensor = self.convolve(self.activate(self.norm(x) * (1 + gamma) + beta))
        return y


class SpadeBlock(nn.Module):
    """Two such convolutions beside a shortcut, which is a third where the widths differ."""

    def __init__(self, channels: int, out_channels: int, classes: int, **how: Any) -> None:
        super().__init__()
        between = min(channels, out_channels)
        self.shortcut = (
            SpadeConvolution(channels, out_channels, classes, kernel=1, active=False, **how)
            if channels != out_channels
            else None
        )
        self.first = SpadeConvolution(channels, between, classes, **how)
        self.second = SpadeConvolution(between, out_channels, classes, **how)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        beside = x if self.shortcut is None else self.shortcut(x, labels)
        y: Tensor = beside + self.second(self.first(x, labels), labels)
        return y


@GENERATORS.register("spade")
class SpadeGenerator(Generator):
    """SPADE: images from label maps, which modulate the normalisation at every size.

    Args:
        ngf: channels at full size; they double inwards up to 16 times that.
        n_ups: doublings from the smallest map, which is made of the label map at its size; `auto`:
            6 as published, fewer where the crop does not allow it or 4 pixels would not be left.
        norm: `batch` is the published way; for batches of one image `instance`.
        hidden: channels of the convolution before scale and shift.
        spectral: divide all weights by their largest singular value (Miyato et al. 2018).
        output: the function that bounds the last layer.
        init: how weights are drawn.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        ngf: Positive = 64,
        n_ups: Annotated[int, Field(ge=1, le=8)] | Literal["auto"] = "auto",
        norm: Literal["batch", "instance"] = "batch",
        hidden: Positive = 128,
        spectral: bool = True,
        output: OutputName = "tanh",
        init: InitName = "normal",
    ) -> None:
        super().__init__()
        ups = _MOST_UPS if n_ups == "auto" else n_ups
        self.size_multiple = 2**ups
        self.min_size = 2 * self.size_multiple  # one pixel has no variance to normalise by
        self.norm_statistics = "running" if norm == "batch" else "image"
        block = partial(SpadeBlock, classes=in_channels, norm=norm, hidden=hidden)
        widths = [ngf * min(2 ** (ups - level), _WIDEST) for level in range(ups + 1)]
        # Without a bias, which one-hot labels have no need of.
        self.enter = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False)
        self.steps = nn.ModuleList([block(widths[0], widths[0])])
        for before, after in pairwise(widths):
            self.steps += [nn.Upsample(scale_factor=2), block(before, after)]
        self.leave = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Conv2d(ngf, out_channels, 3, padding=1),
            output_layer(output, "-1,1"),
        )
        initialize(self, init, spectral=spectral)

    @classmethod
    def resolve(cls, arguments: Mapping[str, Any], crop_size: tuple[int, int]) -> dict[str, Any]:
        resolved = dict(arguments)
        if resolved["n_ups"] == "auto":
            halvings = [(size & -size).bit_length() - 1 for size in crop_size]
            room = [(size // _SMALLEST).bit_length() - 1 for size in crop_size]
            resolved["n_ups"] = max(1, min(*halvings, *room, _MOST_UPS))
        return resolved

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        height, width = x.shape[-2:]
        least = self.size_multiple
        y = self.enter(F.interpolate(x, (height // least, width // least), mode="nearest"))
        for step in self.steps:
            if isinstance(step, SpadeBlock):
                y = step(y, F.interpolate(x, y.shape[-2:], mode="nearest"))
            else:
                y = step(y)
        made: Tensor = self.leave(y)
        return made
