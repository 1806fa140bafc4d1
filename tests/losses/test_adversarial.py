"""The objectives, with numbers worked out by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from img2img.config import Component
from img2img.losses import OBJECTIVES, Objective
from img2img.registry import Part


def objective(name: str) -> Objective:
    return OBJECTIVES.build(Component(name=name), "objective")


# Two images with two logits each.
REAL = torch.tensor([[0.0, 2.0], [-1.0, 3.0]]).reshape(2, 1, 1, 2)
FAKE = torch.tensor([[0.0, -2.0], [1.0, 0.5]]).reshape(2, 1, 1, 2)


def bce(probability_of_target: float) -> float:
    return -math.log(probability_of_target)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_vanilla() -> None:
    """Binary cross entropy with logits; for D the mean of the real and the fake half."""
    vanilla = objective("vanilla")
    expected_d = [
        ((bce(0.5) + bce(sigmoid(2))) / 2 + (bce(0.5) + bce(1 - sigmoid(-2))) / 2) / 2,
        (
            (bce(sigmoid(-1)) + bce(sigmoid(3))) / 2
            + (bce(1 - sigmoid(1)) + bce(1 - sigmoid(0.5))) / 2
        )
        / 2,
    ]
    assert expected_d[0] == pytest.approx(0.410038, abs=1e-6)
    assert vanilla.d_loss(REAL, FAKE).tolist() == pytest.approx(expected_d, rel=1e-6)
    expected_g = [
        (bce(0.5) + bce(sigmoid(-2))) / 2,
        (bce(sigmoid(1)) + bce(sigmoid(0.5))) / 2,
    ]
    assert expected_g[0] == pytest.approx(1.410038, abs=1e-6)
    assert vanilla.g_loss(None, FAKE).tolist() == pytest.approx(expected_g, rel=1e-6)


def test_lsgan() -> None:
    """Squared distance to 1 for real and 0 for fake; for D the mean of the two halves."""
    lsgan = objective("lsgan")
    # Real: (1 + 1)/2 = 1 and (4 + 4)/2 = 4. Fake: (0 + 4)/2 = 2 and (1 + 0.25)/2 = 0.625.
    assert lsgan.d_loss(REAL, FAKE).tolist() == [1.5, 2.3125]
    # (1 + 9)/2 = 5 and (0 + 0.25)/2 = 0.125.
    assert lsgan.g_loss(None, FAKE).tolist() == [5.0, 0.125]


@pytest.mark.parametrize("name", ["vanilla", "lsgan"])
def test_neither_wants_the_real_logits_for_g(name: str) -> None:
    assert not objective(name).needs_real_for_g


@pytest.mark.parametrize("name", ["vanilla"])
def test_large_logits_do_not_overflow(name: str) -> None:
    huge = torch.full((1, 1, 2, 2), 1e4)
    assert objective(name).d_loss(huge, -huge).tolist() == [0.0]
    assert objective(name).d_loss(-huge, huge).tolist() == [1e4]
    assert objective(name).g_loss(None, -huge).tolist() == [1e4]


@pytest.mark.parametrize("part", list(OBJECTIVES), ids=lambda part: part.name)
def test_every_objective_gives_a_loss_an_image(part: Part[Any]) -> None:
    every = objective(part.name)
    real, fake = torch.randn(3, 1, 4, 5), torch.randn(3, 1, 4, 5)
    whole_d, whole_g = every.d_loss(real, fake), every.g_loss(real, fake)
    assert whole_d.shape == whole_g.shape == (3,)
    for n in range(3):
        alone = slice(n, n + 1)
        assert torch.allclose(every.d_loss(real[alone], fake[alone]), whole_d[alone])
        assert torch.allclose(every.g_loss(real[alone], fake[alone]), whole_g[alone])


@pytest.mark.parametrize("part", list(OBJECTIVES), ids=lambda part: part.name)
def test_every_gradient_is_the_losses_slope(part: Part[Any]) -> None:
    """Autograd against finite differences, in float64."""
    every = objective(part.name)
    generator = torch.Generator().manual_seed(0)

    def logits() -> Tensor:
        return torch.randn(2, 1, 2, 3, generator=generator, dtype=torch.float64).requires_grad_()

    assert torch.autograd.gradcheck(every.d_loss, (logits(), logits()))
    assert torch.autograd.gradcheck(every.g_loss, (logits(), logits()))


@pytest.mark.parametrize("part", list(OBJECTIVES), ids=lambda part: part.name)
def test_every_objective_sets_critic_and_generator_against_each_other(part: Part[Any]) -> None:
    every = objective(part.name)
    real = torch.full((1, 1, 1, 1), 0.3, requires_grad=True)
    fake = torch.full((1, 1, 1, 1), 0.2, requires_grad=True)
    (up_real, down_fake) = torch.autograd.grad(every.d_loss(real, fake).sum(), (real, fake))
    (up_fake,) = torch.autograd.grad(every.g_loss(real, fake).sum(), fake)
    assert up_real < 0 < down_fake
    assert up_fake < 0
