"""Gradient accumulation: several batches are as one larger one, in the memory of one."""

import copy
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from img2img.data.samples import Batch
from img2img.images import Domain
from img2img.losses.adversarial import LSGAN
from img2img.models.checkpoint import load_model
from img2img.networks.patchgan import PatchDiscriminator
from img2img.runs.directory import RunDirectory
from img2img.runtime.processes import ALONE
from img2img.training.build import build_method, describe, resolve
from img2img.training.events import Observer
from img2img.training.held_out import HeldOut
from img2img.training.loop import Trainer
from img2img.training.methods.base import Fakes, Method
from img2img.training.methods.critic import Critic
from img2img.training.methods.loss import Loss, Term
from img2img.training.session import Session
from img2img.training.step import Stepper
from img2img.training.stopping import StopRequest
from img2img.training.trial import try_step
from tests.training.test_toolbox import METHODS, configuration, images, stepper, weights


def halves(whole: Batch) -> list[Batch]:
    return [Batch(whole.A[n : n + 1], whole.B[n : n + 1], [""], [""]) for n in range(len(whole.A))]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_several_batches_are_as_one_larger(method: str, precision: str) -> None:
    """Without dropout and BatchNorm, up to rounding."""
    settings = f"precision={precision}", "optimizer.eps=1e-3"
    whole = stepper(configuration(method, *settings))
    before = weights(whole)
    parts = stepper(configuration(method, *settings, "data.batch_size=1", "optimizer.accumulate=4"))
    for step in (1, 2):
        given = images(4, seed=step)
        whole.make(step, [given], 1.0)
        parts.make(step, halves(given), 1.0)
    moved = (weights(whole) - before).norm()
    assert (weights(whole) - weights(parts)).norm() < (1e-3 if precision == "fp32" else 0.5) * moved


def test_what_is_computed_again_is_the_same() -> None:
    """Dropout draws alike, and BatchNorm's averages take each batch in once."""
    generator = "generator={name: resnet, ngf: 4, n_blocks: 1, norm: batch, dropout: true}"
    settings = generator, "data.batch_size=1", "optimizer.accumulate=3"
    made = stepper(configuration("pix2pix", *settings))
    network, given, drawn = made.method.generators["G"], halves(images(3)), []
    twin = copy.deepcopy(network)
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.register_forward_hook(lambda _, inputs, output: drawn.append(output == 0))
    made.make(1, given, 1.0)
    assert len(drawn) == 6
    assert all(torch.equal(drawn[n], drawn[n + 3]) for n in range(3))
    assert not torch.equal(drawn[0], drawn[1])
    for each in given:
        twin(each.A)
    first, wanted = (
        next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d)) for net in (network, twin)
    )
    assert first.num_batches_tracked == 3
    assert torch.equal(first.running_mean, wanted.running_mean)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_no_graph_waits_for_another_batch(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The activations that are kept at one time are those of one batch."""
    kept: list[int] = []

    def most(accumulate: int) -> int:
        made = stepper(
            configuration(method, "data.batch_size=1", f"optimizer.accumulate={accumulate}")
        )
        now = peak = 0

        class Saved:
            def __init__(self, tensor: Tensor) -> None:
                nonlocal now, peak
                self.tensor, self.size = tensor.detach(), tensor.numel()
                now += self.size
                peak = max(peak, now)

            def __del__(self) -> None:
                nonlocal now
                now -= self.size

        with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
            made.make(1, halves(images(accumulate)), 1.0)
        return peak

    kept = [most(1), most(6)]
    assert kept[1] < 1.1 * kept[0]


# -- any groups ----------------------------------------------------------------------------------


class ThreeGroups(Method):
    """A mapping of colours in a group of its own, between the critics and the generator."""

    translations: ClassVar = {"AtoB": ("translated", "target")}

    def __init__(self, base: Method) -> None:
        critic = Critic(PatchDiscriminator(in_channels=3, ndf=4, n_layers=1, norm="none"), LSGAN())
        super().__init__(
            {
                "critics": {"judge": critic},
                "mapping": {"F": nn.Conv2d(3, 3, 1)},
                "makers": {"maker": base.generators["G"]},
            },
            teachers={"teacher": nn.Conv2d(3, 3, 1)},
        )

    @classmethod
    def from_config(cls, config: Any, domains: tuple[Domain, Domain]) -> Any:
        raise NotImplementedError

    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        return {"fake": self.networks["maker"](self.networks["F"](batch.A))}

    def loss(self, group: str, batch: Batch, fakes: Fakes) -> Loss:
        critic, fake = self.critics["judge"], fakes["fake"]
        assert fake.requires_grad == (group != "critics")
        if group == "critics":
            return critic.d_loss(batch.B, fake)
        if group == "mapping":
            return Loss(
                {"taught": Term((fake - self.teachers["teacher"](batch.A)).square().mean())}
            )
        return Loss(critic.g_loss(batch.B, fake))

    def direction(self, generator: str, data: Any) -> Any:
        return data

    def images(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        assert not any(network.training for network in networks.values())
        return {"translated": networks["maker"](networks["F"](batch.A)), "target": batch.B}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_method_of_three_groups(precision: str, accumulate: int) -> None:
    config = configuration(
        "pix2pix",
        f"precision={precision}",
        f"optimizer.accumulate={accumulate}",
        "optimizer.lr_d=0.5",
        "optimizer.clip=1",
        "on_nonfinite=skip",
        "n_critic=2",
    )
    config = resolve(config, (16, 16), (16, 16))
    torch.manual_seed(0)
    made = Stepper(ThreeGroups(build_method(config, (16, 16))), config, ALONE, Observer())
    before = {key: value.clone() for key, value in made.method.state_dict().items()}
    given = [images(seed=n) for n in range(2 * accumulate)]
    (values, *_) = made.make(1, given, 1.0) or [{}]
    tags = {"critics/adv", "mapping/taught", "makers/adv", "mapping/gradient"}
    assert tags <= values.keys()
    after = made.method.state_dict()
    moved = {key.rpartition(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert "networks.F" in moved
    assert any("maker" in key for key in moved)
    assert any("judge" in key for key in moved)
    assert "teachers.teacher" not in moved
    assert made.learning_rate == config.optimizer.lr
    assert list(made.method.averaged) == ["F", "maker"]
    state = made.state_dict()
    assert not any("teacher" in key for key in state["method"])
    assert {int(s["step"]) for s in state["optimizers"]["critics"]["state"].values()} == {2}
    made.load_state_dict(state)
    assert try_step(made, images())[0] > 0
    assert all(torch.equal(after[key], value) for key, value in made.method.state_dict().items())


@pytest.mark.parametrize("half_life", [None, 10])
def test_only_generators_are_in_the_model_file(tmp_path: Path, half_life: int | None) -> None:
    """Neither the model nor the best one has the network of the third group."""
    config = configuration("pix2pix", "precision=fp32", "metrics.every=1", "checkpoint.every=1")
    config = config.model_copy(
        update={"ema": config.ema.model_copy(update={"half_life": half_life})}
    )
    config = resolve(config, (16, 16), (16, 16))
    torch.manual_seed(0)
    method = ThreeGroups(build_method(config, (16, 16)))
    specs = describe(config, method, (16, 16), {"A": 1.0, "B": 1.0})
    trainer = Trainer(
        method,
        specs,
        config,
        batches=lambda start: (images(seed=seed) for seed in range(start, 2)),
        images_per_epoch=2,
        held_out=HeldOut(method, specs, lambda: iter([images(seed=9)]), aligned=True),
        session=Session(RunDirectory(tmp_path), Observer(), StopRequest()),
    )
    trainer.fit()
    assert set(specs) == {"maker"}
    for name in ("model", "best"):
        model = load_model(tmp_path / f"{name}.safetensors")
        assert set(model.tensors) == {"maker"}
        assert model.generator("maker")(images().A).shape == (2, 3, 16, 16)
    trainer.load_state(trainer.state(), tmp_path)
