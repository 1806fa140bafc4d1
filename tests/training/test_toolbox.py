"""The toolbox in a critic: every objective, penalty and method together, and by hand."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.config import RunConfig, TopKConfig, load_config
from img2img.data.samples import Batch
from img2img.diffaug import AUGMENTATIONS
from img2img.errors import ConfigError
from img2img.losses import OBJECTIVES, REGULARIZERS, Objective
from img2img.losses.adversarial import ALL, LSGAN, Valid
from img2img.losses.regularizers import R1
from img2img.networks import Discriminator, DiscriminatorOutput
from img2img.registry import Registry
from img2img.runs.log import read_log
from img2img.runtime.processes import ALONE, Processes
from img2img.training.build import build_method, check_parts, on_device, resolve
from img2img.training.events import Observer
from img2img.training.methods.critic import Critic
from img2img.training.step import Stepper
from img2img.training.trial import try_step
from tests.conftest import Command

SMALL = [
    "generator={name: unet, ngf: 4, num_downs: 3, norm: instance, dropout: false}",
    "discriminator={name: patch, ndf: 4, n_layers: 1, norm: instance}",
    "image_pool=0",
    "device=cpu",
    "precision=fp32",
    "data.batch_size=2",
    "optimizer.lr=1e-3",
]
METHODS = ("pix2pix", "cyclegan")


def configuration(method: str, *assignments: str) -> RunConfig:
    return load_config(method, assignments=[*SMALL, *assignments])


class Twins(Processes):
    """Two processes that compute the same, of which this is one."""

    def __init__(self) -> None:
        super().__init__(0, 2)

    def average(self, tensors: Sequence[Tensor]) -> None:
        pass

    def largest(self, number: int) -> int:
        return number


def stepper(
    config: RunConfig,
    size: int = 16,
    processes: Processes = ALONE,
    observer: Observer | None = None,
) -> Stepper:
    torch.manual_seed(0)
    check_parts(config)
    config = resolve(on_device(config), (size, size), (size, size))
    method = build_method(config, (size, size))
    return Stepper(method, config, processes, observer or Observer())


def images(count: int = 2, size: int = 16, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    A, B = torch.rand(2, count, 3, size, size, generator=generator) * 2 - 1
    return Batch(A, B, [""] * count, [""] * count)


def weights(made: Stepper) -> Tensor:
    return torch.cat([p.detach().flatten() for p in made.method.parameters()])


def of_images(catalogue: Registry[Any]) -> list[str]:
    """The names of parts that need no label maps."""
    return [part.name for part in catalogue if not part.factory.of_labels]  # type: ignore[attr-defined]


# -- everything with everything ----------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("regularizer", [None, *of_images(REGULARIZERS)])
def test_every_objective_with_every_penalty_trains(method: str, regularizer: str | None) -> None:
    """Some steps of each: finite, moving, and no two objectives alike."""
    after: dict[str, Tensor] = {}
    penalties = "[]" if regularizer is None else f"[{{name: {regularizer}}}]"
    for objective in of_images(OBJECTIVES):
        config = configuration(method, f"objective.name={objective}", f"regularizers={penalties}")
        made = stepper(config)
        before = weights(made)
        for step in range(1, 4):
            values = made.make(step, [images(seed=step)], 1.0, watch=True)
            assert values is not None
            assert all(math.isfinite(value.item()) for value in values[0].values()), values
            if regularizer is not None:
                assert any(tag.startswith(f"D/{regularizer}") for tag in values[0])
        after[objective] = weights(made)
        assert after[objective].isfinite().all()
        assert not torch.equal(after[objective], before)
    names = list(after)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            assert not torch.equal(after[one], after[other]), (one, other)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("part", AUGMENTATIONS.names())
def test_every_augmentation_trains_with_a_penalty(method: str, part: str) -> None:
    config = configuration(
        method, f"critic.augment=[{{name: {part}}}]", "regularizers=[{name: r1}]"
    )
    made = stepper(config)
    for step in range(1, 4):
        values = made.make(step, [images(seed=step)], 1.0)
        assert values is not None
        assert all(math.isfinite(value.item()) for value in values[0].values()), values


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "settings",
    [
        ("critic.top_k={share: 0.5, images: 4}",),
        ("critic.feature_matching=10",),
        ("critic.feature_matching=10", "critic.augment=[{name: diffaugment}]"),
        ("n_critic=3",),
        ("n_critic=2", "optimizer.accumulate=2"),
        ("objective.name=wgan-gp",),
        ("objective.name=r3gan",),
    ],
    ids=str,
)
def test_other_parts_train(method: str, settings: tuple[str, ...]) -> None:
    config = configuration(method, *settings)
    made = stepper(config)
    batches = config.n_critic * config.optimizer.accumulate
    before = weights(made)
    for step in range(1, 3):
        values = made.make(step, [images(seed=step + i) for i in range(batches)], 1.0)
        assert values is not None
        assert all(math.isfinite(value.item()) for value in values[0].values()), values
    assert not torch.equal(weights(made), before)


# -- by hand -----------------------------------------------------------------------------------


class Linear(Discriminator):
    """logit = weight * the mean over channels, at every pixel; the mean itself is its feature."""

    mixes_images = False

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        mean = x.mean(1, keepdim=True)
        return DiscriminatorOutput([self.weight * mean], [mean])


class Raw(Objective):
    """The generator's loss is minus the logit."""

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return (fake_logits - real_logits).flatten(1).mean(1)

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return -fake_logits.flatten(1).mean(1)


def levels(*values: float) -> Tensor:
    """Grey images of 2 x 2."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 2, 2).contiguous()


def test_a_judgement() -> None:
    critic = Critic(Linear(2.0), Raw())
    judged = critic.d_loss(levels(0.5, -0.25), levels(0.25, 0.75))
    assert judged.terms["adv"].value.item() == pytest.approx(2 * (0.5 - 0.125))
    assert {name: score.item() for name, score in judged.scores.items()} == pytest.approx(
        {"real": 0.25, "fake": 1.0, "accuracy": 0.5}
    )
    assert critic.clock.images == 2


def test_a_lazy_penalty_weighs_as_much_as_it_is_rare() -> None:
    critic = Critic(Linear(2.0), LSGAN(), regularizers={"r1": R1(weight=3.0, every=4)})
    weights, values = [], []
    for _ in range(8):
        terms = critic.d_loss(levels(0.5), levels(0.25)).terms
        if "r1" in terms:
            weights.append(terms["r1"].weight)
            values.append(terms["r1"].value.item())
        critic.after_update()
    assert weights == [12.0, 12.0]
    # logit = 2/3 (r + g + b): the gradient of the sum of four is 2/3 for each of 12 numbers.
    assert values == pytest.approx([0.5 / 4 * 12 * (2 / 3) ** 2] * 2)


def test_a_penalty_is_of_the_image_and_not_of_the_condition() -> None:
    critic = Critic(Linear(2.0), LSGAN(), regularizers={"r1": R1(weight=1.0)})
    terms = critic.d_loss(levels(0.5), levels(0.25), levels(0.75)).terms
    assert terms["r1"].value.item() == pytest.approx(0.5 / 4 * 12 * (2 / 6) ** 2)


def test_a_penalty_is_of_the_fakes_of_the_loss() -> None:
    """Of those that the pool gives; beside a condition, which real and fake share, of the new."""
    shown: list[list[float]] = []

    class Witness(R1):
        def __call__(self, judge: Any, real: Tensor, fake: Tensor) -> Tensor:
            shown.append(fake.mean((1, 2, 3)).tolist())
            return super().__call__(judge, real, fake)

    torch.manual_seed(0)
    critic = Critic(Linear(2.0), Raw(), 4, regularizers={"r1": Witness()})
    given = [levels(*(0.1 * (4 * step + n) for n in range(4))) for step in range(4)]
    differ = 0
    for fake in given:
        loss = critic.d_loss(levels(0.0, 0.0, 0.0, 0.0), fake).terms["adv"].value.item()
        # The loss is fake - real, of twice the grey level.
        assert loss == pytest.approx(2 * sum(shown[-1]) / 4, rel=1e-5)
        differ += shown[-1] != fake.mean((1, 2, 3)).tolist()
    assert differ
    critic.d_loss(given[0], given[1], given[2])
    assert shown[-1] == given[1].mean((1, 2, 3)).tolist()


def test_all_rounds_of_a_step_are_told() -> None:
    """A lazy penalty that is always due in the first of two, and the mean of both."""
    config = configuration("pix2pix", "n_critic=2", "regularizers=[{name: r1, every: 2}]")
    made = stepper(config)
    (both,) = made.make(1, [images(), images()], 1.0) or [{}]
    assert both["D/r1"] > 0
    alone = stepper(configuration("pix2pix", "n_critic=1", "regularizers=[{name: r1, every: 2}]"))
    (first,) = alone.make(1, [images()], 1.0) or [{}]
    assert both["D/r1"] == pytest.approx(first["D/r1"].item())
    assert both["D/adv"] != first["D/adv"]


def test_top_k_falls_to_its_share() -> None:
    critic = Critic(Linear(1.0), Raw(), top_k=TopKConfig(share=0.25, images=8))
    fake = levels(0.0, 1.0, 2.0, 3.0)
    losses = []
    for _ in range(3):
        losses.append(critic.g_loss(fake, fake)["adv"].value.item())
        critic.d_loss(fake, fake)
    # All four; after four images a share of 0.625, which is three; after eight a quarter.
    assert losses == pytest.approx([-1.5, -2.0, -3.0])


def test_top_k_gives_the_others_no_gradient() -> None:
    critic = Critic(Linear(1.0), Raw(), top_k=TopKConfig(share=0.5, images=1))
    critic.clock.images += 1
    fake = levels(0.0, 1.0, 2.0, 3.0).requires_grad_()
    (gradient,) = torch.autograd.grad(critic.g_loss(fake, fake)["adv"].value, fake)
    assert [bool(each.any()) for each in gradient] == [False, False, True, True]


def test_feature_matching_by_place_and_by_mean() -> None:
    critic = Critic(Linear(1.0), Raw(), feature_matching=10.0)
    real, fake = levels(0.0, 1.0), levels(0.5, 0.75)
    pairs = critic.g_loss(real, fake, torch.zeros_like(real))["features"]
    # The feature is a mean over six channels, of which three are the condition's zeros.
    assert pairs.value.item() == pytest.approx(4 * 0.5 * (0.5 + 0.25) / 2)
    assert pairs.weight == 10
    assert critic.g_loss(real, fake)["features"].value.item() == pytest.approx(4 * (0.625 - 0.5))


def test_the_discriminator_learns_nothing_from_teaching() -> None:
    critic = Critic(Linear(1.0), Raw(), feature_matching=1.0)
    fake = levels(0.5).requires_grad_()
    terms = critic.g_loss(levels(0.0), fake)
    torch.autograd.backward(terms["adv"].value + terms["features"].value)
    assert critic.discriminator.weight.grad is None
    assert fake.grad is not None


# -- precision, updates, states ----------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_penalties_are_computed_in_float32(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bfloat16 copies of the weights, the penalty is still the float32 network's."""
    seen: set[torch.dtype] = set()
    plain = R1.__call__

    def watched(self: R1, judge: Any, real: Tensor, fake: Tensor) -> Tensor:
        value = plain(self, judge, real, fake)
        gradients = torch.autograd.grad(
            value,
            [p for p in made.method.parameters() if p.requires_grad],
            retain_graph=True,
            allow_unused=True,
        )
        seen.update(g.dtype for g in gradients if g is not None)
        return value

    config = configuration(method, "regularizers=[{name: r1}]", "precision=bf16")
    made = stepper(config)
    monkeypatch.setattr(R1, "__call__", watched)
    assert made.make(1, [images()], 1.0) is not None
    assert seen == {torch.float32}


def test_a_penalty_changes_the_update_in_bfloat16() -> None:
    after = []
    for weight in (0, 10):
        made = stepper(
            configuration(
                "pix2pix", f"regularizers=[{{name: r1, weight: {weight}}}]", "precision=bf16"
            )
        )
        made.make(1, [images()], 1.0)
        after.append(torch.cat([p.flatten() for p in made.method.critics["D"].parameters()]))
    assert not torch.equal(*after)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_critics_have_their_updates_and_generators_one(precision: str) -> None:
    config = configuration("cyclegan", "n_critic=3", f"precision={precision}")
    made = stepper(config)
    made.make(1, [images(seed=i) for i in range(3)], 1.0)
    assert [int(c.clock.updates) for c in made.method.critics.values()] == [3, 3]
    assert [int(c.clock.images) for c in made.method.critics.values()] == [6, 6]
    state = made.state_dict()["optimizers"]
    assert {int(s["step"]) for s in state["D"]["state"].values()} == {3}
    assert {int(s["step"]) for s in state["G"]["state"].values()} == {1}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_wgan_clips_weights_after_each_update(precision: str) -> None:
    made = stepper(
        configuration("pix2pix", "objective={name: wgan, clip: 0.01}", f"precision={precision}")
    )
    made.make(1, [images()], 1.0)
    critic = made.method.critics["D"].discriminator
    assert max(p.detach().abs().max().item() for p in critic.parameters()) <= 0.01


def test_a_trial_changes_nothing() -> None:
    norms = ("generator.norm=batch", "discriminator.norm=batch")
    config = configuration("pix2pix", "n_critic=2", "critic.augment=[{name: ada}]", *norms)
    made = stepper(config)
    before = {k: v.clone() for k, v in made.method.state_dict().items()}
    try_step(made, images())
    after = made.method.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(weight.grad is None for weight in made.method.parameters())


def test_a_resumed_run_ends_as_one_that_was_not_stopped(
    train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    """With all that remembers: lazy penalties, adaptive augmentation, noise, top-k, n_critic."""
    seen = "[{name: ada, interval: 1, images: 20}, {name: instance_noise, images: 20}]"
    settings = {
        "discriminator.norm": "instance",
        "discriminator.spectral": "true",
        "n_critic": 2,
        "regularizers": "[{name: r1, every: 3}]",
        "critic.augment": seen,
        "critic.top_k": "{share: 0.5, images: 12}",
        "data.batch_size": 2,
        "metrics.log_every": 1,
    }
    given = ["--data", tiny_pairs, "--max-steps", 3]
    given += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    assert train(tmp_path / "whole", *given).status == 0
    while (paused := train(tmp_path / "parts", *given, "--resume", "--stop-after", 0)).status:
        assert paused.status == 75, paused.err
    whole, parts = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")
    )
    assert whole == parts
    logged = [read_log(tmp_path / name / "metrics.jsonl") for name in ("whole", "parts")]
    clock = {"images_per_second", "seconds", "waiting"}
    one, other = ([{k: v for k, v in x.items() if k not in clock} for x in xs] for xs in logged)
    assert one == other


@pytest.mark.parametrize("accumulate", [1, 2])
def test_images_of_all_processes_are_counted(accumulate: int) -> None:
    config = configuration(
        "cyclegan",
        f"optimizer.accumulate={accumulate}",
        "critic.augment=[{name: ada}, {name: instance_noise}]",
    )
    made = stepper(config, processes=Twins())
    for step in (1, 2):
        made.make(step, [images(seed=step)] * accumulate, 1.0)
    for critic in made.method.critics.values():
        counted = dict(critic.named_buffers())
        judged = 2 * 2 * 2 * accumulate
        assert counted["clock.images"] == counted["augmentations.instance_noise.judged"] == judged
        assert counted["augmentations.ada.judged"] == judged
        assert counted["clock.updates"] == counted["augmentations.ada.updates"] == 2


def test_what_was_updated_is_not_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is not finite in the generator's loss alone, after the critic's update."""
    settings = ("on_nonfinite=skip", "n_critic=2", "objective.name=lsgan", "generator.norm=batch")
    made = stepper(configuration("pix2pix", *settings))
    monkeypatch.setattr(
        LSGAN, "g_loss", lambda self, real, fake, valid: fake.flatten(1).mean(1) / 0
    )
    critic = made.method.critics["D"]
    before, of_g = weights(made), made.method.generators["G"].state_dict()
    of_g = {key: value.clone() for key, value in of_g.items()}
    assert made.make(1, [images(), images(seed=1)], 1.0) is None
    assert not torch.equal(weights(made), before)
    for key, value in made.method.generators["G"].state_dict().items():
        assert torch.equal(value, of_g[key])
    assert (int(critic.clock.updates), int(critic.clock.images)) == (2, 4)


def test_older_states_and_other_augmentations() -> None:
    """What critics remember begins anew where it is not known; networks are still strict."""
    noisy, adaptive = "{name: instance_noise}", "{name: ada}"
    told: list[str] = []

    class Listening(Observer):
        def noticed(self, message: str) -> None:
            told.append(message)

    made = stepper(configuration("pix2pix", f"critic.augment=[{noisy}]"))
    made.make(1, [images()], 1.0)
    state = made.state_dict()
    other = stepper(
        configuration("pix2pix", f"critic.augment=[{adaptive}, {noisy}]"), observer=Listening()
    )
    other.load_state_dict(state)
    assert torch.equal(weights(other), weights(made))
    kept = other.method.state_dict()
    assert kept["networks.D.clock.images"] == 2
    assert kept["networks.D.augmentations.instance_noise.judged"] == 2
    (notice,) = told
    assert "started from nothing: networks.D.augmentations.ada.p, " in notice
    assert "no longer used" not in notice

    older = {k: v for k, v in state["method"].items() if "clock" not in k}
    plain = stepper(configuration("pix2pix"), observer=Listening())
    plain.load_state_dict(state | {"method": older})
    assert "started from nothing: networks.D.clock.updates, networks.D.clock.images (2)" in told[1]
    assert (
        "in the saved state, but no longer used: networks.D.augmentations.instance_noise.judged"
        in told[1]
    )
    assert plain.method.critics["D"].clock.images == 0

    del older[next(key for key in older if key.startswith("networks.D.discriminator."))]
    with pytest.raises(ConfigError, match="does not fit the configured networks"):
        plain.load_state_dict(state | {"method": older})


class Watch:
    """A clock that goes on by what is computed only."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_trial_tries_each_kind_of_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred rounds by two, with a penalty that is due in each fourth."""
    watch, penalised = Watch(), R1.__call__

    def costly(self: R1, judge: Any, real: Tensor, fake: Tensor) -> Tensor:
        watch.now += 8
        return penalised(self, judge, real, fake)

    config = configuration("pix2pix", "n_critic=100", "regularizers=[{name: r1, every: 4}]")
    made = stepper(config)
    generate = made.method.generate
    rounds: list[str] = []

    def watched(batch: Batch, groups: Sequence[str]) -> Any:
        watch.now += 3 if len(groups) > 1 else 1
        rounds.append("+".join(groups))
        return generate(batch, groups)

    monkeypatch.setattr("time.perf_counter", watch)
    monkeypatch.setattr(R1, "__call__", costly)
    monkeypatch.setattr(made.method, "generate", watched)
    seconds, _ = try_step(made, images())
    assert seconds == pytest.approx(3 + 99 * 1 + 100 * 8 / 4)
    assert rounds == ["D+G"] * 4 + ["D"] * 4


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_penalties_refuse_batch_norm(name: str, train: Command, tmp_path: Path) -> None:
    """Before images are looked for: here are none."""
    penalty = f"regularizers=[{{name: {name}}}]"
    outcome = train(tmp_path / "run", "--data", tmp_path, "--max-steps", 1, "--set", penalty)
    assert outcome.status == 2
    assert "discriminator.norm" in outcome.err
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("method", "name"),
    [("pix2pix", "cycle"), ("pix2pix", "identity"), ("cyclegan", "reconstruction")],
)
def test_distances_that_a_method_does_not_take(method: str, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"losses\.{name}: {method} has no losses.* losses\."):
        check_parts(configuration(method, f"losses.{name}=[{{name: ssim, weight: 7}}]"))


def test_clipping_what_is_normalised() -> None:
    settings = ("objective.name=wgan", "discriminator.norm=none", "discriminator.spectral=true")
    with pytest.raises(ConfigError, match=r"objective\.clip"):
        check_parts(configuration("pix2pix", *settings))
    check_parts(configuration("pix2pix", *settings, "objective.clip=null"))


def test_top_k_of_a_single_image() -> None:
    with pytest.raises(ConfigError, match=r"critic\.top_k"):
        check_parts(configuration("pix2pix", "critic.top_k={share: 0.5}", "data.batch_size=1"))


@pytest.mark.parametrize("method", METHODS)
def test_the_spread_of_a_single_image(method: str) -> None:
    settings = ("discriminator.minibatch_std=2", "data.batch_size=1")
    with pytest.raises(ConfigError, match=r"discriminator\.minibatch_std: .*data\.batch_size"):
        check_parts(configuration(method, *settings))


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("n_critic=101", "n_critic"),
        ("regularizers=[{name: r3}]", r"regularizers\.0\.name"),
        ("regularizers=[{name: r1, gamma: 3}]", r"regularizers\.0\.gamma"),
        ("critic.augment=[{name: diffaug}]", r"critic\.augment\.0\.name"),
        ("n_critic=0", "n_critic"),
        ("critic.top_k={share: 2}", r"critic\.top_k"),
        ("objective.name=wgan_gp", r"objective\.name.*wgan"),
    ],
)
def test_mistakes_name_their_key(setting: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        check_parts(configuration("pix2pix", setting))
