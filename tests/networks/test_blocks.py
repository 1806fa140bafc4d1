"""Initialisation and up-sampling."""

from typing import Literal

import pytest
import torch
from torch import nn

from img2img.networks import DISCRIMINATORS, GENERATORS
from img2img.networks.blocks import UpsampleName, upsampling
from img2img.config import Component


def networks(norm: str) -> list[nn.Module]:
    torch.manual_seed(0)
    channels = {"in_channels": 3, "out_channels": 3}
    small = [
        Component(name="unet", ngf=16, num_downs=5, norm=norm),
        Component(name="resnet", ngf=16, n_blocks=3, norm=norm),
        Component(name="unet", ngf=16, num_downs=5, norm=norm, upsample="nearest"),
    ]
    return [
        *(GENERATORS.build(section, "generator", **channels) for section in small),
        DISCRIMINATORS.build(Component(name="patch", norm=norm), "discriminator", in_channels=6),
    ]


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_initialisation(norm: str) -> None:
    """Convolutions N(0, 0.02), BatchNorm weights N(1, 0.02), every bias 0."""
    for network in networks(norm):
        kernels, scales = [], []
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                assert torch.equal(parameter, torch.zeros_like(parameter))
            elif parameter.ndim == 4:
                if parameter.numel() > 10_000:
                    assert parameter.std().item() == pytest.approx(0.02, rel=0.05)
                kernels.append(parameter.detach().flatten())
            else:
                scales.append(parameter.detach())
        drawn = torch.cat(kernels)
        assert drawn.std().item() == pytest.approx(0.02, rel=0.02)
        assert drawn.mean().item() == pytest.approx(0, abs=5 * 0.02 / len(drawn) ** 0.5)
        # A normal distribution, not a uniform one of that width: some beyond three sigma.
        assert (drawn.abs() > 0.06).double().mean().item() == pytest.approx(0.0027, rel=0.2)
        assert bool(scales) == (norm == "batch")
        if scales:
            one = torch.cat(scales)
            assert one.std().item() == pytest.approx(0.02, rel=0.25)
            assert one.mean().item() == pytest.approx(1, abs=5 * 0.02 / len(one) ** 0.5)


def test_initialisation_follows_the_seed() -> None:
    first, again = networks("batch"), networks("batch")
    for one, other in zip(first, again, strict=True):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("kind", ["deconv", "nearest", "bilinear"])
def test_upsampling_doubles(kind: UpsampleName, kernel: Literal[3, 4]) -> None:
    layer = upsampling(kind, 2, 5, kernel=kernel, bias=True)
    assert layer(torch.randn(1, 2, 3, 7)).shape == (1, 5, 6, 14)


def test_resize_convolution_has_no_checkerboard() -> None:
    """A flat image stays flat inside, whatever the weights; a transposed one of kernel 3 does not."""
    torch.manual_seed(0)
    flat = torch.ones(1, 1, 8, 8)

    def spread(kind: UpsampleName) -> float:
        inside = upsampling(kind, 1, 1, kernel=3, bias=False)(flat)[..., 2:-2, 2:-2]
        return float((inside.max() - inside.min()).detach())

    assert spread("nearest") < 1e-6
    assert spread("bilinear") < 1e-6
    assert spread("deconv") > 1e-3
