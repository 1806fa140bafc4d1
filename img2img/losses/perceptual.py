"""A perceptual loss between translation and target, by a frozen network."""

from pathlib import Path

from torch import Tensor

from img2img.features import PerceptualDistance, PyramidName, supply_of_part
from img2img.images.places import of_valid, without_invalid
from img2img.losses.reconstruction import RECONSTRUCTIONS, Reconstruction
from img2img.registry import NonNegative


@RECONSTRUCTIONS.register("perceptual")
class Perceptual(Reconstruction):
    """Distance between the features of a frozen network (Zhang et al. 2018, equation 1).

    Places without data are made equal in both images.

    Args:
        network: `alexnet` and `vgg16` are LPIPS, with its learned weights; for
            `efficientnet-lite0`, which comes as a package, all weights are 1. Images must have at
            least 32 pixels per side.
        weights: a file with the network's weights, or a folder of such files; by default they are
            taken from torch's folder of downloads, or downloaded.
    """

    needs_rgb = "its network was trained on photographs"

    def __init__(
        self,
        *,
        weight: NonNegative = 1.0,
        network: PyramidName = "efficientnet-lite0",
        weights: Path | None = None,
    ) -> None:
        super().__init__(weight=weight)
        self._distance = PerceptualDistance(network, supply_of_part(weights))

    def __call__(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        images = (without_invalid(image, valid) for image in (output, target))
        return of_valid(self._distance(*images), valid)
