"""Measures of pairs: known answers, and what the libraries give of the same images."""

import math

import pytest
import torch
from torchmetrics.image import (
    MultiScaleStructuralSimilarityIndexMeasure,
    PeakSignalNoiseRatio,
    StructuralSimilarityIndexMeasure,
)

from img2img.metrics.paired import PAIRED, l1, psnr, ssim


def images(size: int, count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """NCHW in [-1, 1] twice; the second is the first with noise."""
    random = torch.Generator().manual_seed(0)
    output = torch.rand(count, 3, size, size, generator=random) * 2 - 1
    noise = torch.rand(output.shape, generator=random) - 0.5
    return output, (output + noise).clamp(-1, 1)


def test_psnr_by_hand() -> None:
    """A difference of 0.1 in [0, 1] is 20 dB; none is infinite."""
    target = torch.zeros(2, 3, 4, 4)
    output = torch.stack([target[0] + 0.2, target[1]])
    assert psnr(output, target).tolist() == [pytest.approx(20.0, abs=1e-4), math.inf]


@pytest.mark.parametrize("name", ["ssim", "ms_ssim"])
def test_of_itself_an_image_is_entirely_similar(name: str) -> None:
    output, _ = images(176)
    assert PAIRED[name](output, output).tolist() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("psnr", PeakSignalNoiseRatio),
        ("ssim", StructuralSimilarityIndexMeasure),
        ("ms_ssim", MultiScaleStructuralSimilarityIndexMeasure),
    ],
)
def test_is_what_the_library_gives_of_each_image(name: str, library: type) -> None:
    output, target = images(176)
    found = PAIRED[name](output, target)
    assert found.shape == (3,)
    for index in range(3):
        one = slice(index, index + 1)
        wanted = library(data_range=1.0)((output[one] + 1) / 2, (target[one] + 1) / 2)
        assert found[index].item() == pytest.approx(wanted.item(), rel=1e-3)


def test_ssim_of_the_smallest_image() -> None:
    output, target = images(11)
    assert ssim(output, target).isfinite().all()


@pytest.mark.parametrize("channels", [1, 5])
def test_images_of_any_channels(channels: int) -> None:
    """Errors of pixels are averaged over channels, similarity is that of each channel by itself."""
    random = torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 2, channels, 24, 20, generator=random) * 2 - 1
    errors = ((output - target) / 2).double()
    assert l1(output, target).tolist() == pytest.approx(errors.abs().mean((1, 2, 3)).tolist())
    squares = errors.square().mean((1, 2, 3))
    assert psnr(output, target).tolist() == pytest.approx((-10 * squares.log10()).tolist())
    alone = [ssim(output[:, n : n + 1], target[:, n : n + 1]) for n in range(channels)]
    wanted = torch.stack(alone).mean(0)
    assert ssim(output, target).tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
