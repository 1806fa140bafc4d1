"""A discriminator that sees images through a frozen feature network."""

from pathlib import Path
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from img2img.errors import ConfigError
from img2img.features import FeaturePyramid, supply_of_part
from img2img.networks.base import DISCRIMINATORS, Discriminator, DiscriminatorOutput
from img2img.networks.spectral import normalize_spectra
from img2img.registry import Positive

# Maps of the pyramid that are judged, each half as large as the one before.
LEVELS = 4


@DISCRIMINATORS.register("projected")
class ProjectedDiscriminator(Discriminator):
    """Small discriminators on a frozen network's features (Sauer et al. 2021, arXiv 2111.01007).

    The features are mixed by random convolutions that are not trained, over channels (1x1) and,
    from coarse to fine, over scales (3x3 and bilinear enlargement; section 3.2). Of a condition and
    an image, the network sees each by itself. A judge for each of four scales, spectrally
    normalised, halves what it sees until all have as many logits: with `efficientnet-lite0` one for
    64 x 64 pixels, with `vgg16` for 32 x 32. Instead of the paper's BatchNorm, by which images
    judge each other, features are scaled to a mean square of 1 at each place.

    Args:
        ndf: channels of the finest mixed features; they double up to 8 times that.
        network: what sees the images. With `vgg16`, whose finest map is left out, it takes long.
        weights: a file of the network's weights, or a folder of such files; without one, from where
            torch keeps them, else downloaded.
        min_side: smaller images are enlarged to so many pixels a side, since the network leaves a
            pixel of 32; the paper's is 224.

    Raises:
        ConfigError: the channels are not those of RGB images.
        MissingFeatures, ModelFileError: see `FeaturePyramid`.
    """

    min_size = 1
    mixes_images = False
    needs_rgb = "its network was trained on photographs"

    def __init__(
        self,
        *,
        in_channels: int,
        ndf: Positive = 64,
        network: Literal["efficientnet-lite0", "vgg16"] = "efficientnet-lite0",
        weights: Path | None = None,
        min_side: Annotated[int, Field(ge=64)] = 128,
    ) -> None:
        super().__init__()
        if in_channels % 3:
            raise ConfigError(
                f"discriminator: 'projected' takes RGB images side by side, not {in_channels}"
                " channels"
            )
        # No module: it is neither trained nor saved, and stays in float32 on whatever device.
        self._pyramid = FeaturePyramid(network, supply_of_part(weights))
        self._min_side = min_side
        seen = [in_channels // 3 * channels for channels in self._pyramid.channels[-LEVELS:]]
        widths = [ndf * 2**level for level in range(LEVELS)]
        self.across_channels = nn.ModuleList(
            nn.Conv2d(before, after, 1, bias=False)
            for before, after in zip(seen, widths, strict=True)
        )
        self.across_scales = nn.ModuleList(
            nn.Conv2d(2 * width, width, 3, padding=1, bias=False) for width in widths[:-1]
        )
        for convolution in [*self.across_channels, *self.across_scales]:
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="linear")
            convolution.requires_grad_(False)
        self.judges = nn.ModuleList(_judge(widths[level:]) for level in range(LEVELS))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        scales = self._mixed(self._features(x))
        features = []
        for level, judge in enumerate(self.judges):
            for layer in judge.children():
                scales[level] = layer(scales[level])
                if isinstance(layer, nn.LeakyReLU):
                    features.append(scales[level])
        return DiscriminatorOutput(scales, features)

    def _features(self, x: Tensor) -> list[Tensor]:
        """What the network makes of the images [N, 3k, H, W], k times its channels side by side."""
        count, _, *size = x.shape
        images = x.reshape(-1, 3, *size)
        scale = self._min_side / min(size)
        if scale > 1:
            size = [round(scale * pixels) for pixels in size]
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        maps = [_scaled(each) for each in self._pyramid(images)[-LEVELS:]]
        return [each.reshape(count, -1, *each.shape[2:]).to(x.dtype) for each in maps]

    def _mixed(self, features: list[Tensor]) -> list[Tensor]:
        """The projections of features, from fine to coarse as they are."""
        mixed = [mix(x) for mix, x in zip(self.across_channels, features, strict=True)]
        for level in reversed(range(LEVELS - 1)):
            coarser = self.across_scales[level](mixed[level + 1])
            size = mixed[level].shape[2:]
            mixed[level] = mixed[level] + F.interpolate(
                coarser, size, mode="bilinear", align_corners=False
            )
        return mixed


def _scaled(x: Tensor) -> Tensor:
    """Features whose mean square over channels is 1 at each place.

    Raw ones of `efficientnet-lite0` have up to 80, with which logits leap in the first updates.
    """
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def _judge(widths: list[int]) -> nn.Sequential:
    """Halves features of the first width once for each width, and gives a logit at each place."""
    layers: list[nn.Module] = []
    for before, after in zip(widths, [*widths[1:], widths[-1]], strict=True):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    judge = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, 1, 1))
    normalize_spectra(judge)
    return judge
