"""Measures of images against their targets, one value per image."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from img2img.features import MIN_SIDE, PerceptualDistance, PyramidName, Supply

# Smallest sides in pixels: the window of 11 must fit, for MS-SSIM at the smallest of five scales.
MS_SSIM_SIZE = 176
SSIM_SIZE = 11


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of pixels in [0, 1], float32 [N], from NCHW in [-1, 1]."""
    return (output.float() - target.float()).abs().flatten(1).mean(1) / 2


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Peak signal to noise ratio in decibels, [N], from NCHW in [-1, 1]; may be infinite."""
    from torchmetrics.functional.image import peak_signal_noise_ratio as measure

    return _each(partial(measure, dim=(1, 2, 3)), output, target)


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """Structural similarity, float32 [N], from NCHW in [-1, 1] with sides of at least `SSIM_SIZE`.

    It is computed for each channel, with a Gaussian window of 11 pixels and a standard deviation of
    1.5. Variances are small differences of squares, so a bright uniform area may differ from itself
    by up to 0.003.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as measure

    return _each(measure, output, target)


def ms_ssim(output: Tensor, target: Tensor) -> Tensor:
    """The same over five scales, from images with sides of at least `MS_SSIM_SIZE`."""
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure as measure,
    )

    return _each(measure, output, target)


PairMeasure = Callable[[Tensor, Tensor], Tensor]


def measured(
    name: str, measure: PairMeasure, output: Tensor, target: Tensor, valid: Tensor | None = None
) -> Tensor:
    """A measure of NCHW images, [N], where they hold data.

    `l1` and `psnr` are of those pixels alone; to other measures the rest counts as equal.

    Args:
        valid: [N, 1, H, W], 0 where there is no data; None: there is everywhere.
    """
    if valid is None:
        return measure(output, target)
    there = valid > 0
    value = measure(torch.where(there, output, target), target)
    share = there.float().mean((1, 2, 3)).clamp(min=1e-8)
    if name == "l1":
        return value / share
    return value + 10 * share.log10() if name == "psnr" else value


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

    Args:
        supply: the source of weights that some measures need.

    Raises:
        MissingFeatures: its network or its weights are not available.
    """
    if name in PERCEPTUAL:
        distance = PerceptualDistance(PERCEPTUAL[name], supply)

        @torch.no_grad()
        def measure(output: Tensor, target: Tensor) -> Tensor:
            return distance(output.to(device), target.to(device)).cpu()

        return measure
    return PAIRED[name]


def _each(measure: Callable[..., Tensor], output: Tensor, target: Tensor) -> Tensor:
    unit = ((image.float() + 1) / 2 for image in (output, target))
    return measure(*unit, data_range=1.0, reduction="none").reshape(len(output))
