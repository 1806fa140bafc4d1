"""Pix2Pix against its published recipe, computed a second time without our code.

One step of a network of three numbers is worked out with plain arithmetic; three steps of a small
U-Net and PatchGAN are transcribed with torch's functions in float64. The trainer makes the steps.
"""

import math
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from img2img.config import RunConfig
from img2img.data.augment import Transform
from img2img.data.loader import batches
from img2img.data.paired import PairedData, PairedSamples
from img2img.data.samples import Batch
from img2img.errors import ConfigError
from img2img.losses import Objective
from img2img.losses.adversarial import ALL, Valid, Vanilla
from img2img.losses.reconstruction import L1
from img2img.networks import Discriminator, DiscriminatorOutput, Generator
from img2img.networks.patchgan import PatchDiscriminator
from img2img.networks.unet import UNetGenerator
from img2img.training.build import build_method, describe, resolve
from img2img.training.methods.critic import Critic
from img2img.training.methods.pix2pix import Pix2Pix
from tests.training.recipe import RGB, Log, batch, published, trained, trainer_for, updates


def configuration(**changes: Any) -> RunConfig:
    return published("pix2pix", **changes)


# -- one step, by hand -------------------------------------------------------------------------


class HandGenerator(Generator):
    """y = w a + b for every pixel."""

    size_multiple = min_size = 1

    def __init__(self, w: float, b: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        _fill(self.conv, [w], b)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class HandDiscriminator(Discriminator):
    """logit = u a + v y + c for every pixel: the condition comes first."""

    def __init__(self, u: float, v: float, c: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 1)
        _fill(self.conv, [u, v], c)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput(logits=[self.conv(x)], features=[])


@torch.no_grad()
def _fill(conv: nn.Conv2d, weights: list[float], bias: float) -> None:
    conv.weight.copy_(torch.tensor(weights).reshape(conv.weight.shape))
    assert conv.bias is not None
    conv.bias.fill_(bias)


INPUT = [0.5, -1.0, 0.25, 0.75]
TARGET = [-0.5, 0.5, 1.0, -0.25]
G_START = (0.8, 0.1)
D_START = (0.3, -0.6, 0.2)


def hand_method(objective: Objective | None = None) -> Pix2Pix:
    critic = Critic(HandDiscriminator(*D_START), objective or Vanilla())
    return Pix2Pix(HandGenerator(*G_START), critic, {"l1": L1(weight=100)})


def hand_batch() -> Batch:
    """Two images of one row of two pixels."""
    return batch(
        torch.tensor(INPUT).reshape(2, 1, 1, 2),
        torch.tensor(TARGET).reshape(2, 1, 1, 2),
    )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def sign(x: float) -> float:
    return math.copysign(1.0, x)


class HandAdam:
    """Adam for a few numbers, Kingma & Ba's algorithm 1."""

    def __init__(self, lr: float, eps: float) -> None:
        self.lr, self.eps, self.t = lr, eps, 0
        self.m: list[float] = []
        self.v: list[float] = []

    def step(self, weights: Sequence[float], gradients: Sequence[float]) -> list[float]:
        beta1, beta2 = 0.5, 0.999
        self.t += 1
        self.m = self.m or [0.0] * len(weights)
        self.v = self.v or [0.0] * len(weights)
        new = []
        for i, (weight, g) in enumerate(zip(weights, gradients, strict=True)):
            self.m[i] = beta1 * self.m[i] + (1 - beta1) * g
            self.v[i] = beta2 * self.v[i] + (1 - beta2) * g * g
            m_hat = self.m[i] / (1 - beta1**self.t)
            v_hat = self.v[i] / (1 - beta2**self.t)
            new.append(weight - self.lr * m_hat / (math.sqrt(v_hat) + self.eps))
        return new


def steps_by_hand(
    steps: int, lr: float, eps: float
) -> tuple[list[float], list[float], list[dict[str, float]]]:
    """(w, b), (u, v, c) after so many steps, and what is logged of each."""
    (w, b), (u, v, c) = G_START, D_START
    n = len(INPUT)
    adam_d, adam_g = HandAdam(lr, eps), HandAdam(lr, eps)
    logs = []
    for _ in range(steps):
        # One forward of G, used by both.
        fake = [w * a + b for a in INPUT]

        # D: half of BCE(real, 1) + BCE(fake, 0), each the mean over the logits.
        on_real = [u * a + v * y + c for a, y in zip(INPUT, TARGET, strict=True)]
        on_fake = [u * a + v * y + c for a, y in zip(INPUT, fake, strict=True)]
        d_loss = 0.5 * (
            sum(-math.log(sigmoid(z)) for z in on_real) / n
            + sum(-math.log(1 - sigmoid(z)) for z in on_fake) / n
        )
        slope_real = [0.5 * (sigmoid(z) - 1) / n for z in on_real]
        slope_fake = [0.5 * sigmoid(z) / n for z in on_fake]
        slopes = slope_real + slope_fake
        seen, judged = INPUT + INPUT, TARGET + fake
        d_slopes = (
            sum(s * a for s, a in zip(slopes, seen, strict=True)),
            sum(s * y for s, y in zip(slopes, judged, strict=True)),
            sum(slopes),
        )
        u, v, c = adam_d.step((u, v, c), d_slopes)

        # G: BCE(fake, 1) by the D that has just changed, and 100 times L1.
        again = [u * a + v * y + c for a, y in zip(INPUT, fake, strict=True)]
        g_adv = sum(-math.log(sigmoid(z)) for z in again) / n
        g_l1 = sum(abs(y - t) for y, t in zip(fake, TARGET, strict=True)) / n
        slope_y = [
            (sigmoid(z) - 1) / n * v + 100 * sign(y - t) / n
            for z, y, t in zip(again, fake, TARGET, strict=True)
        ]
        g_slopes = sum(s * a for s, a in zip(slope_y, INPUT, strict=True)), sum(slope_y)
        w, b = adam_g.step((w, b), g_slopes)
        logs.append(
            {
                "D/adv": d_loss,
                "D/real": sum(on_real) / n,
                "D/fake": sum(on_fake) / n,
                "D/accuracy": sum(r > f for r, f in zip(on_real, on_fake, strict=True)) / n,
                "D/gradient": math.hypot(*d_slopes),
                "G/gradient": math.hypot(*g_slopes),
                "G/adv": g_adv,
                "G/l1": g_l1,
            }
        )
    return [w, b], [u, v, c], logs


def weights_of(network: nn.Module) -> list[float]:
    return [value for p in network.parameters() for value in p.flatten().tolist()]


@pytest.mark.parametrize(
    ("steps", "lr", "eps"),
    [
        (1, 2e-4, 1e-8),
        (3, 2e-4, 1e-8),
        # Adam's first step goes by the sign alone. With a large eps it goes by the size too, and
        # with a large rate it shows which D the generator was judged by.
        (1, 0.5, 1.0),
        (3, 0.5, 1.0),
    ],
)
def test_steps_by_hand(tmp_path: Path, steps: int, lr: float, eps: float) -> None:
    optimizer = {"name": "adam", "lr": lr, "betas": [0.5, 0.999], "eps": eps}
    config = configuration(optimizer=optimizer, data={"batch_size": 2})
    method = hand_method()
    _, log = trained(method, config, [hand_batch()] * steps, tmp_path)
    g, d, logs = steps_by_hand(steps, lr, eps)
    assert weights_of(method.generators["G"]) == pytest.approx(g, rel=1e-5)
    assert weights_of(method.critics["D"]) == pytest.approx(d, rel=1e-5)
    assert len(log.values) == steps
    for logged, expected in zip(log.values, logs, strict=True):
        assert logged == pytest.approx(expected, rel=1e-5)


def test_first_step_in_numbers(tmp_path: Path) -> None:
    """Adam's bias correction makes the first update the learning rate, against the slope."""
    method = hand_method()
    trained(method, configuration(data={"batch_size": 2}), [hand_batch()], tmp_path)
    # sum of sign(fake - target) a = 0.5 + 1 - 0.25 + 0.75 > 0; of the signs 1 - 1 - 1 + 1 = 0,
    # so b goes by the adversarial slope, sum of (sigmoid - 1) / 4 * v > 0.
    assert weights_of(method.generators["G"]) == pytest.approx([0.7998, 0.0998], abs=1e-7)


def test_second_learning_rate_is_the_critics(tmp_path: Path) -> None:
    optimizer = {"name": "adam", "lr": 2e-4, "lr_d": 1e-3}
    method = hand_method()
    config = configuration(optimizer=optimizer, data={"batch_size": 2})
    trained(method, config, [hand_batch()], tmp_path)
    moved_d = [abs(a - b) for a, b in zip(weights_of(method.critics["D"]), D_START, strict=True)]
    moved_g = [abs(a - b) for a, b in zip(weights_of(method.generators["G"]), G_START, strict=True)]
    assert moved_d == pytest.approx([1e-3] * 3, rel=1e-3)
    assert moved_g == pytest.approx([2e-4] * 2, rel=1e-3)


# -- three steps, transcribed --------------------------------------------------------------------


class Reference:
    """The recipe on a U-Net and a PatchGAN with BatchNorm, in float64, by the state_dicts' keys."""

    def __init__(self, G: dict[str, Tensor], D: dict[str, Tensor], depth: int) -> None:
        self.depth = depth
        self.G = {key: value.double().clone() for key, value in G.items()}
        self.D = {key: value.double().clone() for key, value in D.items()}
        self.moments: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
        self.t = 0

    def step(self, A: Tensor, B: Tensor, lr: float) -> None:
        A, B = A.double(), B.double()
        self.t += 1
        g_weights, d_weights = self._leaves(self.G), self._leaves(self.D)
        fake = self.generator(A)

        wrong = self.discriminator(torch.cat([A, fake.detach()], 1))
        right = self.discriminator(torch.cat([A, B], 1))
        d_loss = 0.5 * (self.bce(wrong, 0.0) + self.bce(right, 1.0))
        self.adam("D", self.D, d_weights, d_loss, lr)

        judged = self.discriminator(torch.cat([A, fake], 1))
        g_loss = self.bce(judged, 1.0) + 100 * (fake - B).abs().mean()
        self.adam("G", self.G, g_weights, g_loss, lr)

    @staticmethod
    def bce(logits: Tensor, target: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    def adam(
        self, group: str, state: dict[str, Tensor], weights: list[str], loss: Tensor, lr: float
    ) -> None:
        gradients = torch.autograd.grad(loss, [state[key] for key in weights])
        for key, g in zip(weights, gradients, strict=True):
            zero = torch.zeros_like(g)
            m, v = self.moments.get((group, key), (zero, zero))
            m, v = 0.5 * m + 0.5 * g, 0.999 * v + 0.001 * g * g
            self.moments[group, key] = m, v
            m_hat, v_hat = m / (1 - 0.5**self.t), v / (1 - 0.999**self.t)
            state[key] = (state[key] - lr * m_hat / (v_hat.sqrt() + 1e-8)).detach()
            state[key].requires_grad_()

    @staticmethod
    def _leaves(state: dict[str, Tensor]) -> list[str]:
        keys = [key for key in state if key.rpartition(".")[2] in ("weight", "bias")]
        for key in keys:
            state[key] = state[key].detach().requires_grad_()
        return keys

    @staticmethod
    def batch_norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
        mean = x.mean((0, 2, 3))
        variance = ((x - mean[:, None, None]) ** 2).mean((0, 2, 3))
        count = x.numel() / x.shape[1]
        with torch.no_grad():
            unbiased = variance * count / (count - 1)
            for key, value in (("running_mean", mean), ("running_var", unbiased)):
                state[f"{name}.{key}"] = 0.9 * state[f"{name}.{key}"] + 0.1 * value
            state[f"{name}.num_batches_tracked"] += 1
        normal = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        scale, shift = state[f"{name}.weight"], state[f"{name}.bias"]
        return scale[:, None, None] * normal + shift[:, None, None]

    def generator(self, x: Tensor) -> Tensor:
        G = self.G
        down = F.conv2d(x, G["model.model.0.weight"], stride=2, padding=1)
        inner = self.level(down, 1)
        up = F.conv_transpose2d(
            F.relu(inner), G["model.model.3.weight"], G["model.model.3.bias"], stride=2, padding=1
        )
        return torch.tanh(up)

    def level(self, x: Tensor, k: int) -> Tensor:
        """Level k beside its skip, which carries what the activation in front has made of x.

        The published activation works in place, so that the skip is LeakyReLU(x); after the ReLU
        of the way up this is the same as x itself, since both keep the same positive part.
        """
        G = self.G
        name = "model.model.1" + ".model.3" * (k - 1) + ".model"
        innermost = k == self.depth - 1
        skip = F.leaky_relu(x, 0.2)
        y = F.conv2d(skip, G[f"{name}.1.weight"], stride=2, padding=1)
        if not innermost:
            y = self.level(self.batch_norm(y, G, f"{name}.2"), k + 1)
        up, norm = ("3", "4") if innermost else ("5", "6")
        y = F.conv_transpose2d(F.relu(y), G[f"{name}.{up}.weight"], stride=2, padding=1)
        return torch.cat([skip, self.batch_norm(y, G, f"{name}.{norm}")], 1)

    def discriminator(self, x: Tensor) -> Tensor:
        D = self.D
        x = F.conv2d(x, D["model.0.weight"], D["model.0.bias"], stride=2, padding=1)
        x = F.leaky_relu(x, 0.2)
        for conv, norm, stride in ((2, 3, 2), (5, 6, 2), (8, 9, 1)):
            x = F.conv2d(x, D[f"model.{conv}.weight"], stride=stride, padding=1)
            x = F.leaky_relu(self.batch_norm(x, D, f"model.{norm}"), 0.2)
        return F.conv2d(x, D["model.11.weight"], D["model.11.bias"], stride=1, padding=1)


DEPTH = 4


def small_method(ngf: int = 4) -> Pix2Pix:
    torch.manual_seed(3)
    G = UNetGenerator(in_channels=3, out_channels=3, ngf=ngf, num_downs=DEPTH, dropout=False)
    D = PatchDiscriminator(in_channels=6, ndf=4)
    return Pix2Pix(G, Critic(D, Vanilla()), {"l1": L1(weight=100)})


def small_batches(dtype: torch.dtype, batch_size: int = 1) -> list[Batch]:
    generator = torch.Generator().manual_seed(4)
    shape = (3, 2, batch_size, 3, 32, 48)
    images = torch.rand(shape, generator=generator) * 2 - 1
    return [batch(A.to(dtype), B.to(dtype)) for A, B in images]


# Three epochs of one batch: the published rule gives them the full rate, 2/3 and 1/3 of it.
SHORT = {"name": "linear", "epochs": 1, "decay_epochs": 2}


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)], ids=str
)
def test_three_steps_of_the_recipe(
    tmp_path: Path, dtype: torch.dtype, tolerance: float, batch_size: int
) -> None:
    method = small_method().to(dtype)
    G, D = method.generators["G"], method.critics["D"].discriminator
    reference = Reference(G.state_dict(), D.state_dict(), DEPTH)
    start = {key: value.clone() for key, value in reference.G.items()}
    data = small_batches(dtype, batch_size)
    config = configuration(schedule=SHORT, data={"batch_size": batch_size})
    _, log = trained(method, config, data, tmp_path, images_per_epoch=batch_size)
    rates = [2e-4, 2e-4 * 2 / 3, 2e-4 / 3]
    assert log.rates == pytest.approx(rates)
    for each, rate in zip(data, rates, strict=True):
        reference.step(each.A, each.B, rate)
    for network, state in ((G, reference.G), (D, reference.D)):
        for key, value in network.state_dict().items():
            difference = (value.double() - state[key]).abs().max()
            # A bias of 0 has no scale of its own: the scale of the weights is 0.02.
            assert difference <= tolerance * state[key].abs().max().clamp(min=0.02), key
    # And the steps did go somewhere.
    moved = [(reference.G[key] - start[key]).abs().max() for key in start if "weight" in key]
    assert min(moved) > 1e-4


# -- what a step costs, and what it leaves alone -------------------------------------------------


def images_seen(network: nn.Module) -> list[int]:
    """How many images each forward of the network is given, kept up to date."""
    seen: list[int] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    return seen


class Relativistic(Objective):
    """Fake more real than real (Jolicoeur-Martineau 2018), to see that G gets the real logits."""

    needs_real_for_g: ClassVar[bool] = True

    def __init__(self) -> None:
        self.real_for_g: list[Tensor | None] = []

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return F.softplus(fake_logits - real_logits).flatten(1).mean(1)

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        self.real_for_g.append(real_logits)
        assert real_logits is not None
        return F.softplus(real_logits - fake_logits).flatten(1).mean(1)


class Recording(Vanilla):
    """The published one, which is to get no real logits for G."""

    def __init__(self) -> None:
        super().__init__()
        self.real_for_g: list[Tensor | None] = []

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        self.real_for_g.append(real_logits)
        return super().g_loss(real_logits, fake_logits, valid)


def test_one_forward_of_g_and_three_of_d(tmp_path: Path) -> None:
    """BatchNorm sees fake, real and the fake again, each by itself."""
    method = small_method()
    by_g = images_seen(method.generators["G"])
    by_d = images_seen(method.critics["D"].discriminator)
    config = configuration(data={"batch_size": 2})
    trained(method, config, small_batches(torch.float32, 2), tmp_path)
    assert by_g == [2] * 3
    assert by_d == [2] * 9


def test_real_images_are_not_judged_for_g_in_vain(tmp_path: Path) -> None:
    objective = Recording()
    method = hand_method(objective)
    by_d = images_seen(method.critics["D"].discriminator)
    trained(method, configuration(data={"batch_size": 2}), [hand_batch()] * 2, tmp_path)
    # In each step 2 fake, 2 real, and the 2 fake again; how many at once is free without BatchNorm.
    assert sum(by_d) == 2 * 6
    assert objective.real_for_g == [None, None]


def test_real_logits_for_g_where_the_objective_wants_them(tmp_path: Path) -> None:
    objective = Relativistic()
    method = hand_method(objective)
    by_d = images_seen(method.critics["D"].discriminator)
    trained(method, configuration(data={"batch_size": 2}), [hand_batch()], tmp_path)
    assert sum(by_d) == 8
    u, v, c = weights_of(method.critics["D"])
    (real,) = objective.real_for_g
    assert real is not None
    # By the D that has just changed.
    expected = [u * a + v * y + c for a, y in zip(INPUT, TARGET, strict=True)]
    assert real.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_losses_keep_to_their_own_groups() -> None:
    method = hand_method()
    assert list(method.groups) == ["D", "G"]
    for group, loss in updates(method, hand_batch()):
        method.zero_grad(set_to_none=True)
        loss.total().backward()  # type: ignore[no-untyped-call]
        for each in method.groups:
            learns = {p.grad is not None for p in method.parameters_of(each)}
            assert learns == {each == group}
    assert all(p.requires_grad for p in method.parameters())
    weights = [p for group in method.groups for p in method.parameters_of(group)]
    assert {id(p) for p in weights} == {id(p) for p in method.parameters()}


def test_loss_is_the_weighted_sum_of_its_terms() -> None:
    losses = dict(updates(hand_method(), hand_batch()))
    assert list(losses["D"].terms) == ["adv"]
    terms = losses["G"].terms
    assert list(terms) == ["adv", "l1"]
    expected = terms["adv"].value + 100 * terms["l1"].value
    assert losses["G"].total().item() == pytest.approx(expected.item())


def test_an_image_counts_the_same_in_any_batch() -> None:
    """Without BatchNorm the gradient of a batch is the mean of its images' gradients."""
    method, whole = hand_method(), hand_batch()

    def gradients(each: Batch) -> list[Tensor]:
        found = []
        for group, loss in updates(method, each):
            method.zero_grad(set_to_none=True)
            loss.total().backward()  # type: ignore[no-untyped-call]
            found += [p.grad.clone() for p in method.parameters_of(group) if p.grad is not None]
        return found

    halves = [gradients(batch(whole.A[n : n + 1], whole.B[n : n + 1])) for n in range(2)]
    for together, one, other in zip(gradients(whole), *halves, strict=True):
        assert torch.allclose(together, (one + other) / 2, rtol=1e-5)


# -- from a configuration, and from folders ------------------------------------------------------


def tiny_config(**changes: Any) -> RunConfig:
    sections = {
        "generator": {"name": "unet", "ngf": 2, "num_downs": 2},
        "discriminator": {"name": "pixel", "ndf": 2},
    }
    return configuration(**(sections | changes))


def test_from_config_is_what_the_configuration_says() -> None:
    method = Pix2Pix.from_config(configuration(), (RGB, RGB))
    count = {name: sum(p.numel() for p in n.parameters()) for name, n in method.generators.items()}
    assert count == {"G": 54_413_955}
    assert sum(p.numel() for p in method.critics["D"].parameters()) == 2_768_705
    assert isinstance(method.critics["D"].objective, Vanilla)
    assert {name: loss.weight for name, loss in method.reconstruction.items()} == {"l1": 100}


def test_terms_of_the_same_name_all_count() -> None:
    """Two entries with one name are two terms (or an error): none may be dropped in silence."""
    losses = {"reconstruction": [{"name": "l1", "weight": 10}, {"name": "l1", "weight": 3}]}
    method = Pix2Pix.from_config(tiny_config(losses=losses), (RGB, RGB))
    weight = sum(loss.weight for loss in method.reconstruction.values())
    assert weight == 13


def test_no_reconstruction_is_the_cgan_alone() -> None:
    method = Pix2Pix.from_config(tiny_config(losses={"reconstruction": []}), (RGB, RGB))
    losses = dict(updates(method, batch(*torch.rand(2, 1, 3, 8, 8))))
    assert list(losses["G"].terms) == ["adv"]


@pytest.mark.parametrize("crop", [(16, 16), (8, 8)])
def test_crop_that_the_discriminator_cannot_take(crop: tuple[int, int]) -> None:
    """Is refused in words before training, or can be trained on."""
    config = configuration(
        generator={"name": "unet", "ngf": 2, "num_downs": 3},
        discriminator={"name": "patch", "ndf": 2},
        data={"crop_size": crop},
    )
    try:
        method = build_method(config, crop)
    except ConfigError:
        return
    for _, loss in updates(method, batch(*torch.rand(2, 1, 3, *crop))):
        loss.total().backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("crop", [(255, 255), (50, 64), (1, 1)])
def test_crop_that_the_generator_cannot_halve(crop: tuple[int, int]) -> None:
    """The message is of the crop, not of a depth that nobody has chosen."""
    narrow = {"generator": {"name": "unet", "ngf": 2}, "discriminator": {"name": "pixel", "ndf": 2}}
    with pytest.raises(ConfigError, match=r"^data\.crop_size: "):
        build_method(resolve(configuration(**narrow), (300, 300), crop), crop)


def test_images_of_a_sheet() -> None:
    method, given = hand_method(), hand_batch()
    with torch.no_grad():
        images = method.images({"G": HandGenerator(2.0, 0.0)}, given)
    assert list(images) == ["input", "translated", "target"]
    assert torch.equal(images["input"], given.A)
    assert torch.equal(images["target"], given.B)
    # By the generator it is handed, which may be an average, not by its own.
    assert torch.allclose(images["translated"], 2 * given.A)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_direction(pairs_with_colours: Path, direction: str) -> None:
    """The input is what the direction starts from, and the model file says so."""
    config = tiny_config(
        data={"root": pairs_with_colours, "direction": direction, "holdout": "none"}
    )
    pairs = PairedData.find(config.data, 0).train
    transform = Transform(config.data, (16, 16), (16, 16))
    data = PairedSamples(pairs, transform, 0, direction=config.data.direction)
    (first,) = islice(batches(data, 1, 0, workers=0, pin_memory=False), 1)
    method = build_method(config, (16, 16))
    images = method.images(method.generators, first)
    levels = {"A": -1.0, "B": 1.0}
    assert images["input"].mean().item() == pytest.approx(levels[direction[0]])
    assert images["target"].mean().item() == pytest.approx(levels[direction[-1]])
    (described,) = describe(config, method, (16, 16), {"A": 1.0, "B": 1.0}).values()
    assert described.direction == direction


@pytest.fixture
def pairs_with_colours(tmp_path: Path) -> Path:
    """`A/` all black, `B/` all white."""
    for domain, colour in (("A", "black"), ("B", "white")):
        (tmp_path / domain).mkdir()
        Image.new("RGB", (16, 16), colour).save(tmp_path / domain / "0.png")
    return tmp_path


# -- the trainer around it -----------------------------------------------------------------------


def endless(start: int) -> Any:
    return (hand_batch() for _ in count(start))


def test_the_rate_is_never_negative_while_a_length_in_minutes_is_measured(tmp_path: Path) -> None:
    """Nor has it decayed: the run is at its start, however small its epochs are."""
    schedule = {"name": "linear", "epochs": 1, "decay_epochs": 1, "minutes": 0.05}
    log = Log()
    config = configuration(schedule=schedule, data={"batch_size": 2})
    trainer = trainer_for(hand_method(), config, tmp_path, log, endless, images_per_epoch=2)
    for each in islice(trainer._batches(0), 15):
        trainer._train_on([each])
    assert log.rates == pytest.approx([2e-4] * 15)


def test_trial_changes_nothing(tmp_path: Path) -> None:
    method = small_method()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    trainer = trainer_for(method, configuration(), tmp_path, Log(), endless)
    seconds, _ = trainer.trial(small_batches(torch.float32)[0])
    assert seconds > 0
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())
    assert all(p.grad is None for p in method.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_looking_at_held_out_images_does_not_disturb_training(
    tmp_path: Path, precision: str
) -> None:
    data = small_batches(torch.float32)
    states = []
    for every in (0, 1):
        method = small_method()
        config = configuration(
            precision=precision,
            metrics={"every": every, "tensorboard": False},
            samples={"every": every},
        )
        trainer = trainer_for(
            method,
            config,
            tmp_path / str(every),
            Log(),
            lambda start: (each for each in data),
            held_out=data[:1],
        )
        trainer.fit()
        states.append(method.state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
