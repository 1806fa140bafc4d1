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


class TestWithoutData:
    """Measures are over the places that hold data, whatever is elsewhere."""

    def half(self, size: int, count: int = 1) -> torch.Tensor:
        valid = torch.zeros(count, 1, size, size)
        valid[..., : size // 2] = 1
        return valid

    def test_by_hand(self) -> None:
        """Of two values 0.1 and 0.3 apart in [0, 1], and one that is not looked at."""
        output, target = torch.tensor([[[[0.2, 0.6, 1.0]]]]), torch.zeros(1, 1, 1, 3)
        valid = torch.tensor([[[[1.0, 1.0, 0.0]]]])
        assert l1(output, target, valid).item() == pytest.approx(0.2)
        # The mean of 0.01 and 0.09 is 0.05.
        assert psnr(output, target, valid).item() == pytest.approx(-10 * math.log10(0.05))

    @pytest.mark.parametrize("name", ["l1", "psnr", "ssim"])
    def test_are_those_of_a_cut(self, name: str) -> None:
        output, target = images(40, 1)
        valid = self.half(40)
        cut = PAIRED[name](output[..., :20], target[..., :20]).item()
        assert PAIRED[name](output, target, valid).item() == pytest.approx(cut, rel=1e-4)

    @pytest.mark.parametrize("name", PAIRED)
    def test_what_is_elsewhere_changes_nothing(self, name: str) -> None:
        output, target = images(176, 1)
        valid = self.half(176)
        changed = torch.where(valid > 0, output, 0.7)
        both = (PAIRED[name](each, target, valid).item() for each in (output, changed))
        assert len({round(value, 5) for value in both}) == 1

    @pytest.mark.parametrize("name", PAIRED)
    def test_all_of_it_is_as_without(self, name: str) -> None:
        output, target = images(176, 1)
        everywhere = torch.ones(1, 1, 176, 176)
        without = PAIRED[name](output, target).item()
        assert PAIRED[name](output, target, everywhere).item() == pytest.approx(without, rel=1e-4)

    def test_ssim_without_a_whole_window(self) -> None:
        output, target = images(40, 1)
        valid = (torch.arange(40) % 2).float().expand(1, 1, 40, 40)
        assert 0 < ssim(output, target, valid).item() < 1
        assert ssim(output, output, valid).item() == pytest.approx(1)
