"""The objectives, with numbers worked out by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.errors import ConfigError
from img2img.losses import OBJECTIVES, Objective
from img2img.registry import Part


def objective(name: str, **arguments: object) -> Objective:
    return OBJECTIVES.build(Component(name=name, **arguments), "objective")


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


def test_minimax() -> None:
    """The critic's game as in vanilla; the generator minimises log(1 - probability)."""
    minimax = objective("minimax")
    assert torch.equal(minimax.d_loss(REAL, FAKE), objective("vanilla").d_loss(REAL, FAKE))
    expected_g = [
        (math.log(0.5) + math.log(1 - sigmoid(-2))) / 2,
        (math.log(1 - sigmoid(1)) + math.log(1 - sigmoid(0.5))) / 2,
    ]
    assert expected_g[0] == pytest.approx(-0.410038, abs=1e-6)
    assert minimax.g_loss(None, FAKE).tolist() == pytest.approx(expected_g, rel=1e-6)


def test_minimax_alone_saturates() -> None:
    """Where the critic is sure of a fake, the generator hardly moves; else it moves the most."""
    fake = torch.tensor([[-10.0]], requires_grad=True)
    slopes = {
        name: torch.autograd.grad(objective(name).g_loss(None, fake).sum(), fake)[0].item()
        for name in ("minimax", "vanilla")
    }
    assert slopes["minimax"] == pytest.approx(-sigmoid(-10), rel=1e-4)
    assert slopes["vanilla"] == pytest.approx(-sigmoid(10), rel=1e-4)


def test_hinge() -> None:
    hinge = objective("hinge")
    # Real: (1 + 0)/2 and (2 + 0)/2. Fake: (1 + 0)/2 and (2 + 1.5)/2.
    assert hinge.d_loss(REAL, FAKE).tolist() == [1.0, 2.75]
    assert hinge.g_loss(None, FAKE).tolist() == [1.0, -0.75]


def test_wgan() -> None:
    """Real: 1 and 1. Fake: -1 and 0.75."""
    wgan = objective("wgan")
    assert wgan.d_loss(REAL, FAKE).tolist() == [-2.0, -0.25]
    assert wgan.g_loss(None, FAKE).tolist() == [1.0, -0.75]


def test_rpgan() -> None:
    """Binary cross entropy of the difference: 0 and 4 in the first image, -2 and 2.5 then."""
    rpgan = objective("rpgan")
    assert rpgan.needs_real_for_g
    expected_d = [(bce(0.5) + bce(sigmoid(4))) / 2, (bce(sigmoid(-2)) + bce(sigmoid(2.5))) / 2]
    assert expected_d[0] == pytest.approx(0.355649, abs=1e-6)
    assert rpgan.d_loss(REAL, FAKE).tolist() == pytest.approx(expected_d, rel=1e-6)
    expected_g = [(bce(0.5) + bce(sigmoid(-4))) / 2, (bce(sigmoid(2)) + bce(sigmoid(-2.5))) / 2]
    assert rpgan.g_loss(REAL, FAKE).tolist() == pytest.approx(expected_g, rel=1e-6)


@pytest.mark.parametrize("name", ["vanilla", "minimax", "lsgan", "hinge", "wgan"])
def test_only_the_relativistic_one_wants_the_real_logits_for_g(name: str) -> None:
    assert not objective(name).needs_real_for_g


@pytest.mark.parametrize("name", ["vanilla", "minimax"])
def test_smoothed_cross_entropy(name: str) -> None:
    """The target for real images, and for the critic alone, is 0.9."""
    expected_d = [
        (
            (bce(0.5) + 0.9 * bce(sigmoid(2)) + 0.1 * bce(sigmoid(-2))) / 2
            + (bce(0.5) + bce(sigmoid(2))) / 2
        )
        / 2
    ]
    smooth = objective(name, smoothing=0.1)
    assert smooth.d_loss(REAL[:1], FAKE[:1]).tolist() == pytest.approx(expected_d, rel=1e-6)
    assert torch.equal(smooth.g_loss(None, FAKE), objective(name).g_loss(None, FAKE))


def test_smoothed_least_squares() -> None:
    smooth = objective("lsgan", smoothing=0.25)
    # Real: (0.75^2 + 1.25^2)/2 and (1.75^2 + 2.25^2)/2. Fake: 2 and 0.625.
    assert smooth.d_loss(REAL, FAKE).tolist() == [1.53125, 2.34375]
    assert torch.equal(smooth.g_loss(None, FAKE), objective("lsgan").g_loss(None, FAKE))


@pytest.mark.parametrize("name", ["vanilla", "minimax", "lsgan"])
@pytest.mark.parametrize("wrong", [-0.1, 0.5, float("nan"), "much"])
def test_targets_stay_between_fake_and_real(name: str, wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"^objective\.smoothing: "):
        objective(name, smoothing=wrong)


def test_wgan_clips_what_trains() -> None:
    critic = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 3))
    with torch.no_grad():
        for weight in critic.parameters():
            weight.copy_(torch.linspace(-1, 1, weight.numel()).view_as(weight))
    critic[1].requires_grad_(False)
    before = [weight.clone() for weight in critic.parameters()]

    objective("wgan", clip=None).after_update(critic)
    objective("hinge").after_update(critic)
    assert all(map(torch.equal, critic.parameters(), before))

    objective("wgan", clip=0.25).after_update(critic)
    expected = [before[0].clamp(-0.25, 0.25), before[1].clamp(-0.25, 0.25), before[2], before[3]]
    assert all(map(torch.equal, critic.parameters(), expected))
    assert [weight.requires_grad for weight in critic.parameters()] == [True, True, False, False]

    objective("wgan").after_update(critic)
    assert next(critic.parameters()).abs().max().item() == pytest.approx(0.01)


@pytest.mark.parametrize("wrong", [0, -0.01, float("inf")])
def test_clipping_leaves_weights(wrong: float) -> None:
    with pytest.raises(ConfigError, match=r"^objective\.clip: "):
        objective("wgan", clip=wrong)


@pytest.mark.parametrize("name", ["vanilla", "minimax", "rpgan"])
def test_large_logits_do_not_overflow(name: str) -> None:
    huge = torch.full((1, 1, 2, 2), 1e4)
    wrong = 2e4 if name == "rpgan" else 1e4
    assert objective(name).d_loss(huge, -huge).tolist() == [0.0]
    assert objective(name).d_loss(-huge, huge).tolist() == [wrong]
    assert objective(name).g_loss(huge, -huge).tolist() == [0.0 if name == "minimax" else wrong]


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
    (up_fake,) = torch.autograd.grad(every.g_loss(real.detach(), fake).sum(), fake)
    assert up_real < 0 < down_fake
    assert up_fake < 0
