"""Real trainings that go wrong on purpose, each in one way, and some that do not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from img2img.doctor import Finding, follow
from img2img.errors import TrainingDiverged
from img2img.losses import OBJECTIVES, Objective
from img2img.losses.adversarial import ALL, Valid
from img2img.networks import DISCRIMINATORS, GENERATORS, Discriminator, Generator
from img2img.networks.base import DiscriminatorOutput
from img2img.runs.reading import read_run
from tests.doctor.runs import make_pairs, run_tiny

Kind = Literal["constant", "copy", "negative", "grid", "hard"]


class Odd(Generator):
    """Does one thing, whatever it is taught."""

    size_multiple = min_size = 1

    def __init__(self, *, in_channels: int, out_channels: int, kind: Kind = "copy") -> None:
        super().__init__()
        self.kind = kind
        self.shade = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y = x + 0 * self.shade
        match self.kind:
            case "constant":
                return 0 * y + self.shade.tanh()
            case "negative":
                return -y
            case "grid":
                y = 0.2 * y
                y[..., ::2] += 0.8
            case "hard":
                return (1000 * y).tanh()
        return y


class Slope(Discriminator):
    """The critic of the Dirac-GAN (Mescheder et al. 2018, arXiv 1801.04406): mean times slope."""

    def __init__(self, *, in_channels: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        # Of the image, which comes after the condition.
        return DiscriminatorOutput([self.slope * x[:, -3:].mean((1, 2, 3), keepdim=True)], [])


class Poisoned(Objective):
    """Least squares, and for some steps no number."""

    def __init__(self) -> None:
        self.losses = 0

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        self.losses += 1
        poison = float("nan") if self.losses in range(16, 20) else 1.0
        return poison * ((real_logits - 1).square() + fake_logits.square()).flatten(1).mean(1)

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return (fake_logits - 1).square().flatten(1).mean(1)


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GENERATORS, "_own", dict(GENERATORS._parts))
    GENERATORS.register("odd")(Odd)
    monkeypatch.setattr(DISCRIMINATORS, "_own", dict(DISCRIMINATORS._parts))
    DISCRIMINATORS.register("slope")(Slope)
    monkeypatch.setattr(OBJECTIVES, "_own", dict(OBJECTIVES._parts))
    OBJECTIVES.register("poisoned")(Poisoned)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pairs(tmp_path_factory.mktemp("doctor") / "pairs", 24)


def odd(kind: Kind) -> dict[str, Any]:
    generator = {"name": "odd", "kind": kind}
    return {"generator": generator, "doctor.every": 5, "schedule.steps": 20}


def found_in(run: Path) -> dict[str, Finding]:
    record = read_run(run)
    return {finding.name: finding for finding in follow(record.lines, record.config)}


# A tenth of the published rate for the generator, which hardly moves, and 25 times that rate for a
# critic of two layers.
STRONG = {
    "optimizer.lr": 2e-5,
    "optimizer.lr_d": 5e-3,
    "schedule.steps": 120,
    "schedule.decay_epochs": 100,
    "discriminator.n_layers": 2,
    "data.batch_size": 4,
}
# A loss whose gradient dies away where the critic has won, and nothing beside it.
SATURATED = {
    "objective.name": "minimax",
    "losses.reconstruction": [],
    "optimizer.lr_d": 5e-3,
    "schedule.steps": 120,
    "discriminator.n_layers": 2,
    "discriminator.norm": "none",
    "data.batch_size": 4,
}
# Nothing keeps the critic's slope finite.
UNBOUNDED = {
    "objective": {"name": "wgan", "clip": 1e6},
    "losses.reconstruction": [],
    "optimizer.lr_d": 1e-3,
    "discriminator.n_layers": 3,
    "discriminator.norm": "none",
}
# Of one number each, which go round in a circle.
DIRAC = {
    "generator": {"name": "odd", "kind": "constant"},
    "discriminator": {"name": "slope"},
    "losses.reconstruction": [],
    "optimizer.lr": 0.1,
    "schedule.steps": 240,
    "doctor.every": 60,
}
UNCLIPPED = {"objective": {"name": "wgan", "clip": 1e6}, "optimizer.lr": 0.05}


@pytest.mark.parametrize(
    ("condition", "method", "settings"),
    [
        ("critic-too-strong", "pix2pix", STRONG),
        ("vanishing-gradient", "pix2pix", SATURATED),
        ("exploding-gradients", "pix2pix", UNBOUNDED),
        ("oscillation", "pix2pix", {**DIRAC, **UNCLIPPED, "schedule.steps": 320}),
        ("critic-too-weak", "pix2pix", {"optimizer.lr_d": 1e-9}),
        ("diverging", "pix2pix", {"optimizer.lr": 0.2, "discriminator.norm": "none"}),
        ("saturation", "pix2pix", {"optimizer.lr": 0.2, "schedule.steps": 36}),
        ("nothing-learned", "pix2pix", {"optimizer.lr": 1e-12, "schedule.steps": 40}),
        ("mode-collapse", "pix2pix", odd("constant")),
        ("mode-collapse", "cyclegan", odd("constant")),
        ("copies-input", "pix2pix", odd("copy")),
        ("colour-inversion", "pix2pix", odd("negative")),
        ("colour-inversion", "cyclegan", odd("negative")),
        ("checkerboard", "pix2pix", odd("grid")),
        ("saturation", "cyclegan", odd("hard")),
    ],
)
def test_a_training_gone_wrong_is_named(
    condition: str, method: str, settings: Mapping[str, Any], pairs: Path, tmp_path: Path
) -> None:
    notices = run_tiny(method, pairs, tmp_path / "run", settings)
    # While it trained, with a remedy, in a line.
    named = [notice for notice in notices if f": {condition}: " in notice]
    assert named
    assert all("; try `" in notice and "\n" not in notice for notice in named)
    # And when it is over.
    finding = found_in(tmp_path / "run")[condition]
    assert finding.evidence.text
    assert finding.proposals


def test_the_same_critic_at_the_published_rate(pairs: Path, tmp_path: Path) -> None:
    settings = {**STRONG, "optimizer.lr": 2e-4, "optimizer.lr_d": 2e-4}
    notices = run_tiny("pix2pix", pairs, tmp_path / "run", settings)
    # So short a training is no better than its input, which is said, and all there is to say.
    assert all(": no-better-than-input: " in notice for notice in notices)
    assert found_in(tmp_path / "run").keys() <= {"no-better-than-input"}


def test_what_goes_round_in_a_circle_is_neither_weak_nor_still(pairs: Path, tmp_path: Path) -> None:
    """In the mean the critic is right by half, and losses are where they were."""
    notices = run_tiny("pix2pix", pairs, tmp_path / "run", DIRAC)
    assert any(": oscillation: " in notice for notice in notices)
    found = found_in(tmp_path / "run").keys() - {"no-better-than-input"}
    assert found == {"oscillation", "mode-collapse"}


def test_training_images_learned_by_heart(tmp_path: Path) -> None:
    data = make_pairs(tmp_path / "few", 4)
    # Of pairs that have nothing to do with each other there is nothing else to learn.
    targets = sorted((data / "train" / "B").iterdir())
    contents = [path.read_bytes() for path in targets]
    for path, other in zip(targets, [*contents[1:], contents[0]], strict=True):
        path.write_bytes(other)
    settings = {
        "optimizer.lr": 1e-2,
        "optimizer.lr_d": 2e-4,
        "generator.ngf": 8,
        "schedule.steps": 120,
        "metrics.log_every": 10,
        "doctor.every": 20,
        "data.batch_size": 4,
        "data.augment.geometry": [],
    }
    notices = run_tiny("pix2pix", data, tmp_path / "run", settings)
    assert any(": overfitting: " in notice for notice in notices)
    assert found_in(tmp_path / "run").keys() - {"no-better-than-input"} == {"overfitting"}


def test_a_collapse_is_seen_also_where_one_picture_is_held_out(tmp_path: Path) -> None:
    data = make_pairs(tmp_path / "data", 8)
    for domain in "AB":
        for path in sorted((data / "test" / domain).iterdir())[1:]:
            path.unlink()
    settings = {"generator": {"name": "odd", "kind": "constant"}, "data.holdout": "test"}
    run_tiny("pix2pix", data, tmp_path / "run", settings)
    assert "mode-collapse" in found_in(tmp_path / "run")
    looks = [line for line in read_run(tmp_path / "run").lines if "diagnostics/train_l1" in line]
    assert all("diagnostics/held_out_l1" in line for line in looks)


def test_numbers_that_are_not_finite(pairs: Path, tmp_path: Path) -> None:
    poisoned = {"objective.name": "poisoned", **odd("copy")}
    with pytest.raises(TrainingDiverged):
        run_tiny("pix2pix", pairs, tmp_path / "ended", poisoned)
    ended = found_in(tmp_path / "ended")["non-finite"]
    assert "D/adv is nan" in ended.evidence.text
    skipping = {**poisoned, "on_nonfinite": "skip"}
    notices = run_tiny("pix2pix", pairs, tmp_path / "skipped", skipping)
    assert any(": non-finite: " in notice for notice in notices)
    assert "steps were skipped" in found_in(tmp_path / "skipped")["non-finite"].evidence.text


@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
def test_healthy_trainings(method: str, pairs: Path, tmp_path: Path) -> None:
    assert run_tiny(method, pairs, tmp_path / "run", {"optimizer.lr": 1e-3}) == []
    assert found_in(tmp_path / "run") == {}


def test_looks_leave_the_training_as_it_is(pairs: Path, tmp_path: Path) -> None:
    weights = []
    for every in (0, 3):
        settings = {"schedule.steps": 7, "doctor.every": every, "generator.dropout": True}
        run_tiny("pix2pix", pairs, tmp_path / str(every), settings)
        weights.append((tmp_path / str(every) / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_warnings_are_no_flood(pairs: Path, tmp_path: Path) -> None:
    often = odd("constant") | {"doctor.every": 1, "data.batch_size": 4}
    often |= {"schedule.steps": 30}  # of 5 epochs
    notices = run_tiny("pix2pix", pairs, tmp_path / "often", often)
    assert sum(": mode-collapse: " in notice for notice in notices) == 4  # in 0, 1, 2 and 4
    mute = often | {"schedule.steps": 12, "doctor.warn": False}
    assert run_tiny("pix2pix", pairs, tmp_path / "mute", mute) == []
