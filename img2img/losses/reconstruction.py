"""Reconstruction losses: distances between a translation and its target."""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from img2img.errors import ConfigError
from img2img.images.places import mean_per_image, of_valid, without_invalid
from img2img.registry import NonNegative, Registry
from img2img.runtime.devices import at_least_float32

# Pixels a side of the window that SSIM looks through.
_SSIM_WINDOW = 11


class Reconstruction(ABC):
    """A distance between images, with its weight in the generator's loss.

    A loss that only works on RGB images says why in `needs_rgb`; one of label maps, `of_labels`.
    """

    needs_rgb: str = ""
    of_labels: bool = False

    def __init__(self, *, weight: NonNegative = 1.0) -> None:
        self.weight = weight

    @abstractmethod
    def __call__(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """The unweighted distance of float [N, C, H, W] in [-1, 1], as float [N].

        Args:
            valid: [N, 1, H, W], 1 where both images hold data; the distance is over these places.
                None: everywhere.
        """


RECONSTRUCTIONS = Registry[Reconstruction]("reconstruction loss")


@RECONSTRUCTIONS.register("l1")
class L1(Reconstruction):
    """Mean absolute difference (Isola et al. 2017, equation 3)."""

    def __call__(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        return mean_per_image((output - target).abs(), valid)


@RECONSTRUCTIONS.register("charbonnier")
class Charbonnier(Reconstruction):
    """Mean of sqrt(d^2 + eps^2), an L1 that is smooth at 0 (Charbonnier et al. 1994; Lai 2017).

    For equal images it is eps.

    Args:
        eps: the difference at which the parabola turns into the absolute value, on the scale of
            [-1, 1].
    """

    def __init__(
        self,
        *,
        weight: NonNegative = 1.0,
        eps: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3,
    ) -> None:
        super().__init__(weight=weight)
        self.eps = eps

    def __call__(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        return mean_per_image(((output - target).square() + self.eps**2).sqrt(), valid)


@RECONSTRUCTIONS.register("ssim")
class SSIM(Reconstruction):
    """1 - structural similarity, averaged over the channels (Wang et al. 2004, equation 13).

    It uses a Gaussian window of 11 pixels with a standard deviation of 1.5, and ranges from 0
    (equal) to 2. In float32, areas that are uniform to within a quarter of a grey level have errors
    of up to 0.003. Places without data are made equal in both images.
    """

    def __call__(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """See `Reconstruction`.

        Raises:
            ConfigError: the images are smaller than the window.
        """
        from torchmetrics.functional.image import structural_similarity_index_measure as similarity

        height, width = output.shape[-2:]
        if min(height, width) < _SSIM_WINDOW:
            raise ConfigError(
                f"data.crop_size: the loss ssim uses windows of {_SSIM_WINDOW} pixels per side,"
                f" larger than crops of {height} x {width} (data.grow makes the first crops"
                " smaller)"
            )
        # Variances are small differences of squares, which few bits cannot hold.
        with torch.autocast(output.device.type, enabled=False):
            images = (without_invalid(image, valid) for image in (output, target))
            unit = ((at_least_float32(image) + 1) / 2 for image in images)
            distance: Tensor = 1 - similarity(*unit, data_range=1.0, reduction="none")
        return of_valid(distance, valid)
