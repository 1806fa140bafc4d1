"""The residual discriminator without normalisation."""

import pytest
import torch
from torch import nn

from img2img.networks.residual import InvertedBottleneck
from tests.networks.building import discriminator


def blocks(network: nn.Module) -> list[InvertedBottleneck]:
    return [module for module in network.modules() if isinstance(module, InvertedBottleneck)]


def test_shapes() -> None:
    network = discriminator("residual", ndf=4, n_layers=2, blocks=1)
    output = network(torch.randn(2, 3, 32, 48))
    assert [tuple(logits.shape) for logits in output.logits] == [(2, 1, 8, 12)]
    found = [tuple(feature.shape) for feature in output.features]
    assert found == [(2, 8, 16, 24), (2, 16, 8, 12)]
    assert not network.mixes_images


def test_weights_at_the_start() -> None:
    """Blocks do nothing yet; their other layers are He's, times L^(-1/4) for L blocks (Fixup)."""
    torch.manual_seed(0)
    network = discriminator("residual", ndf=32, n_layers=2, blocks=8)
    assert len(blocks(network)) == 16
    widened, grouped = [], []
    for block in blocks(network):
        first, _, second, _, third = block.layers
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        assert all(not weight.any() for weight in third.parameters())
        widened.append(first.weight.std() * first.in_channels**0.5)
        grouped.append(second.weight.std() * (9 * 16) ** 0.5)
        assert second.in_channels == 2 * first.in_channels
        assert second.groups == second.in_channels // 16
    he = (2 / (1 + 0.2**2)) ** 0.5
    for gains in (widened, grouped):
        assert torch.stack(gains).mean().item() == pytest.approx(he / 2, rel=0.02)
    x = torch.randn(1, 64, 8, 8)
    assert torch.equal(blocks(network)[0](x), x)


def test_the_scale_is_kept() -> None:
    torch.manual_seed(0)
    output = discriminator("residual", n_layers=4)(torch.randn(2, 3, 64, 64))
    assert all(0.1 < feature.std() < 3 for feature in output.features)
    assert 0.05 < output.logits[0].std() < 5


@pytest.mark.parametrize(("ndf", "groups"), [(2, 1), (3, 3), (32, 8)])
def test_groups_divide_whatever_the_width(ndf: int, groups: int) -> None:
    (block,) = blocks(discriminator("residual", ndf=ndf, n_layers=1, blocks=1))
    grouped = block.layers[2]
    assert isinstance(grouped, nn.Conv2d)
    assert grouped.groups == groups


def test_all_weights_learn() -> None:
    """After one update even those behind a layer of zeros."""
    torch.manual_seed(0)
    network = discriminator("residual", ndf=4, n_layers=2)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    x = torch.randn(2, 3, 16, 16)
    for _ in range(2):
        optimizer.zero_grad()
        network(x).logits[0].square().mean().backward()
        optimizer.step()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_fine_detail_reaches_the_verdict() -> None:
    """A blur halves; what it would wipe out is judged before."""
    network = discriminator("residual", 1, ndf=8, n_layers=1)
    rows = torch.arange(16)
    checkerboard = ((rows[:, None] + rows) % 2 * 2.0 - 1)[None, None]
    flat = torch.zeros_like(checkerboard)
    difference = network(checkerboard).logits[0] - network(flat).logits[0]
    assert difference.abs().max() > 1e-3
