"""Discriminators at several scales."""

import pytest
import torch
from torch import nn

from img2img.networks.multiscale import MultiscaleDiscriminator
from tests.networks.building import discriminator


def test_logits_and_features_from_fine_to_coarse() -> None:
    output = discriminator("multiscale", ndf=4, n_scales=3, n_layers=2)(torch.randn(2, 3, 64, 96))
    # 64 x 96, 32 x 48 and 16 x 24; two halvings, and two convolutions that each lose a pixel.
    sides = [(14, 22), (6, 10), (2, 4)]
    assert [tuple(logits.shape) for logits in output.logits] == [(2, 1, *each) for each in sides]
    channels = [feature.shape[1] for feature in output.features]
    assert channels == [4, 8, 16] * 3
    heights = [feature.shape[2] for feature in output.features]
    assert heights == [32, 16, 15, 16, 8, 7, 8, 4, 3]


def test_half_sizes_are_means_of_what_is_there() -> None:
    """A flat image is flat at every scale, edges and all (section 3.2)."""
    network = discriminator("multiscale", ndf=4, n_scales=3, n_layers=1, norm="none")
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
    network = discriminator("multiscale", ndf=4, n_scales=2, n_layers=1)
    assert isinstance(network, MultiscaleDiscriminator)
    first, second = (
        [weight for weight in judge.parameters() if weight.ndim == 4] for judge in network.scales
    )
    assert len(first) == 3
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_mixes_images_as_its_normalisation_does() -> None:
    network = discriminator("multiscale", ndf=4, n_layers=1)
    assert not network.mixes_images
    assert any(isinstance(module, nn.InstanceNorm2d) for module in network.modules())
    assert discriminator("multiscale", ndf=4, n_layers=1, norm="batch").mixes_images
