"""Pix2Pix: what a step costs, what it is built of, and the trainer around it."""

from itertools import count, islice
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from img2img.config import RunConfig
from img2img.data.samples import Batch
from img2img.errors import ConfigError
from img2img.losses import Objective
from img2img.losses.adversarial import ALL, Valid, Vanilla
from img2img.training.build import build_method, resolve
from img2img.training.methods.pix2pix import Pix2Pix
from tests.training.recipe import RGB, Log, batch, published, trained, trainer_for, updates
from tests.training.tiny import (
    PIXELS_A,
    PIXELS_B,
    HandGenerator,
    hand_batch,
    pix2pix_by_hand,
    small_batches,
    small_pix2pix,
    weights_of,
)


def configuration(**changes: Any) -> RunConfig:
    return published("pix2pix", **changes)


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
    method = small_pix2pix()
    by_g = images_seen(method.generators["G"])
    by_d = images_seen(method.critics["D"].discriminator)
    config = configuration(data={"batch_size": 2})
    trained(method, config, small_batches(method, torch.float32, 2), tmp_path)
    assert by_g == [2] * 3
    assert by_d == [2] * 9


def test_real_images_are_not_judged_for_g_in_vain(tmp_path: Path) -> None:
    objective = Recording()
    method = pix2pix_by_hand(objective)
    by_d = images_seen(method.critics["D"].discriminator)
    trained(method, configuration(data={"batch_size": 2}), [hand_batch()] * 2, tmp_path)
    # In each step 2 fake, 2 real, and the 2 fake again; how many at once is free without BatchNorm.
    assert sum(by_d) == 2 * 6
    assert objective.real_for_g == [None, None]


def test_real_logits_for_g_where_the_objective_wants_them(tmp_path: Path) -> None:
    objective = Relativistic()
    method = pix2pix_by_hand(objective)
    by_d = images_seen(method.critics["D"].discriminator)
    trained(method, configuration(data={"batch_size": 2}), [hand_batch()], tmp_path)
    assert sum(by_d) == 8
    u, v, c = weights_of(method.critics["D"])
    (real,) = objective.real_for_g
    assert real is not None
    # By the D that has just changed.
    expected = [u * a + v * y + c for a, y in zip(PIXELS_A, PIXELS_B, strict=True)]
    assert real.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_an_image_counts_the_same_in_any_batch() -> None:
    """Without BatchNorm the gradient of a batch is the mean of its images' gradients."""
    method, whole = pix2pix_by_hand(), hand_batch()

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
    method, given = pix2pix_by_hand(), hand_batch()
    with torch.no_grad():
        images = method.images({"G": HandGenerator(2.0, 0.0)}, given)
    assert list(images) == ["input", "translated", "target"]
    assert torch.equal(images["input"], given.A)
    assert torch.equal(images["target"], given.B)
    # By the generator it is handed, which may be an average, not by its own.
    assert torch.allclose(images["translated"], 2 * given.A)


# -- the trainer around it -----------------------------------------------------------------------


def endless(start: int) -> Any:
    return (hand_batch() for _ in count(start))


def test_the_rate_is_never_negative_while_a_length_in_minutes_is_measured(tmp_path: Path) -> None:
    """Nor has it decayed: the run is at its start, however small its epochs are."""
    schedule = {"name": "linear", "epochs": 1, "decay_epochs": 1, "minutes": 0.05}
    log = Log()
    config = configuration(schedule=schedule, data={"batch_size": 2})
    trainer = trainer_for(pix2pix_by_hand(), config, tmp_path, log, endless, images_per_epoch=2)
    for each in islice(trainer._batches(0), 15):
        trainer._train_on([each])
    assert log.rates == pytest.approx([2e-4] * 15)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_looking_at_held_out_images_does_not_disturb_training(
    tmp_path: Path, precision: str
) -> None:
    data = small_batches(small_pix2pix(), torch.float32)
    states = []
    for every in (0, 1):
        method = small_pix2pix()
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
