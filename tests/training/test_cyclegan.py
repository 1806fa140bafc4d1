"""CycleGAN against its published recipe, computed a second time without our code.

One step of networks of two numbers each is worked out with plain arithmetic; three steps of small
ResNets and PatchGANs are transcribed with torch's own modules in float64. The trainer makes the
steps. Runs from the command line show what is around them.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from img2img.config import RunConfig, load_config
from img2img.data.samples import Batch
from img2img.data.unpaired import UnpairedData
from img2img.losses.adversarial import LSGAN
from img2img.losses.reconstruction import L1
from img2img.models.checkpoint import load_model, load_state
from img2img.networks import Discriminator, DiscriminatorOutput, Generator
from img2img.networks.norms import NormName
from img2img.networks.patchgan import PatchDiscriminator
from img2img.networks.resnet import ResnetGenerator
from img2img.training.build import build_method, describe
from img2img.training.methods.critic import Critic
from img2img.training.methods.cyclegan import CycleGAN
from img2img.training.observers import LossPlot
from tests.runs import assert_same, flat, lines, newest, untimed
from tests.training.recipe import RGB, batch, published, trained, updates

Command = Callable[..., Any]
MakeImage = Callable[..., Path]


def configuration(**changes: Any) -> RunConfig:
    return published("cyclegan", **changes)


# -- one step, by hand -------------------------------------------------------------------------


class HandGenerator(Generator):
    """y = a x + b for every pixel."""

    size_multiple = min_size = 1

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        _fill(self.conv, a, b)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class HandDiscriminator(Discriminator):
    """logit = c x + d for every pixel."""

    def __init__(self, c: float, d: float, mixes_images: bool) -> None:
        super().__init__()
        self.mixes_images = mixes_images
        self.conv = nn.Conv2d(1, 1, 1)
        _fill(self.conv, c, d)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput(logits=[self.conv(x)], features=[])


@torch.no_grad()
def _fill(conv: nn.Conv2d, weight: float, bias: float) -> None:
    assert conv.bias is not None
    conv.weight.fill_(weight)
    conv.bias.fill_(bias)


Line = tuple[float, float]

PIXELS_A = [0.5, -1.0, 0.25, 0.75]
PIXELS_B = [-0.5, 0.4, 1.0, -0.3]
START: dict[str, Line] = {
    "G_AB": (0.8, 0.1),
    "G_BA": (-0.7, 0.3),
    "D_A": (0.6, -0.2),
    "D_B": (-0.9, 0.35),
}


def hand_method(mixes_images: bool = True, pool: int = 50) -> CycleGAN:
    return CycleGAN(
        HandGenerator(*START["G_AB"]),
        HandGenerator(*START["G_BA"]),
        Critic(HandDiscriminator(*START["D_A"], mixes_images), LSGAN(), pool),
        Critic(HandDiscriminator(*START["D_B"], mixes_images), LSGAN(), pool),
        {"l1": L1(weight=10)},
        {"l1": L1(weight=5)},
    )


def hand_batch() -> Batch:
    """Two images of one row of two pixels."""
    return batch(
        torch.tensor(PIXELS_A).reshape(2, 1, 1, 2),
        torch.tensor(PIXELS_B).reshape(2, 1, 1, 2),
    )


def sign(x: float) -> float:
    assert abs(x) > 1e-3, "too near the kink of L1 to compare"
    return math.copysign(1.0, x)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def through(line: Line, values: Sequence[float]) -> list[float]:
    return [line[0] * value + line[1] for value in values]


def dot(these: Sequence[float], those: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(these, those, strict=True))


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


def g_gradients(
    G_AB: Line, G_BA: Line, D_A: Line, D_B: Line
) -> tuple[dict[str, float], list[float]]:
    """The six terms, and the slopes of their weighted sum by a_AB, b_AB, a_BA, b_BA."""
    x, y = PIXELS_A, PIXELS_B
    n = len(x)
    ones = [1.0] * n
    a, c = G_AB[0], G_BA[0]
    fake_B, fake_A = through(G_AB, x), through(G_BA, y)
    back_A, back_B = through(G_BA, fake_B), through(G_AB, fake_A)
    same_A, same_B = through(G_BA, x), through(G_AB, y)
    on_fake_A, on_fake_B = through(D_A, fake_A), through(D_B, fake_B)

    def away(these: Sequence[float], those: Sequence[float]) -> list[float]:
        return [u - v for u, v in zip(these, those, strict=True)]

    terms = {
        "G/adv_A": mean([(z - 1) ** 2 for z in on_fake_A]),
        "G/adv_B": mean([(z - 1) ** 2 for z in on_fake_B]),
        "G/cycle_A": mean([abs(e) for e in away(back_A, x)]),
        "G/cycle_B": mean([abs(e) for e in away(back_B, y)]),
        "G/identity_A": mean([abs(e) for e in away(same_A, x)]),
        "G/identity_B": mean([abs(e) for e in away(same_B, y)]),
    }

    # The slope of the whole loss by what each network has just made, pixel by pixel.
    s_adv_A = [2 * (z - 1) * D_A[0] / n for z in on_fake_A]
    s_adv_B = [2 * (z - 1) * D_B[0] / n for z in on_fake_B]
    s_cycle_A = [10 * sign(e) / n for e in away(back_A, x)]
    s_cycle_B = [10 * sign(e) / n for e in away(back_B, y)]
    s_same_A = [5 * sign(e) / n for e in away(same_A, x)]
    s_same_B = [5 * sign(e) / n for e in away(same_B, y)]
    # What is behind a translation's own slope: the critic's, and that of its way back.
    s_fake_B = [u + c * v for u, v in zip(s_adv_B, s_cycle_A, strict=True)]
    s_fake_A = [u + a * v for u, v in zip(s_adv_A, s_cycle_B, strict=True)]

    return terms, [
        dot(s_fake_B, x) + dot(s_cycle_B, fake_A) + dot(s_same_B, y),
        dot(s_fake_B, ones) + dot(s_cycle_B, ones) + dot(s_same_B, ones),
        dot(s_fake_A, y) + dot(s_cycle_A, fake_B) + dot(s_same_A, x),
        dot(s_fake_A, ones) + dot(s_cycle_A, ones) + dot(s_same_A, ones),
    ]


def steps_by_hand(
    steps: int, lr: float, eps: float
) -> tuple[dict[str, Line], list[dict[str, float]], list[tuple[float, float]]]:
    """The networks after so many steps, what is logged of each, and the lengths of its gradients.

    Pools as published: with 50 places, six images go in and come out.
    """
    G_AB, G_BA, D_A, D_B = (START[name] for name in ("G_AB", "G_BA", "D_A", "D_B"))
    adam_g, adam_d = HandAdam(lr, eps), HandAdam(lr, eps)
    logs, lengths = [], []
    for _ in range(steps):
        fake_B, fake_A = through(G_AB, PIXELS_A), through(G_BA, PIXELS_B)

        # G first, judged by the critics as they are.
        log, slopes = g_gradients(G_AB, G_BA, D_A, D_B)
        a, b, c, d = adam_g.step((*G_AB, *G_BA), slopes)
        G_AB, G_BA = (a, b), (c, d)

        # Then D, on the translations that were made before G's update.
        d_slopes: list[float] = []
        for domain, critic, real, fake in (
            ("A", D_A, PIXELS_A, fake_A),
            ("B", D_B, PIXELS_B, fake_B),
        ):
            on_real, on_fake = through(critic, real), through(critic, fake)
            log[f"D/adv_{domain}"] = 0.5 * (
                mean([(z - 1) ** 2 for z in on_real]) + mean([z**2 for z in on_fake])
            )
            log[f"D/real_{domain}"] = mean(on_real)
            log[f"D/fake_{domain}"] = mean(on_fake)
            right = [r > f for r, f in zip(on_real, on_fake, strict=True)]
            log[f"D/accuracy_{domain}"] = mean(right)
            s_real = [(z - 1) / len(on_real) for z in on_real]
            s_fake = [z / len(on_fake) for z in on_fake]
            d_slopes += [dot(s_real, real) + dot(s_fake, fake), sum(s_real) + sum(s_fake)]
        a, b, c, d = adam_d.step((*D_A, *D_B), d_slopes)
        D_A, D_B = (a, b), (c, d)

        lengths.append((math.hypot(*slopes), math.hypot(*d_slopes)))
        logs.append(log | dict(zip(("G/gradient", "D/gradient"), lengths[-1], strict=True)))
    return {"G_AB": G_AB, "G_BA": G_BA, "D_A": D_A, "D_B": D_B}, logs, lengths


def weights_of(network: nn.Module) -> list[float]:
    return [value for p in network.parameters() for value in p.flatten().tolist()]


# Adam's first step goes by the sign alone. With a large eps it goes by the size too, and with a
# large rate it shows which D the generator was judged by, and whose translations D was shown.
RATES = [(1, 2e-4, 1e-8), (3, 2e-4, 1e-8), (1, 0.3, 1.0), (3, 0.3, 1.0)]


@pytest.mark.parametrize("mixes_images", [True, False])
@pytest.mark.parametrize(("steps", "lr", "eps"), RATES)
def test_steps_by_hand(
    tmp_path: Path, steps: int, lr: float, eps: float, mixes_images: bool
) -> None:
    optimizer = {"name": "adam", "lr": lr, "betas": [0.5, 0.999], "eps": eps}
    config = configuration(optimizer=optimizer, data={"batch_size": 2})
    method = hand_method(mixes_images)
    _, log = trained(method, config, [hand_batch()] * steps, tmp_path)
    networks, logs, _ = steps_by_hand(steps, lr, eps)
    for name, expected in networks.items():
        assert weights_of(method.networks[name]) == pytest.approx(expected, rel=1e-5), name
    assert len(log.values) == steps
    for logged, values in zip(log.values, logs, strict=True):
        assert logged == pytest.approx(values, rel=1e-5)


def test_first_step_in_numbers(tmp_path: Path) -> None:
    """Adam's bias correction makes the first update the learning rate, against the slope."""
    method = hand_method()
    _, log = trained(method, configuration(data={"batch_size": 2}), [hand_batch()], tmp_path)
    # G_AB(A) = 0.5, -0.7, 0.3, 0.7, and G_BA of it -0.05, 0.79, 0.09, -0.19: away from A by
    # 0.55, 1.79, 0.16, 0.94. G_AB(B) = -0.3, 0.42, 0.9, -0.14: by 0.2, 0.02, 0.1, 0.16.
    assert log.values[0]["G/cycle_A"] == pytest.approx(3.44 / 4)
    assert log.values[0]["G/identity_B"] == pytest.approx(0.48 / 4)
    # D_B says -0.1, 0.98, 0.08, -0.28 to the translations; (z - 1)^2 = 1.21, 0.0004, 0.8464, 1.6384
    assert log.values[0]["G/adv_B"] == pytest.approx(3.6952 / 4)
    # ... and 0.8, -0.01, -0.55, 0.62 to B: half of 0.04 + 1.0201 + 2.4025 + 0.1444 over 4,
    # and of 0.01 + 0.9604 + 0.0064 + 0.0784 over 4.
    assert log.values[0]["D/adv_B"] == pytest.approx((3.607 + 1.0552) / 8)
    for name, start in START.items():
        moved = [abs(u - v) for u, v in zip(weights_of(method.networks[name]), start, strict=True)]
        assert moved == pytest.approx([2e-4, 2e-4], rel=1e-2), name


def test_one_optimizer_for_both_generators_and_one_for_both_discriminators(tmp_path: Path) -> None:
    """Which shows in the state, and where gradients are clipped: by their length together."""
    optimizer = {"name": "adam", "lr": 0.3, "betas": [0.5, 0.999], "eps": 1.0, "clip": 1e6}
    config = configuration(optimizer=optimizer, data={"batch_size": 2})
    trainer, log = trained(hand_method(), config, [hand_batch()] * 3, tmp_path)
    _, _, lengths = steps_by_hand(3, 0.3, 1.0)
    for logged, (g, d) in zip(log.values, lengths, strict=True):
        assert logged["G/gradient"] == pytest.approx(g, rel=1e-5)
        assert logged["D/gradient"] == pytest.approx(d, rel=1e-5)
    optimizers = trainer.state()["optimizers"]
    assert set(optimizers) == {"G", "D"}
    for state in optimizers.values():
        assert len(state["state"]) == 4
        (group,) = state["param_groups"]
        assert len(group["params"]) == 4


def test_an_optimizer_for_every_weight() -> None:
    method = small_method()
    assert list(method.groups) == ["G", "D"]
    for group, names in (("G", ("G_AB", "G_BA")), ("D", ("D_A", "D_B"))):
        of_networks = [id(p) for name in names for p in method.networks[name].parameters()]
        assert sorted(id(p) for p in method.parameters_of(group)) == sorted(of_networks)


# -- three steps, transcribed --------------------------------------------------------------------


Norm = Callable[[int], nn.Module]


class Block(nn.Module):
    def __init__(self, channels: int, norm: Norm, bias: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.as_tensor(self.conv_block(x))


class RecipeGenerator(nn.Module):
    """The published ResNet with `blocks` blocks, its layers numbered as published."""

    def __init__(self, width: int, blocks: int, norm: Norm = nn.InstanceNorm2d) -> None:
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7, bias=bias)]
        layers += [norm(width), nn.ReLU()]
        for channels in (width, 2 * width):
            layers += [nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=bias)]
            layers += [norm(2 * channels), nn.ReLU()]
        layers += [Block(4 * width, norm, bias) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers += [nn.ConvTranspose2d(2 * channels, channels, 3, 2, 1, 1, bias=bias)]
            layers += [norm(channels), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.model(x))


class RecipeDiscriminator(nn.Module):
    """The published PatchGAN with two halvings."""

    def __init__(self, width: int, norm: Norm = nn.InstanceNorm2d) -> None:
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        self.model = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=bias),
            norm(2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, stride=1, padding=1, bias=bias),
            norm(4 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 4, stride=1, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.model(x))


class Draws:
    """Records what torch's generator gives out, to be given out once more, in the same order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: list[Tensor] = []
        for name in ("rand", "randint"):
            monkeypatch.setattr(torch, name, self._recording(getattr(torch, name)))

    def _recording(self, draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def recorded(*arguments: Any, **keywords: Any) -> Tensor:
            value = draw(*arguments, **keywords)
            self.given.append(value)
            return value

        return recorded


class RecipePool:
    """Once full, with p = 0.5 hand out a stored image and store the new one."""

    def __init__(self, size: int, draws: list[Tensor]) -> None:
        self.size, self.draws = size, draws
        self.images: list[Tensor] = []
        self.outcomes: Counter[str] = Counter()

    def query(self, images: Tensor) -> Tensor:
        handed_out = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image)
                handed_out.append(image)
                self.outcomes["stored"] += 1
            elif self.draws.pop(0) >= 0.5:
                place = int(self.draws.pop(0))
                handed_out.append(self.images[place])
                self.images[place] = image
                self.outcomes["exchanged"] += 1
            else:
                handed_out.append(image)
                self.outcomes["passed"] += 1
        return torch.stack(handed_out)


def set_requires_grad(networks: Sequence[nn.Module], value: bool) -> None:
    for network in networks:
        for weight in network.parameters():
            weight.requires_grad = value


class Recipe:
    """What the published training script does with a batch, in float64."""

    def __init__(self, method: CycleGAN, pool_size: int, norm: Norm = nn.InstanceNorm2d) -> None:
        self.G_AB = RecipeGenerator(WIDTH, BLOCKS, norm)
        self.G_BA = RecipeGenerator(WIDTH, BLOCKS, norm)
        self.D_A = RecipeDiscriminator(WIDTH, norm)
        self.D_B = RecipeDiscriminator(WIDTH, norm)
        for name, network in self.networks.items():
            network.load_state_dict(parts_of(method)[name].state_dict())
            network.double()
        G = itertools.chain(self.G_AB.parameters(), self.G_BA.parameters())
        D = itertools.chain(self.D_A.parameters(), self.D_B.parameters())
        self.optimizer_G = torch.optim.Adam(G, lr=2e-4, betas=(0.5, 0.999))
        self.optimizer_D = torch.optim.Adam(D, lr=2e-4, betas=(0.5, 0.999))
        self.draws: list[Tensor] = []
        self.pool_A = RecipePool(pool_size, self.draws)
        self.pool_B = RecipePool(pool_size, self.draws)
        self.gan_loss, self.l1_loss = nn.MSELoss(), nn.L1Loss()

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"G_AB": self.G_AB, "G_BA": self.G_BA, "D_A": self.D_A, "D_B": self.D_B}

    def criterion_gan(self, prediction: Tensor, target: float) -> Tensor:
        loss: Tensor = self.gan_loss(prediction, torch.full_like(prediction, target))
        return loss

    def step(self, real_A: Tensor, real_B: Tensor, lr: float) -> dict[str, float]:
        real_A, real_B = real_A.double(), real_B.double()
        for optimizer in (self.optimizer_G, self.optimizer_D):
            optimizer.param_groups[0]["lr"] = lr
        lambda_A = lambda_B = 10.0
        lambda_identity = 0.5

        fake_B = self.G_AB(real_A)
        back_A = self.G_BA(fake_B)
        fake_A = self.G_BA(real_B)
        back_B = self.G_AB(fake_A)

        set_requires_grad([self.D_A, self.D_B], False)
        self.optimizer_G.zero_grad()
        terms = {
            "G/identity_B": self.l1_loss(self.G_AB(real_B), real_B),
            "G/identity_A": self.l1_loss(self.G_BA(real_A), real_A),
            "G/adv_B": self.criterion_gan(self.D_B(fake_B), 1.0),
            "G/adv_A": self.criterion_gan(self.D_A(fake_A), 1.0),
            "G/cycle_A": self.l1_loss(back_A, real_A),
            "G/cycle_B": self.l1_loss(back_B, real_B),
        }
        loss_G = (
            terms["G/adv_A"]
            + terms["G/adv_B"]
            + terms["G/cycle_A"] * lambda_A
            + terms["G/cycle_B"] * lambda_B
            + terms["G/identity_B"] * lambda_B * lambda_identity
            + terms["G/identity_A"] * lambda_A * lambda_identity
        )
        loss_G.backward()
        self.optimizer_G.step()

        set_requires_grad([self.D_A, self.D_B], True)
        self.optimizer_D.zero_grad()
        for domain, critic, pool, real, fake in (
            ("A", self.D_A, self.pool_A, real_A, fake_A),
            ("B", self.D_B, self.pool_B, real_B, fake_B),
        ):
            prediction_real = critic(real)
            prediction_fake = critic(pool.query(fake).detach())
            loss_D = self.criterion_gan(prediction_real, 1.0)
            loss_D = (loss_D + self.criterion_gan(prediction_fake, 0.0)) * 0.5
            loss_D.backward()  # type: ignore[no-untyped-call]
            terms[f"D/adv_{domain}"] = loss_D
            terms[f"D/real_{domain}"] = prediction_real.mean()
            terms[f"D/fake_{domain}"] = prediction_fake.mean()
        self.optimizer_D.step()
        return {name: value.item() for name, value in terms.items()}


WIDTH, BLOCKS = 4, 2


def small_method(pool_size: int = 50, norm: NormName = "instance") -> CycleGAN:
    torch.manual_seed(3)
    G_AB, G_BA = (
        ResnetGenerator(in_channels=3, out_channels=3, ngf=WIDTH, n_blocks=BLOCKS, norm=norm)
        for _ in "AB"
    )
    D_A, D_B = (PatchDiscriminator(in_channels=3, ndf=WIDTH, n_layers=2, norm=norm) for _ in "AB")
    critics = [Critic(D, LSGAN(), pool_size) for D in (D_A, D_B)]
    return CycleGAN(G_AB, G_BA, critics[0], critics[1], {"l1": L1(weight=10)}, {"l1": L1(weight=5)})


def parts_of(method: CycleGAN) -> dict[str, nn.Module]:
    """The networks by name, critics without what belongs to them."""
    discriminators = {name: critic.discriminator for name, critic in method.critics.items()}
    return {**method.generators, **discriminators}


def small_batches(dtype: torch.dtype, batch_size: int = 1) -> list[Batch]:
    # A seed that leaves no pixel so near the kink of L1 that float32 sees it on the other side.
    generator = torch.Generator().manual_seed(5)
    shape = (3, 2, batch_size, 3, 16, 24)
    images = torch.rand(shape, generator=generator) * 2 - 1
    return [batch(A.to(dtype), B.to(dtype)) for A, B in images]


def idle_biases(network: nn.Module) -> set[str]:
    """Biases that an InstanceNorm takes out again: rounding errors are all that moves them."""
    layers = [item for item in network.named_modules() if not any(item[1].children())]
    return {
        f"{name}.bias"
        for (name, _), (_, following) in itertools.pairwise(layers)
        if isinstance(following, nn.InstanceNorm2d)
    }


# Three epochs of one batch: the published rule gives them the full rate, 2/3 and 1/3 of it.
SHORT = {"name": "linear", "epochs": 1, "decay_epochs": 2}


@pytest.mark.parametrize(
    # With these seeds, in both domains an image is exchanged and another is not.
    ("batch_size", "pool_size", "seed"),
    [(1, 1, 3), (2, 2, 1)],
    ids=["one image", "two images"],
)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)], ids=str
)
def test_three_steps_of_the_recipe(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    tolerance: float,
    batch_size: int,
    pool_size: int,
    seed: int,
) -> None:
    data = small_batches(dtype, batch_size)
    method = small_method(pool_size).to(dtype)
    recipe = Recipe(method, pool_size)
    start = {name: weights_of(network) for name, network in recipe.networks.items()}
    config = configuration(schedule=SHORT, data={"batch_size": batch_size}, seed=seed)
    draws = Draws(monkeypatch)
    _, log = trained(method, config, data, tmp_path, images_per_epoch=batch_size)
    monkeypatch.undo()
    rates = [2e-4, 2e-4 * 2 / 3, 2e-4 / 3]
    assert log.rates == pytest.approx(rates)

    recipe.draws.extend(draws.given)
    for each, rate, logged in zip(data, rates, log.values, strict=True):
        # The log is in float32.
        expected = recipe.step(each.A, each.B, rate)
        shared = {tag: logged[tag] for tag in expected}  # it logs no accuracy and no gradients
        assert shared == pytest.approx(expected, rel=max(tolerance, 1e-6), abs=1e-6)
    assert recipe.draws == []
    for pool in (recipe.pool_A, recipe.pool_B):
        assert set(pool.outcomes) == {"stored", "exchanged", "passed"}

    for name, network in recipe.networks.items():
        state, idle = parts_of(method)[name].state_dict(), idle_biases(network)
        assert idle
        for key, expected_value in network.state_dict().items():
            difference = (state[key].double() - expected_value).abs().max()
            # A bias of 0 has no scale of its own: the scale of the weights is 0.02.
            scale = expected_value.abs().max().clamp(min=0.02)
            assert key in idle or difference <= tolerance * scale, f"{name}.{key}"
        # And the steps did go somewhere.
        moved = [abs(a - b) for a, b in zip(weights_of(network), start[name], strict=True)]
        assert sorted(moved)[len(moved) // 2] > 1e-4
    for name, pool in (("D_A", recipe.pool_A), ("D_B", recipe.pool_B)):
        for mine, theirs in zip(method.pools[name].images, pool.images, strict=True):
            assert torch.allclose(mine.double(), theirs, atol=10 * tolerance)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_batch_norm_averages_in_the_published_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    """Of generators: the image there and back before the other's; of critics: the real first."""
    data = small_batches(torch.float64, batch_size)
    method = small_method(2, "batch").double()
    recipe = Recipe(method, 2, nn.BatchNorm2d)
    draws = Draws(monkeypatch)
    config = configuration(schedule=SHORT, data={"batch_size": batch_size}, seed=1)
    trained(method, config, data, tmp_path, images_per_epoch=batch_size)
    monkeypatch.undo()
    recipe.draws.extend(draws.given)
    for each, rate in zip(data, (2e-4, 2e-4 * 2 / 3, 2e-4 / 3), strict=True):
        recipe.step(each.A, each.B, rate)
    for name, network in recipe.networks.items():
        state = parts_of(method)[name].state_dict()
        for key, wanted in network.state_dict().items():
            difference = (state[key].double() - wanted).abs().max()
            assert difference <= 1e-12 * max(1.0, float(wanted.abs().max())), f"{name}.{key}"


# -- what a step is made of ----------------------------------------------------------------------

TAGS = {
    "G": ["G/adv_A", "G/adv_B", "G/cycle_A", "G/cycle_B", "G/identity_A", "G/identity_B"],
    "D": ["D/adv_A", "D/adv_B"],
}
SCORES = [f"D/{score}_{domain}" for domain in "AB" for score in ("real", "fake", "accuracy")]


def tiny_config(**changes: Any) -> RunConfig:
    sections = {
        "generator": {"name": "resnet", "ngf": 2, "n_blocks": 1},
        "discriminator": {"name": "pixel", "ndf": 2, "norm": "instance"},
    }
    return configuration(**(sections | changes))


def tiny_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return batch(*(torch.rand(2, 1, 3, 16, 16, generator=generator) * 2 - 1))


def seen_by(network: nn.Module) -> list[Tensor]:
    """What each forward of the network is given, kept up to date."""
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    return seen


def is_among(image: Tensor, seen: Sequence[Tensor]) -> bool:
    return any(torch.allclose(image, one) for each in seen for one in torch.split(each, len(image)))


def test_terms_are_the_tags_of_the_log(tmp_path: Path) -> None:
    assert list(hand_method().groups) == ["G", "D"]
    _, log = trained(hand_method(), configuration(), [hand_batch()], tmp_path)
    gradients = {"G/gradient", "D/gradient"}
    assert set(log.values[0]) == {*TAGS["G"], *TAGS["D"], *SCORES, *gradients}


def test_loss_is_the_weighted_sum_of_its_terms() -> None:
    losses = dict(updates(hand_method(), hand_batch()))
    terms = {name: term.value.item() for name, term in losses["G"].terms.items()}
    assert losses["G"].total().item() == pytest.approx(
        terms["adv_A"]
        + terms["adv_B"]
        + 10 * (terms["cycle_A"] + terms["cycle_B"])
        + 5 * (terms["identity_A"] + terms["identity_B"])
    )
    of_d = [term.value.item() for term in losses["D"].terms.values()]
    assert losses["D"].total().item() == pytest.approx(sum(of_d))


def test_no_identity_is_not_computed() -> None:
    counts = []
    for identity in ([{"name": "l1", "weight": 5}], []):
        lists = {"cycle": [{"name": "l1", "weight": 10}], "identity": identity}
        method = CycleGAN.from_config(tiny_config(losses=lists), (RGB, RGB))
        seen = [seen_by(generator) for generator in method.generators.values()]
        losses = dict(updates(method, tiny_batch()))
        tags = TAGS["G"] if identity else TAGS["G"][:4]
        assert sorted(f"G/{name}" for name in losses["G"].terms) == tags
        counts.append([sum(len(images) for images in each) for each in seen])
    assert counts == [[3, 3], [2, 2]]


@pytest.mark.parametrize("kind", ["cycle", "identity"])
def test_two_losses_in_a_list_both_count(kind: str) -> None:
    losses = {kind: [{"name": "l1", "weight": 10}, {"name": "l1", "weight": 3}]}
    method = CycleGAN.from_config(tiny_config(losses=losses), (RGB, RGB))
    loss = dict(updates(method, tiny_batch()))["G"]
    for domain in "AB":
        own = {n: t for n, t in loss.terms.items() if n.startswith(f"{kind}_{domain}")}
        assert sorted(term.weight for term in own.values()) == [3, 10]
    distances = sum(t.value.item() for n, t in loss.terms.items() if kind in n) / 2
    adversarial = sum(t.value.item() for n, t in loss.terms.items() if "adv" in n)
    assert distances > 0
    assert loss.total().item() == pytest.approx(adversarial + 13 * distances)


def test_losses_keep_to_their_own_groups() -> None:
    method = small_method()
    trainable = [p for p in method.parameters() if p.requires_grad]
    for group, loss in updates(method, small_batches(torch.float32)[0]):
        method.zero_grad(set_to_none=True)
        loss.total().backward()  # type: ignore[no-untyped-call]
        for each in method.groups:
            learns = {p.grad is not None for p in method.parameters_of(each) if p.requires_grad}
            assert learns == {each == group}
    assert [p for p in method.parameters() if p.requires_grad] == trainable
    weights = [p for group in method.groups for p in method.parameters_of(group)]
    assert {id(p) for p in weights} == {id(p) for p in method.parameters()}


def test_each_critic_judges_its_own_domain() -> None:
    method, given = small_method(), small_batches(torch.float32)[0]
    with torch.no_grad():
        fake_A = method.generators["G_BA"](given.B)
        fake_B = method.generators["G_AB"](given.A)
    seen = {name: seen_by(critic.discriminator) for name, critic in method.critics.items()}
    list(updates(method, given))
    for name, real, fake in (("D_A", given.A, fake_A), ("D_B", given.B, fake_B)):
        # The translation for G and for D, and the real image for D alone.
        assert sum(len(images) for images in seen[name]) == 3
        assert is_among(real, seen[name])
        assert is_among(fake, seen[name])
    assert not is_among(given.B, seen["D_A"])
    assert not is_among(given.A, seen["D_B"])


def test_pools_are_for_the_critics_alone() -> None:
    """G is judged by what it has just made, whatever they hand out; each domain has its own."""
    method = hand_method(pool=1)
    given = hand_batch()
    one = batch(given.A[:1], given.B[:1])
    outcomes = set()
    for seed in range(12):
        torch.manual_seed(seed)
        for name, pool in method.pools.items():
            pool.images = [torch.full((1, 1, 2), 7.0 if name == "D_A" else 9.0)]
        losses = dict(updates(method, one))
        g_terms = {name: term.value.item() for name, term in losses["G"].terms.items()}
        expected = hand_terms(PIXELS_A[:2], PIXELS_B[:2])
        assert g_terms["adv_A"] == pytest.approx(expected["A"], rel=1e-5)
        assert g_terms["adv_B"] == pytest.approx(expected["B"], rel=1e-5)
        stored = []
        for domain, value in (("A", 7.0), ("B", 9.0)):
            line = START[f"D_{domain}"]
            old = losses["D"].scores[f"fake_{domain}"].item()
            stored.append(old == pytest.approx(line[0] * value + line[1], rel=1e-5))
            # What came out was exchanged for the newest.
            (kept,) = method.pools[f"D_{domain}"].images
            assert (kept.max().item() != value) == stored[-1]
        outcomes.add(tuple(stored))
    assert len(outcomes) == 4


def hand_terms(A: Sequence[float], B: Sequence[float]) -> dict[str, float]:
    """What the critics' verdicts on new translations cost the generators, at the start."""
    fake_A, fake_B = through(START["G_BA"], B), through(START["G_AB"], A)
    return {
        "A": mean([(z - 1) ** 2 for z in through(START["D_A"], fake_A)]),
        "B": mean([(z - 1) ** 2 for z in through(START["D_B"], fake_B)]),
    }


def test_without_a_pool() -> None:
    """The translations themselves are judged, and no gradient goes back through them."""
    method = hand_method(pool=0)
    assert method.pools == {}
    given = hand_batch()
    for _, loss in updates(method, given):
        method.zero_grad(set_to_none=True)
        loss.total().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in method.parameters_of("G"))
    fake_A = through(START["G_BA"], PIXELS_B)
    on_fake = mean(through(START["D_A"], fake_A))
    assert loss.scores["fake_A"].item() == pytest.approx(on_fake, rel=1e-5)


def test_directions() -> None:
    config = tiny_config()
    method = build_method(config, (16, 16))
    described = describe(config, method, (16, 16), {"A": 2.0, "B": 0.5})
    assert {name: found.direction for name, found in described.items()} == {
        "G_AB": "AtoB",
        "G_BA": "BtoA",
    }
    # Each knows the scale of the images that it starts from.
    assert (described["G_AB"].scale, described["G_BA"].scale) == (2.0, 0.5)
    assert {found.method for found in described.values()} == {"cyclegan"}


def test_images_of_a_sheet() -> None:
    method, given = hand_method(), hand_batch()
    with torch.no_grad():
        others = {"G_AB": HandGenerator(2.0, 0.0), "G_BA": HandGenerator(0.0, 0.25)}
        images = method.images(others, given)
    assert list(images) == ["A", "A to B", "A to B to A", "B", "B to A", "B to A to B"]
    assert torch.equal(images["A"], given.A)
    assert torch.equal(images["B"], given.B)
    # By the generators it is handed, which may be averages, not by its own.
    assert torch.allclose(images["A to B"], 2 * given.A)
    assert torch.allclose(images["A to B to A"], torch.full_like(given.A, 0.25))
    assert torch.allclose(images["B to A"], torch.full_like(given.B, 0.25))
    assert torch.allclose(images["B to A to B"], torch.full_like(given.B, 0.5))


def test_what_measures_compare_is_among_the_images() -> None:
    names = set(hand_method().images(hand_method().generators, hand_batch()))
    assert dict(CycleGAN.translations) == {"AtoB": ("A to B", "B"), "BtoA": ("B to A", "A")}
    assert dict(CycleGAN.cycles) == {"A": ("A to B to A", "A"), "B": ("B to A to B", "B")}
    both = {**CycleGAN.translations, **CycleGAN.cycles}
    assert {name for pair in both.values() for name in pair} <= names


# -- the published configuration -----------------------------------------------------------------


def test_configuration_is_the_published_one() -> None:
    config = load_config("cyclegan")
    assert config.image_pool == 50
    assert config.optimizer.model_dump() == {
        "name": "adam",
        "lr": 2e-4,
        "lr_d": None,
        "accumulate": 1,
        "clip": None,
        "betas": [0.5, 0.999],
    }
    weights = {"name": "l1", "weight": 10}, {"name": "l1", "weight": 5}
    assert [loss.model_dump() for loss in config.losses["cycle"]] == [weights[0]]
    assert [loss.model_dump() for loss in config.losses["identity"]] == [weights[1]]
    assert "reconstruction" not in config.losses
    assert config.objective.model_dump() == {"name": "lsgan"}
    assert config.generator.name == "resnet_9blocks"
    assert config.generator.arguments == {
        "ngf": 64,
        "norm": "instance",
        "pad": "reflect",
        "upsample": "deconv",
    }
    assert config.discriminator.model_dump() == {
        "name": "patch",
        "ndf": 64,
        "n_layers": 3,
        "norm": "instance",
    }
    schedule = config.schedule
    assert (schedule.name, schedule.epochs, schedule.decay_epochs) == ("linear", 100, 100)
    data = config.data
    assert (data.batch_size, data.resize, data.load_size) == (1, "stretch", "auto")
    flip = {"name": "HorizontalFlip", "p": 0.5}
    assert [section.model_dump() for section in data.augment.geometry] == [flip]
    assert data.augment.color == []
    assert config.ema.half_life is None


def test_from_config_is_what_the_configuration_says() -> None:
    method = CycleGAN.from_config(configuration(), (RGB, RGB))
    assert method.data is UnpairedData
    count = {name: sum(p.numel() for p in n.parameters()) for name, n in parts_of(method).items()}
    assert count == {
        "G_AB": 11_378_179,
        "G_BA": 11_378_179,
        "D_A": 2_764_737,
        "D_B": 2_764_737,
    }
    for generator in method.generators.values():
        kinds = Counter(type(module).__mro__[1] for module in generator.modules())
        assert not any(isinstance(module, nn.Dropout) for module in generator.modules())
        assert not any(isinstance(module, nn.BatchNorm2d) for module in generator.modules())
        assert kinds[nn.InstanceNorm2d] == 1 + 2 + 2 * 9 + 2
    for critic in method.critics.values():
        assert isinstance(critic.objective, LSGAN)
        assert sum(isinstance(m, nn.InstanceNorm2d) for m in critic.modules()) == 3
    assert {name: pool.size for name, pool in method.pools.items()} == {"D_A": 50, "D_B": 50}
    assert method.pools["D_A"] is not method.pools["D_B"]
    for losses, weight in ((method.cycle, 10), (method.identity, 5)):
        assert {name: loss.weight for name, loss in losses.items()} == {"l1": weight}
    first = [next(iter(generator.parameters())) for generator in method.generators.values()]
    assert not torch.equal(first[0], first[1])  # each drawn by itself


# -- from the command line -----------------------------------------------------------------------

TINY: dict[str, object] = {
    "generator": "{name: resnet, ngf: 4, n_blocks: 1}",
    "discriminator.ndf": 4,
    "discriminator.n_layers": 1,
    "device": "cpu",
    "precision": "fp32",
    "data.workers": 0,
    "metrics.tensorboard": "false",
    "metrics.log_every": 1,
}


def sets(**changes: object) -> list[object]:
    """`--set` for each; a dot is written as two underscores."""
    given = {key.replace("__", "."): value for key, value in changes.items()}
    return [word for key, value in given.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module", autouse=True)
def no_plots() -> Iterator[None]:
    """Drawing the losses takes a second a run, and is looked at elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LossPlot, "ended", lambda self, summary: None)
        yield


@pytest.fixture(scope="module")
def train(img2img: Command) -> Command:
    """`img2img train cyclegan --output OUTPUT`, tiny, and what is given."""
    tiny = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]

    def run(output: Path, *arguments: object) -> Any:
        return img2img("train", "cyclegan", "--output", output, *tiny, *arguments)

    return run


def write(path: Path, height: int, width: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos/` with five images and `paintings/` with three of other sizes, and held-out pairs."""
    root = tmp_path_factory.mktemp("data")
    for number in range(5):
        write(root / f"photos/{number}.png", 40, 44, number)
    for number in range(3):
        write(root / f"paintings/p{number}.png", 36, 60, 10 + number)
    for number in range(2):
        for domain in "AB":
            write(root / f"pairs/{domain}/{number}.png", 36, 36, 20 + number + 5 * (domain == "B"))
    return root


def folders(root: Path) -> list[object]:
    return ["--data-a", root / "photos", "--data-b", root / "paintings"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, photos: Path, train: Command) -> Path:
    """The run folder of two steps on `photos`. Not to be changed."""
    output = tmp_path_factory.mktemp("runs") / "tiny"
    outcome = train(output, *folders(photos), "--max-steps", 2)
    assert outcome.status == 0, outcome.err
    assert "4 A and 2 B to train, 1 held out" in " ".join(outcome.out.split())
    return output


def measures(folder: Path) -> dict[str, float]:
    """What was measured at the end."""
    measured = [line for line in lines(folder) if any(key.startswith("val/") for key in line)]
    return {key: value for key, value in measured[-1].items() if key.startswith("val/")}


class TestTrain:
    def test_two_folders_of_other_counts_and_sizes(self, run: Path) -> None:
        model = load_model(run)
        assert {name: found.direction for name, found in model.specs.items()} == {
            "G_AB": "AtoB",
            "G_BA": "BtoA",
        }
        assert {found.steps for found in model.specs.values()} == {2}
        assert {found.crop_size for found in model.specs.values()} == {(32, 32)}
        first, second = lines(run)[:2]
        for line in (first, second):
            assert {*TAGS["G"], *TAGS["D"], *SCORES} <= set(line)
        # An epoch is the larger domain: four, as one of five is held out.
        assert second["epoch"] == pytest.approx(0.5)

    def test_sample_sheet_has_a_column_for_each_image(self, run: Path) -> None:
        (path,) = (run / "samples").iterdir()
        with Image.open(path) as sheet:
            assert 6 * 32 <= sheet.width < 7 * 32
            assert 32 <= sheet.height < 2 * 32

    def test_networks_are_saved_by_name(self, run: Path) -> None:
        (path,) = (run / "checkpoints").glob("state-*")
        state = load_state(path)
        assert set(state["optimizers"]) == {"G", "D"}
        (pools,) = state["pools"]
        assert {name: len(images) for name, images in pools.items()} == {"D_A": 2, "D_B": 2}

    def test_direction_is_refused(self, tmp_path: Path, train: Command, photos: Path) -> None:
        outcome = train(tmp_path / "run", *folders(photos), "--direction", "BtoA")
        assert outcome.status == 2
        assert outcome.err.startswith("error: data.direction: ")
        assert outcome.err.count("\n") == 1
        assert not (tmp_path / "run").exists()

    def test_model_is_the_average(self, tmp_path: Path, train: Command, photos: Path) -> None:
        output = tmp_path / "run"
        given = [*folders(photos), "--max-steps", 3, *sets(ema__half_life=50)]
        assert train(output, *given).status == 0
        (path,) = (output / "checkpoints").glob("state-*")
        state, tensors = load_state(path), load_model(output).tensors
        for name in ("G_AB", "G_BA"):
            key = "model.1.weight"
            assert torch.equal(tensors[name][key], state["ema"][f"{name}.{key}"])
            assert not torch.equal(tensors[name][key], state["method"][f"networks.{name}.{key}"])


class TestMeasures:
    ALIGNED = ("val/l1", "val/l1_AtoB", "val/l1_BtoA", "val/cycle")

    def test_only_the_cycle_without_targets(self, run: Path) -> None:
        assert set(measures(run)) == {"val/cycle"}
        assert not any(key.startswith("baseline/") for line in lines(run) for key in line)
        assert 0 < measures(run)["val/cycle"] < 2
        assert not (run / "best.safetensors").exists()

    def test_of_aligned_images(self, tmp_path: Path, train: Command, photos: Path) -> None:
        output = tmp_path / "run"
        aligned = sets(data__holdout=photos / "pairs", data__holdout_aligned="true")
        given = [*folders(photos), *aligned, "--max-steps", 1, *sets(metrics__best="l1")]
        outcome = train(output, *given)
        assert outcome.status == 0, outcome.err
        found = measures(output)
        assert set(found) == set(self.ALIGNED)
        assert found["val/l1"] == pytest.approx((found["val/l1_AtoB"] + found["val/l1_BtoA"]) / 2)
        assert found["val/l1_AtoB"] != found["val/l1_BtoA"]
        assert (output / "best.safetensors").is_file()

        # By the model file, once more: the mean absolute difference of pixels in [0, 1].
        model = load_model(output)
        for direction, source, target in (("AtoB", "A", "B"), ("BtoA", "B", "A")):
            generator = model.generator(f"G_{source}{target}")
            distances, untouched = [], []
            for number in range(2):
                x, y = (
                    pixels_at(photos / "pairs" / d / f"{number}.png", (32, 32))
                    for d in (source, target)
                )
                with torch.no_grad():
                    distances.append((generator(x) - y).abs().mean().item() / 2)
                untouched.append((x - y).abs().mean().item() / 2)
            assert found[f"val/l1_{direction}"] == pytest.approx(mean(distances), rel=1e-4)
            tag = f"baseline/l1_{direction}"
            (baseline,) = [line[tag] for line in lines(output) if tag in line]
            assert baseline == pytest.approx(mean(untouched), rel=1e-5)

    @pytest.mark.parametrize("best", ["l1", "l1_AtoB"])
    def test_best_by_a_target_that_is_not_there(
        self, tmp_path: Path, train: Command, photos: Path, best: str
    ) -> None:
        outcome = train(tmp_path / "run", *folders(photos), *sets(metrics__best=best))
        assert outcome.status == 2
        assert outcome.err.startswith("error: metrics.best: ")
        assert "data.holdout_aligned" in outcome.err
        assert "cycle" in outcome.err  # what could be had
        assert outcome.err.count("\n") == 1
        assert not (tmp_path / "run").exists()

    def test_best_by_the_cycle(self, tmp_path: Path, train: Command, photos: Path) -> None:
        output = tmp_path / "run"
        given = [*folders(photos), "--max-steps", 1, *sets(metrics__best="cycle")]
        assert train(output, *given).status == 0
        assert set(load_model(output / "best.safetensors").specs) == {"G_AB", "G_BA"}


def pixels_at(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """An image as [1, 3, H, W] in [-1, 1], resized if asked."""
    with Image.open(path) as image:
        shown = image.resize(size[::-1] if size else image.size, Image.Resampling.BICUBIC)
    levels = torch.from_numpy(np.array(shown, dtype=np.float32))
    return (levels / 127.5 - 1).permute(2, 0, 1)[None]


class TestTranslate:
    def by_hand(self, run: Path, generator: str, path: Path) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            y = load_model(run).generator(generator)(pixels_at(path))[0]
        return np.asarray(((y + 1) * 127.5).round().clamp(0, 255).permute(1, 2, 0))

    @pytest.mark.parametrize(
        ("given", "generator", "other"),
        [
            ([], "G_AB", "G_BA"),
            (["--direction", "AtoB"], "G_AB", "G_BA"),
            (["--direction", "BtoA"], "G_BA", "G_AB"),
        ],
        ids=["default", "AtoB", "BtoA"],
    )
    def test_by_the_generator_of_the_direction(
        self,
        tmp_path: Path,
        img2img: Command,
        run: Path,
        photos: Path,
        given: list[str],
        generator: str,
        other: str,
    ) -> None:
        source, target = photos / "photos/0.png", tmp_path / "0.png"
        words = ["--model", run, "--input", source, "--output", target, "--device", "cpu"]
        words += ["--precision", "fp32"]
        outcome = img2img("translate", *words, *given)
        assert outcome.status == 0, outcome.err
        with Image.open(target) as image:
            translated = np.asarray(image, dtype=np.float32)
        assert np.abs(translated - self.by_hand(run, generator, source)).max() <= 1
        assert np.abs(translated - self.by_hand(run, other, source)).max() > 10


# -- exact resume --------------------------------------------------------------------------------


STEPS = 4


def beginning(photos: Path, **changes: object) -> list[object]:
    """Pools of two, an average, noise, and a batch over an epoch's end."""
    given = {
        "image_pool": 2,
        "ema__half_life": 3,
        "data__batch_size": 2,
        "data__holdout": photos / "pairs",
        "data__augment__color": "[{name: GaussNoise, p: 1}]",
        "metrics__every": 2,
    }
    return [*folders(photos), "--max-steps", STEPS, *sets(**(given | changes))]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, train: Command, photos: Path) -> Path:
    """The run folder of one that was never interrupted."""
    output = tmp_path_factory.mktemp("straight") / "run"
    assert train(output, *beginning(photos)).status == 0
    return output


class TestResume:
    def paused(self, output: Path, train: Command, given: list[object]) -> list[dict[str, Any]]:
        """Pause after every step and go on; the state at each."""
        states = []
        for step in range(1, STEPS):
            outcome = train(output, *given, "--resume", "--stop-after", 0)
            assert outcome.status == 75, outcome.err
            assert f"step {step} is saved" in outcome.err
            states.append(load_state(newest(output)))
        assert train(output, *given, "--resume").status == 0
        return [*states, load_state(newest(output))]

    def assert_complete(self, states: list[dict[str, Any]]) -> None:
        """That all there is to compare is there, and did change."""
        places = flat(states[-1])
        weights = [place for place in places if place.endswith("exp_avg")]
        assert {place.split("/")[2] for place in weights} == {"G", "D"}
        for part in ("/ema/G_AB", "/ema/G_BA", "/method/networks.D_A", "/method/networks.G_BA"):
            assert any(place.startswith(part) for place in places), part
        # Pools are full after the first step, and images of them are exchanged later.
        for name in ("D_A", "D_B"):
            pools = [state["pools"][0][name] for state in states]
            assert {len(pool) for pool in pools} == {2}
            assert not all(map(torch.equal, pools[0], pools[-1]))

    def test_ends_as_if_it_had_never_stopped(
        self, tmp_path: Path, train: Command, photos: Path, straight: Path
    ) -> None:
        output = tmp_path / "paused"
        states = self.paused(output, train, beginning(photos))
        self.assert_complete(states)
        assert_same(flat(states[-1]), flat(load_state(newest(straight))))
        assert untimed(output) == untimed(straight)
        for name in ("G_AB", "G_BA"):
            assert_same(load_model(output).tensors[name], load_model(straight).tensors[name])

    def test_whatever_the_workers(
        self, tmp_path: Path, train: Command, photos: Path, straight: Path
    ) -> None:
        output = tmp_path / "worker"
        given = beginning(photos, data__workers=1)
        assert train(output, *given, "--stop-after", 0).status == 75
        assert train(output, *given, "--resume").status == 0
        assert_same(flat(load_state(newest(output))), flat(load_state(newest(straight))))
        assert untimed(output) == untimed(straight)

    def test_another_seed_ends_elsewhere(
        self, tmp_path: Path, train: Command, photos: Path, straight: Path
    ) -> None:
        """Or the comparisons above would be of nothing."""
        output = tmp_path / "other"
        assert train(output, *beginning(photos), "--seed", 1).status == 0
        found, expected = flat(load_state(newest(output))), flat(load_state(newest(straight)))
        assert found.keys() == expected.keys()
        tensors = {place: value for place, value in expected.items() if isinstance(value, Tensor)}
        same = [place for place, value in tensors.items() if torch.equal(found[place], value)]
        assert len(same) < len(tensors) / 2

    def test_in_bfloat16(self, tmp_path: Path, train: Command, photos: Path) -> None:
        """The networks compute with copies there; the pools are the same ones."""
        given = beginning(photos, precision="bf16")
        assert train(tmp_path / "straight", *given).status == 0
        output = tmp_path / "paused"
        states = self.paused(output, train, given)
        self.assert_complete(states)
        assert_same(flat(states[-1]), flat(load_state(newest(tmp_path / "straight"))))
        assert untimed(output) == untimed(tmp_path / "straight")
