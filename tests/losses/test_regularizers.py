"""The penalties, on critics whose slope is known."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from img2img.config import Component
from img2img.errors import ConfigError
from img2img.losses import REGULARIZERS, Judge, Regularizer, refuse_batch_norm
from img2img.registry import Part

NAMES = ["r1", "r2", "gp"]
every_part = pytest.mark.parametrize(
    "part", [REGULARIZERS.find(Component(name=name), "") for name in NAMES], ids=NAMES
)


def regularizer(name: str, **arguments: object) -> Regularizer:
    return REGULARIZERS.build(Component(name=name, **arguments), "regularizers.0")


def images(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1


REAL, FAKE = images(3, 2, 4, 4), images(3, 2, 4, 4, seed=1)


def linear(slope: Tensor) -> Judge:
    """One logit an image, <slope, image>."""
    return lambda x: [(x * slope).sum((1, 2, 3)).reshape(-1, 1, 1, 1)]


def quadratic(x: Tensor) -> list[Tensor]:
    """One logit an image, |image|^2: its slope is twice the image."""
    return [x.square().sum((1, 2, 3)).reshape(-1, 1, 1, 1)]


def flat(x: Tensor) -> list[Tensor]:
    return [0 * x[:, :1]]


# A slope of 3 everywhere has length 3 sqrt(2 * 4 * 4), so its square is 288.
@pytest.mark.parametrize(
    ("name", "expected"), [("r1", 144), ("r2", 144), ("gp", (288**0.5 - 1) ** 2)]
)
def test_linear_critic(name: str, expected: float) -> None:
    slope = torch.full((2, 4, 4), 3, dtype=torch.float64)
    assert regularizer(name)(linear(slope), REAL, FAKE).item() == pytest.approx(expected)


def test_no_penalty_at_a_slope_of_one() -> None:
    slope = torch.zeros(2, 4, 4, dtype=torch.float64)
    slope[1, 2, 3] = -1
    assert regularizer("gp")(linear(slope), REAL, FAKE).item() == pytest.approx(0, abs=1e-20)
    assert regularizer("r1")(linear(slope), REAL, FAKE).item() == pytest.approx(0.5)


@pytest.mark.parametrize(("name", "where"), [("r1", REAL), ("r2", FAKE)])
def test_zero_centred_by_hand(name: str, where: Tensor) -> None:
    """|2 x|^2 / 2, in the mean over the batch, at the images of its side alone."""
    expected = 2 * where.square().sum((1, 2, 3)).mean().item()
    assert regularizer(name)(quadratic, REAL, FAKE).item() == pytest.approx(expected)


def test_one_centred_is_between_real_and_fake() -> None:
    """A share of its own for each image, the same for all of its pixels, of anything in [0, 1]."""
    seen: list[Tensor] = []

    def watched(x: Tensor) -> list[Tensor]:
        seen.append(x.detach())
        return quadratic(x)

    torch.manual_seed(0)
    count = 400
    fake = images(count, 1, 2, 2)
    penalty = regularizer("gp")(watched, fake + 2, fake)
    shares = (seen[0] - fake) / 2
    assert (shares.amax((1, 2, 3)) - shares.amin((1, 2, 3))).max() < 1e-12
    own = shares[:, 0, 0, 0]
    assert 0 <= own.min() < 0.02
    assert 0.98 < own.max() <= 1
    assert own.mean().item() == pytest.approx(0.5, abs=0.05)
    assert ((own >= 0.25) & (own < 0.5)).sum().item() == pytest.approx(count / 4, abs=40)
    lengths = 2 * seen[0].flatten(1).norm(dim=1)
    assert penalty.item() == pytest.approx((lengths - 1).square().mean().item())


def test_a_logit_that_is_repeated() -> None:
    """The slope of the sum is 9 times as long, its square divided by 9 is 9 times as large."""

    def repeated(x: Tensor) -> list[Tensor]:
        return [quadratic(x)[0].expand(-1, 1, 3, 3)]

    once, nine = (regularizer("r1")(judge, REAL, FAKE).item() for judge in (quadratic, repeated))
    assert nine == pytest.approx(9 * once)
    slope = torch.full((2, 4, 4), 1 / 32**0.5, dtype=torch.float64)  # of length 1

    def repeated_linear(x: Tensor) -> list[Tensor]:
        return [linear(slope)(x)[0].expand(-1, 1, 2, 2)]

    # 4 / sqrt(4) - 1
    assert regularizer("gp")(repeated_linear, REAL, FAKE).item() == pytest.approx(1)


@pytest.mark.parametrize("name", NAMES)
def test_more_patches_of_their_own_pixels(name: str) -> None:
    """What a weight means does not change with the number of logits."""
    slope = images(1, 2, 4, 4, seed=2)

    def patches(x: Tensor) -> list[Tensor]:
        return [F.conv2d(x, slope, stride=4)]

    few, many = (
        regularizer(name)(patches, *(x.repeat(1, 1, n, n + 1) for x in (REAL, FAKE))).item()
        for n in (1, 5)
    )
    assert few > 0.1
    assert many == pytest.approx(few)


@pytest.mark.parametrize("name", NAMES)
def test_several_scales(name: str) -> None:
    """Each by itself, with its own number of logits; then the mean."""
    slope = images(2, 4, 4, seed=2)
    first, second = linear(slope), linear(2 * slope)

    def both(x: Tensor) -> list[Tensor]:
        return [first(x)[0], F.interpolate(second(x)[0], scale_factor=2)]

    def second_alone(x: Tensor) -> list[Tensor]:
        return [both(x)[1]]

    penalty = regularizer(name)
    parts = [penalty(judge, REAL, FAKE).item() for judge in (first, second_alone)]
    assert parts[0] != pytest.approx(parts[1], rel=0.1)
    assert penalty(both, REAL, FAKE).item() == pytest.approx(sum(parts) / 2)


@every_part
def test_is_not_weighted_and_says_how_often(part: Part[Any]) -> None:
    light = regularizer(part.name)
    heavy = regularizer(part.name, weight="1e2", every=16)
    assert (light.weight, light.every, heavy.weight, heavy.every) == (10, 1, 100, 16)
    slope = images(2, 4, 4)
    assert torch.equal(*(r(linear(slope), REAL, FAKE) for r in (light, heavy)))
    for key, wrong in (("weight", -1), ("every", 0), ("every", 1.5)):
        with pytest.raises(ConfigError, match=rf"^regularizers\.0\.{key}: "):
            regularizer(part.name, **{key: wrong})


def small_critic() -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = [
        nn.Conv2d(2, 3, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.InstanceNorm2d(3),
        nn.Conv2d(3, 2, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2, 1, 2),
    ]
    return nn.Sequential(*layers).double()


@every_part
def test_gradient_by_the_weights(part: Part[Any]) -> None:
    """Autograd through the slope against finite differences, over two scales, in float64."""
    critic = small_critic()
    weights = dict(critic.named_parameters())
    real, fake = images(2, 2, 8, 8), images(2, 2, 8, 8, seed=1)
    penalty = regularizer(part.name)

    def of_weights(*values: Tensor) -> Tensor:
        own = dict(zip(weights, values, strict=True))

        def judge(x: Tensor) -> list[Tensor]:
            return [
                torch.func.functional_call(critic, own, (scale,))
                for scale in (x, F.avg_pool2d(x, 2))
            ]

        torch.manual_seed(0)  # the same points between real and fake at each call
        return penalty(judge, real, fake)

    values = tuple(value.detach().clone().requires_grad_() for value in weights.values())
    assert torch.autograd.gradcheck(of_weights, values)
    gradients = torch.autograd.grad(of_weights(*values), values, materialize_grads=True)
    assert gradients[0].abs().max() > 1e-3


@every_part
def test_without_a_slope_all_is_finite(part: Part[Any]) -> None:
    weight = torch.zeros(2, 4, 4, requires_grad=True)
    penalty = regularizer(part.name)(linear(weight), REAL.float(), FAKE.float())
    assert penalty.item() == {"gp": 1}.get(part.name, 0)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient.abs().max() == 0
    assert regularizer(part.name)(flat, REAL, FAKE).isfinite()


@every_part
def test_nothing_flows_to_the_generator(part: Part[Any]) -> None:
    real, fake = images(3, 2, 4, 4), images(3, 2, 4, 4, seed=1).requires_grad_()
    critic = small_critic()
    torch.autograd.backward(regularizer(part.name)(lambda x: [critic(x)], real, fake))
    assert fake.grad is None
    assert not real.requires_grad
    assert any(weight.grad is not None for weight in critic.parameters())


@every_part
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_arithmetic_is_float32_at_least(part: Part[Any], dtype: torch.dtype) -> None:
    """Images of half the bits are widened, and autocast is off inside."""
    dtypes: list[torch.dtype] = []
    weight = nn.Parameter(images(1, 2, 3, 3).to(torch.promote_types(dtype, torch.float32)))

    def judge(x: Tensor) -> list[Tensor]:
        logits = F.conv2d(x, weight)
        dtypes.append(logits.dtype)
        return [logits]

    with torch.autocast("cpu", torch.bfloat16):
        penalty = regularizer(part.name)(judge, REAL.to(dtype), FAKE.to(dtype))
    assert dtypes == [weight.dtype]
    assert penalty.dtype == weight.dtype
    assert penalty.shape == ()


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.SyncBatchNorm])
def test_batch_norm_is_refused(norm: Callable[[int], nn.Module]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(norm(4)))
    with pytest.raises(ConfigError, match=r"^regularizers: r1 .* discriminator\.norm "):
        refuse_batch_norm(network, "r1")
    refuse_batch_norm(network.requires_grad_(False), "r1")


def test_other_norms_are_not_refused() -> None:
    refuse_batch_norm(nn.Sequential(nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4)), "gp")
