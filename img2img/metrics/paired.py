"""Measures of images against their targets, one value per image."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from img2img.features import MIN_SIDE, PerceptualDistance, PyramidName, Supply
from img2img.images.places import mean_per_image, of_valid, without_invalid
from img2img.metrics.labels import OF_COUNTS, class_counts

# Smallest sides in pixels: the window of 11 must fit, for MS-SSIM at the smallest of five scales.
MS_SSIM_SIZE = 176
SSIM_SIZE = 11


def l1(output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean absolute difference of pixels in [0, 1], float32 [N], from NCHW in [-1, 1]."""
    return mean_per_image((output.float() - target.float()).abs(), valid) / 2


def psnr(output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Peak signal to noise ratio in decibels, [N], from NCHW in [-1, 1]; may be infinite."""
    from torchmetrics.functional.image import peak_signal_noise_ratio as measure

    if valid is not None:
        squares = ((output.float() - target.float()) / 2).square()
        return -10 * mean_per_image(squares, valid).log10()
    return _each(partial(measure, dim=(1, 2, 3)), output, target)


def ssim(output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Structural similarity, float32 [N], from NCHW in [-1, 1] with sides of at least `SSIM_SIZE`.

    It is computed for each channel, with a Gaussian window of 11 pixels and a standard deviation of
    1.5. Variances are small differences of squares, so a bright uniform area may differ from itself
    by up to 0.003. Where not all places hold data, it is over the windows in which all do; without
    any, over those around places that do.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as measure

    if valid is None:
        return _each(measure, output, target)
    images = ((without_invalid(image.float(), valid) + 1) / 2 for image in (output, target))
    _, similar = measure(*images, data_range=1.0, reduction="none", return_full_image=True)
    border = SSIM_SIZE // 2
    similar, centres = (x[..., border:-border, border:-border] for x in (similar, valid))
    whole = (F.avg_pool2d(valid, SSIM_SIZE, 1) > 1 - 1e-6).float()
    some = whole.flatten(1).any(1)[:, None, None, None]
    return mean_per_image(similar, torch.where(some, whole, centres))


def ms_ssim(output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """The same over five scales, from images with sides of at least `MS_SSIM_SIZE`.

    Places without data are made equal in both images, and the distance from 1 is divided by the
    share of the others.
    """
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure as measure,
    )

    similar = _each(measure, *(without_invalid(image, valid) for image in (output, target)))
    return similar if valid is None else 1 - of_valid(1 - similar, valid)


class PairMeasure(Protocol):
    """A measure of images [N, C, H, W] against targets, [N].

    `valid` is [N, 1, H, W] with 1 where both hold data, as in `images.places`; the measure is over
    these places. None: everywhere.
    """

    def __call__(self, output: Tensor, target: Tensor, valid: Tensor | None = None, /) -> Tensor:
        """The value of each image."""


PAIRED: dict[str, PairMeasure] = {
    "l1": l1,
    "psnr": psnr,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
}
# Perceptual measures, by the network whose features they compare.
PERCEPTUAL: dict[str, PyramidName] = {
    "lpips": "alexnet",
    "lpips_vgg": "vgg16",
    "perceptual": "efficientnet-lite0",
}
# Smallest height and width in pixels.
LEAST_SIDE = {
    "ssim": SSIM_SIZE,
    "ms_ssim": MS_SSIM_SIZE,
    **dict.fromkeys(PERCEPTUAL, MIN_SIDE),
}


def pair_measure(name: str, supply: Supply, device: torch.device) -> PairMeasure:
    """The function for a measure of images against their targets.

    For one of label maps, it gives what `OF_COUNTS` computes it from.

    Args:
        supply: the source of weights that some measures need.

    Raises:
        MissingFeatures: its network or its weights are not available.
    """
    if name in PERCEPTUAL:
        distance = PerceptualDistance(PERCEPTUAL[name], supply)

        @torch.no_grad()
        def measure(output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
            valid = None if valid is None else valid.to(device)
            images = (without_invalid(image.to(device), valid) for image in (output, target))
            return of_valid(distance(*images), valid).cpu()

        return measure
    return class_counts if name in OF_COUNTS else PAIRED[name]


def _each(measure: Callable[..., Tensor], output: Tensor, target: Tensor) -> Tensor:
    unit = ((image.float() + 1) / 2 for image in (output, target))
    return measure(*unit, data_range=1.0, reduction="none").reshape(len(output))
