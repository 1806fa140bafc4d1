"""Discriminators at several scales."""

from typing import Any

import pytest
import torch
from torch import nn

from img2img.config import Component
from img2img.networks import DISCRIMINATORS, Discriminator
from img2img.networks.multiscale import MultiscaleDiscriminator


def discriminator(**arguments: Any) -> Discriminator:
    section = Component.model_validate({"name": "multiscale", "ndf": 4, **arguments})
    return DISCRIMINATORS.build(section, "discriminator", in_channels=3)


def test_logits_and_features_from_fine_to_coarse() -> None:
    output = discriminator(n_scales=3, n_layers=2)(torch.randn(2, 3, 64, 96))
    # 64 x 96, 32 x 48 and 16 x 24; two halvings, and two convolutions that each lose a pixel.
    sides = [(14, 22), (6, 10), (2, 4)]
    assert [tuple(logits.shape) for logits in output.logits] == [(2, 1, *each) for each in sides]
    channels = [feature.shape[1] for feature in output.features]
    assert channels == [4, 8, 16] * 3
    heights = [feature.shape[2] for feature in output.features]
    assert heights == [32, 16, 15, 16, 8, 7, 8, 4, 3]


def test_half_sizes_are_means_of_what_is_there() -> None:
    """A flat image is flat at every scale, edges and all (section 3.2)."""
    network = discriminator(n_scales=3, n_layers=1, norm="none")
    assert isinstance(network, MultiscaleDiscriminator)
    seen: list[torch.Tensor] = []
    for judge in network.scales:
        judge.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.full((1, 3, 21, 32), 0.5))
    assert [tuple(x.shape[2:]) for x in seen] == [(21, 32), (11, 16), (6, 8)]
    for x in seen:
        torch.testing.assert_close(x, torch.full_like(x, 0.5))
    seen.clear()
    x = torch.arange(36.0).view(1, 1, 6, 6).repeat(1, 3, 4, 4)
    network(x)
    assert seen[1][0, 0, 1, 1].item() == pytest.approx(x[0, 0, 1:4, 1:4].mean().item())


def test_scales_share_nothing() -> None:
    network = discriminator(n_scales=2, n_layers=1)
    assert isinstance(network, MultiscaleDiscriminator)
    first, second = (
        [weight for weight in judge.parameters() if weight.ndim == 4] for judge in network.scales
    )
    assert len(first) == 3
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("downsample", ["stride", "blur"])
@pytest.mark.parametrize(("n_scales", "n_layers"), [(1, 2), (2, 1), (3, 1), (2, 3)])
def test_smallest_size(n_scales: int, n_layers: int, downsample: str) -> None:
    network = discriminator(
        n_scales=n_scales, n_layers=n_layers, norm="none", downsample=downsample
    )
    least = network.min_size
    output = network(torch.randn(1, 3, least, least + 1))
    assert output.logits[-1].shape[2] == 1
    with pytest.raises(RuntimeError):
        network(torch.randn(1, 3, least - 1, least + 1))


def test_mixes_images_as_its_normalisation_does() -> None:
    assert discriminator(norm="batch", n_layers=1).mixes_images
    assert not discriminator(n_layers=1).mixes_images
    assert any(isinstance(m, nn.InstanceNorm2d) for m in discriminator(n_layers=1).modules())
