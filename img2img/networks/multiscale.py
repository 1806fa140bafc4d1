"""A discriminator of several scales (Wang et al. 2018, pix2pixHD, arXiv 1711.11585)."""

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from img2img.networks.base import DISCRIMINATORS, Discriminator, DiscriminatorOutput
from img2img.networks.blocks import DownsampleName, InitName
from img2img.networks.norms import NormName
from img2img.networks.patchgan import PatchDiscriminator
from img2img.registry import Positive


@DISCRIMINATORS.register("multiscale")
class MultiscaleDiscriminator(Discriminator):
    """PatchGANs that see the image at full size, at half of it, and so on (section 3.2).

    Args:
        n_scales: discriminators; each sees the image at half the size of the one before. The paper
            has 3 for images of 2048 pixels.
        ndf: as in `patch`, and so are the others.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        n_scales: Annotated[int, Field(ge=1, le=6)] = 2,
        ndf: Positive = 64,
        n_layers: Annotated[int, Field(ge=1, le=12)] = 3,
        norm: NormName = "instance",
        downsample: DownsampleName = "stride",
        spectral: bool = False,
        init: InitName = "normal",
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(
                in_channels=in_channels,
                ndf=ndf,
                n_layers=n_layers,
                norm=norm,
                downsample=downsample,
                spectral=spectral,
                init=init,
            )
            for _ in range(n_scales)
        )
        finest = self.scales[0]
        assert isinstance(finest, PatchDiscriminator)
        self.mixes_images = finest.mixes_images
        # The smallest that halvings, rounded up, leave the last one enough of.
        self.min_size = (finest.min_size - 1) * 2 ** (n_scales - 1) + 1

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        logits, features = [], []
        for index, judge in enumerate(self.scales):
            if index:
                x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
            verdict = judge(x)
            logits += verdict.logits
            features += verdict.features
        return DiscriminatorOutput(logits, features)
