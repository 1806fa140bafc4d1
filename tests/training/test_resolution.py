"""Progressive resolution: which sizes a run sees, when, and what else depends on them."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch

from img2img.config import GrowConfig, RunConfig
from img2img.data.samples import Batch
from img2img.errors import ConfigError
from img2img.training.build import build_method, resolve
from img2img.training.loop import Trainer
from img2img.training.methods.base import Fakes
from img2img.training.methods.pix2pix import Pix2Pix
from img2img.training.resolution import halvings_at, mean_seconds, reduced
from tests.training.recipe import RGB, Log, published, trainer_for

SIDE = 16


class Clock:
    """Time that only steps take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Recording(Pix2Pix):
    """Keeps the side of each batch, and says that a step takes 0.1 s for each 16 pixels."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.sides: list[int] = []
        self.clock = Clock()

    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        self.sides.append(batch.A.shape[-1])
        self.clock.now += 0.1 * batch.A.shape[-1] ** 2 / 16
        return super().generate(batch, groups)


def given(number: int) -> Batch:
    A, B = torch.rand((2, 1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(number))
    return Batch(A, B, ["a"], ["b"])


def config(grow: dict[str, Any], **changes: Any) -> RunConfig:
    return published(
        "pix2pix",
        generator={"name": "unet", "ngf": 2, "num_downs": 2},
        discriminator={"name": "pixel", "ndf": 2},
        data={"crop_size": SIDE, "grow": grow},
        image_pool=3,
        **changes,
    )


def prepared(settings: RunConfig, folder: Path) -> tuple[Recording, Trainer]:
    """On an endless set whose epochs are of four images."""
    torch.manual_seed(0)
    method = Recording.from_config(settings, (RGB, RGB))
    trainer = trainer_for(
        method,
        settings,
        folder,
        Log(),
        lambda start: (given(number) for number in range(start, 5000)),
        images_per_epoch=4,
    )
    return method, trainer


def test_doubles_in_equal_parts_of_the_share() -> None:
    grow = GrowConfig(halvings=3, until=0.6)
    done = [0, 0.19, 0.21, 0.39, 0.41, 0.59, 0.6, 1, 1.5]
    assert [halvings_at(share, grow) for share in done] == [3, 3, 2, 2, 1, 1, 0, 0, 0]
    assert [halvings_at(share, GrowConfig()) for share in (0, 0.3, 1)] == [0, 0, 0]


def test_pixels_are_means() -> None:
    A = torch.tensor([[0.0, 0.2, 1.0, 1.0], [0.4, 0.6, 0.0, 0.0]]).expand(1, 3, 2, 4)
    small = reduced(Batch(A, -A, ["a"], ["b"]), 1)
    assert torch.allclose(small.A[0, 0], torch.tensor([[0.3, 0.5]]))
    assert torch.equal(small.B, -small.A)


def test_mean_time_of_a_step() -> None:
    # A quarter of the length each at 4 and at 2 s, half of it at 10 s.
    grow = GrowConfig(halvings=2, until=0.5)
    assert mean_seconds({2: 2, 1: 4, 0: 10}, grow) == pytest.approx(6.5)
    assert mean_seconds({0: 10}, GrowConfig()) == 10


@pytest.mark.parametrize(
    "lasts", [{"steps": 12}, {"epochs": 1, "decay_epochs": 2}, {"total_epochs": 3}]
)
def test_a_run_sees_small_crops_first(tmp_path: Path, lasts: dict[str, int]) -> None:
    grown = config({"halvings": 2, "until": 0.5}, schedule={"name": "linear", **lasts})
    method, trainer = prepared(grown, tmp_path)
    trainer.fit()
    assert method.sides == [4] * 3 + [8] * 3 + [16] * 6
    # The pool holds what is of the size that was seen last.
    pool = method.critics["D"].pool
    assert pool is not None
    assert {image.shape[-1] for image in pool.images} == {16}


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_a_resumed_run_is_the_same(tmp_path: Path, stop: int) -> None:
    grown = config({"halvings": 1, "until": 0.5}, schedule={"name": "linear", "steps": 6})
    whole, trainer = prepared(grown, tmp_path / "whole")
    trainer.fit()
    first, trainer = prepared(grown, tmp_path / "parts")
    for number in range(stop):
        trainer._train_on([given(number)])
    second, resumed = prepared(grown, tmp_path / "parts")
    resumed.load_state(trainer.state(), tmp_path)
    resumed.fit()
    assert first.sides + second.sides == whole.sides == [8] * 3 + [16] * 3
    resumed_weights = second.state_dict()
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed_weights[key]), key


def test_a_trial_is_of_every_size(tmp_path: Path) -> None:
    method, trainer = prepared(config({"halvings": 2}), tmp_path)
    trainer.trial(given(0))
    assert sorted(set(method.sides)) == [4, 8, 16]
    assert method.sides[-1] == 16


def test_minutes_are_kept_though_steps_grow_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow = {"halvings": 2, "until": 0.5}
    method, trainer = prepared(config(grow, schedule={"name": "linear", "minutes": 2}), tmp_path)
    monkeypatch.setattr("time.monotonic", method.clock)
    monkeypatch.setattr("time.perf_counter", method.clock)
    # Of 0.1, 0.4 and 1.6 s a step: 0.925 s in the mean.
    seconds, _ = trainer.trial(given(0))
    assert seconds == pytest.approx(0.925)
    began = method.clock.now
    method.sides.clear()
    trainer.fit()
    assert method.clock.now - began == pytest.approx(120, rel=0.03)
    shares = [method.sides.count(side) / len(method.sides) for side in (4, 8, 16)]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.02)


def build(grow: dict[str, Any], **changes: Any) -> None:
    tree = {"generator": {"name": "unet", "ngf": 2, "num_downs": 4}, **changes}
    settings = published("pix2pix", data={"crop_size": 64, "grow": grow}, **tree)
    build_method(resolve(settings, (64, 64), (64, 64)), (64, 64))


def test_sizes_that_the_networks_cannot_take() -> None:
    with pytest.raises(ConfigError, match=r"^data\.grow\.halvings: 8 x 8 .* multiples of 16"):
        build({"halvings": 3})
    with pytest.raises(ConfigError, match=r"^data\.grow\.halvings: 16 x 16 .* 'patch'"):
        build({"halvings": 2}, discriminator={"name": "patch", "ndf": 2, "n_layers": 3})
    with pytest.raises(ConfigError, match=r"^data\.grow\.halvings: .* 7 times"):
        build({"halvings": 7})
    build({"halvings": 1})


def test_depth_that_the_first_crops_allow() -> None:
    settings = published(
        "pix2pix",
        generator={"name": "unet", "ngf": 2},
        discriminator={"name": "pixel", "ndf": 2},
        data={"grow": {"halvings": 2}},
    )
    assert resolve(settings, (64, 64), (64, 64)).generator.arguments["num_downs"] == 4
