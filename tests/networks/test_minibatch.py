"""The standard deviation over a minibatch."""

import math

import pytest
import torch

from img2img.errors import ConfigError
from img2img.networks import Discriminator
from img2img.networks.minibatch import MinibatchStd
from tests.networks.building import discriminator


def grouped(name: str, group: int) -> Discriminator:
    arguments = {"norm": "none"} if name == "patch" else {}
    return discriminator(name, 3, ndf=4, n_layers=1, minibatch_std=group, **arguments)


def test_by_hand() -> None:
    """Two channels of one pixel: (1, 0) and (5, 6) differ by 2 and by 3 from their means."""
    x = torch.tensor([[1.0, 0.0], [5.0, 6.0]]).view(2, 2, 1, 1)
    y = MinibatchStd(2)(x)
    assert torch.equal(y[:, :2], x)
    assert y[:, 2].flatten().tolist() == pytest.approx([2.5, 2.5])


@pytest.mark.parametrize(
    ("count", "group", "sizes"),
    [(4, 2, [2, 2]), (5, 2, [3, 2]), (7, 4, [7]), (3, 4, [3]), (9, 4, [5, 4])],
)
def test_groups_that_do_not_divide(count: int, group: int, sizes: list[int]) -> None:
    x = torch.randn(count, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    maps = MinibatchStd(group)(x)[:, 3]
    expected = [
        torch.full((len(part), 2, 4), part.std(0, correction=0).mean().item())
        for part in torch.split(x, sizes)
    ]
    torch.testing.assert_close(maps, torch.cat(expected))


def test_of_an_image_alone_it_says_nothing() -> None:
    layer = MinibatchStd(4)
    x = torch.randn(1, 3, 4, 4, requires_grad=True)
    y = layer(x)
    assert y[:, 3].abs().max() < 1e-3
    (gradient,) = torch.autograd.grad(y[:, 3].sum(), x)
    assert torch.equal(gradient, torch.zeros_like(x))


def test_keeps_the_type() -> None:
    x = torch.randn(4, 3, 8, 8)
    y = MinibatchStd(4)(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y[:, 3].float(), MinibatchStd(4)(x)[:, 3], rtol=0.01, atol=0)


@pytest.mark.parametrize("name", ["patch", "residual"])
def test_discriminators_see_the_batch(name: str) -> None:
    assert not grouped(name, 0).mixes_images
    network = grouped(name, 2)
    assert network.mixes_images
    a, b, c = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def verdict(*images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(torch.stack(images)).logits[0][0]
        return logits

    assert not torch.equal(verdict(a, b), verdict(a, c))
    assert torch.allclose(verdict(a, b, c, c), verdict(a, b, a, c))  # groups of two
    assert math.isfinite(verdict(a).sum().item())


def test_a_group_of_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^discriminator\.minibatch_std: "):
        grouped("patch", 1)
