"""Self-attention, alone and in the networks."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.networks.attention import SelfAttention
from tests.networks.building import discriminator, generator

GENERATORS_WITH_IT: list[dict[str, Any]] = [
    {"name": "resnet", "ngf": 4, "n_blocks": 2, "norm": "none", "init": "kaiming"},
    {"name": "unet", "ngf": 4, "num_downs": 4, "norm": "none", "init": "kaiming"},
    {"name": "unet", "ngf": 4, "num_downs": 2, "norm": "none", "init": "kaiming"},
]


def attentions(network: nn.Module) -> list[SelfAttention]:
    return [module for module in network.modules() if isinstance(module, SelfAttention)]


@pytest.mark.parametrize("twice", [False, True])
def test_by_hand(twice: bool) -> None:
    """One channel, two places: x = (1, 3), f = 2, g = 0.5, h = 1, v = 10, gamma = 0.1."""
    layer = SelfAttention(1, twice=twice)
    for part, value in (
        (layer.key, 2.0),
        (layer.query, 0.5),
        (layer.value, 1.0),
        (layer.out, 10.0),
    ):
        nn.init.constant_(part.weight, value)
    nn.init.constant_(layer.gamma, 0.1)
    y = layer(torch.tensor([[[[1.0, 3.0]]]]))
    # s_ij = f(x_i) g(x_j) = x_i x_j: of place 1 it is (1, 3), of place 2 (3, 9).
    expected = []
    for x, scores in ((1.0, (1, 3)), (3.0, (3, 9))):
        near, far = (math.exp(score) for score in scores)
        expected.append(x + 0.1 * 10 * (near * 1 + far * 3) / (near + far))
    assert y.flatten().tolist() == pytest.approx(expected)


def test_both_ways_agree() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(32).double()
    nn.init.constant_(layer.gamma, 1.0)
    x = torch.randn(2, 32, 3, 5, dtype=torch.float64, requires_grad=True)
    results = []
    for layer.twice in (False, True):
        y = layer(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])))
    torch.testing.assert_close(*results)


def test_starts_as_nothing() -> None:
    x = torch.randn(1, 16, 4, 4)
    assert torch.equal(SelfAttention(16)(x), x)


@pytest.mark.parametrize("arguments", GENERATORS_WITH_IT)
def test_generator_sees_everything(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = generator(attention=True, **arguments).eval()
    (attention,) = attentions(network)
    sizes: list[torch.Size] = []
    attention.register_forward_hook(lambda _, __, output: sizes.append(output.shape[2:]))
    x = torch.randn(1, 3, 128, 16, requires_grad=True)

    def reached() -> Tensor:
        (gradient,) = torch.autograd.grad(network(x)[:, :, 0].sum(), x)
        return gradient[0, :, -1].abs().sum()

    nn.init.constant_(attention.gamma, 0.0)
    assert reached() == 0
    nn.init.constant_(attention.gamma, 1.0)
    assert reached() > 0
    # A quarter of the picture in the ResNet, an eighth in the U-Net if it is deep enough.
    eighth = arguments.get("num_downs") == 4
    assert set(sizes) == {torch.Size([16, 2]) if eighth else torch.Size([32, 4])}
    assert not network.local
    assert network.stages() == []


@pytest.mark.parametrize("arguments", GENERATORS_WITH_IT)
def test_weights_without_it_are_the_same(arguments: dict[str, Any]) -> None:
    plain = generator(**arguments)
    assert not attentions(plain)
    count = sum(weight.numel() for weight in plain.parameters())
    network = generator(attention=True, **arguments)
    own = sum(weight.numel() for weight in attentions(network)[0].parameters())
    assert sum(weight.numel() for weight in network.parameters()) == count + own


def test_discriminator_can_be_penalised() -> None:
    """The gradient of a gradient, which fused attention does not have."""
    network = discriminator("patch", ndf=4, n_layers=2, norm="none", attention=True)
    (attention,) = attentions(network)
    nn.init.constant_(attention.gamma, 1.0)
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    output = network(x)
    assert len(output.features) == 3
    (slope,) = torch.autograd.grad(output.logits[0].sum(), x, create_graph=True)
    slope.square().sum().backward()  # type: ignore[no-untyped-call]
    for weight in attention.parameters():
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0
