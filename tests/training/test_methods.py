"""Pix2Pix and CycleGAN against their published recipes, computed a second time without our code.

The published scripts' steps are transcribed with torch's own modules in float64; the trainer makes
the same ones. A step of networks of two numbers each is worked out by hand.
"""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.data.samples import Batch
from img2img.training.methods.base import Method
from img2img.training.methods.cyclegan import CycleGAN
from img2img.training.methods.pix2pix import Pix2Pix
from tests.training.published import NORMS, CycleGANScript, Pix2PixScript, Script, parts_of
from tests.training.recipe import RGB, published, trained, updates
from tests.training.tiny import (
    START,
    cyclegan_by_hand,
    hand_batch,
    pix2pix_by_hand,
    small_batches,
    small_cyclegan,
    small_pix2pix,
    weights_of,
)

# Three epochs of one batch: the published rule gives them the full rate, 2/3 and 1/3 of it.
SHORT = {"name": "linear", "epochs": 1, "decay_epochs": 2}
RATES = [2e-4, 2e-4 * 2 / 3, 2e-4 / 3]


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


def idle_biases(network: nn.Module) -> set[str]:
    """Biases that an InstanceNorm takes out again: rounding errors are all that moves them."""
    layers = [item for item in network.named_modules() if not any(item[1].children())]
    return {
        f"{name}.bias"
        for (name, _), (_, following) in itertools.pairwise(layers)
        if isinstance(following, nn.InstanceNorm2d)
    }


def assert_the_same_steps(
    name: str,
    method: Method,
    script: Script,
    data: list[Batch],
    folder: Path,
    seed: int,
    tolerance: float,
) -> None:
    start = {part: weights_of(network) for part, network in script.networks.items()}
    batch_size = len(data[0].A)
    config = published(name, schedule=SHORT, data={"batch_size": batch_size}, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        draws = Draws(patch)
        _, log = trained(method, config, data, folder, images_per_epoch=batch_size)
    if script.pools:
        script.draws.extend(draws.given)
    assert log.rates == pytest.approx(RATES)
    for each, rate, logged in zip(data, RATES, log.values, strict=True):
        # The log is in float32.
        expected = script.step(each.A, each.B, rate)
        assert logged == pytest.approx(expected, rel=max(tolerance, 1e-6), abs=1e-6)
    assert script.draws == []
    for part, network in script.networks.items():
        state, idle = parts_of(method)[part].state_dict(), idle_biases(network)
        for key, wanted in network.state_dict().items():
            difference = (state[key].double() - wanted).abs().max()
            # A bias of 0 has no scale of its own: the scale of the weights is 0.02.
            scale = wanted.abs().max().clamp(min=0.02)
            assert key in idle or difference <= tolerance * scale, f"{part}.{key}"
        # And the steps did go somewhere.
        moved = [abs(a - b) for a, b in zip(weights_of(network), start[part], strict=True)]
        assert sorted(moved)[len(moved) // 2] > 1e-4
    for part, pool in script.pools.items():
        for mine, theirs in zip(method.pools[part].images, pool.images, strict=True):
            assert torch.allclose(mine.double(), theirs, atol=10 * tolerance)


PRECISIONS = [(torch.float32, 1e-4), (torch.float64, 1e-9)]


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS, ids=str)
def test_three_steps_of_pix2pix(
    tmp_path: Path, dtype: torch.dtype, tolerance: float, batch_size: int
) -> None:
    method = small_pix2pix().to(dtype)
    data = small_batches(method, dtype, batch_size)
    script = Pix2PixScript(method)
    assert_the_same_steps("pix2pix", method, script, data, tmp_path, 0, tolerance)


# With these seeds, in both domains an image is exchanged and another is not.
@pytest.mark.parametrize(("batch_size", "pool_size", "seed"), [(1, 1, 3), (2, 2, 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS, ids=str)
@pytest.mark.parametrize("norm", NORMS)
def test_three_steps_of_cyclegan(
    tmp_path: Path,
    norm: Any,
    dtype: torch.dtype,
    tolerance: float,
    batch_size: int,
    pool_size: int,
    seed: int,
) -> None:
    """With BatchNorm they tell also the order of the forwards, by their averages."""
    method = small_cyclegan(pool_size, norm).to(dtype)
    data = small_batches(method, dtype, batch_size)
    script = CycleGANScript(method, pool_size, NORMS[norm])
    assert_the_same_steps("cyclegan", method, script, data, tmp_path, seed, tolerance)
    for pool in script.pools.values():
        assert set(pool.outcomes) == {"stored", "exchanged", "passed"}


BY_HAND: dict[str, Callable[[], Method]] = {
    "pix2pix": pix2pix_by_hand,
    "cyclegan": cyclegan_by_hand,
}


def test_first_step_of_pix2pix_in_numbers(tmp_path: Path) -> None:
    """Adam's bias correction makes the first update the learning rate, against the slope."""
    method = pix2pix_by_hand()
    config = published("pix2pix", data={"batch_size": 2})
    _, log = trained(method, config, [hand_batch()], tmp_path)
    # G(A) = 0.5, -0.7, 0.3, 0.7: away from B by 1, 1.1, 0.7, 1.
    assert log.values[0]["G/l1"] == pytest.approx(3.8 / 4)
    # sum of sign(G(A) - B) A = 0.5 + 1 - 0.25 + 0.75 > 0; of the signs 1 - 1 - 1 + 1 = 0,
    # so b goes by the adversarial slope, sum of (sigmoid - 1) / 4 * v > 0.
    assert weights_of(method.generators["G"]) == pytest.approx([0.7998, 0.0998], abs=1e-7)


def test_first_step_of_cyclegan_in_numbers(tmp_path: Path) -> None:
    method = cyclegan_by_hand()
    config = published("cyclegan", data={"batch_size": 2})
    _, log = trained(method, config, [hand_batch()], tmp_path)
    # G_AB(A) = 0.5, -0.7, 0.3, 0.7, and G_BA of it -0.05, 0.79, 0.09, -0.19: away from A by
    # 0.55, 1.79, 0.16, 0.94. G_AB(B) = -0.3, 0.42, 0.9, -0.14: by 0.2, 0.02, 0.1, 0.16.
    assert log.values[0]["G/cycle_A"] == pytest.approx(3.44 / 4)
    assert log.values[0]["G/identity_B"] == pytest.approx(0.48 / 4)
    # D_B says -0.1, 0.98, 0.08, -0.28 to the translations; (z - 1)^2 = 1.21, 0.0004, 0.8464, 1.6384
    assert log.values[0]["G/adv_B"] == pytest.approx(3.6952 / 4)
    # ... and 0.8, -0.01, -0.55, 0.62 to B: half of 0.04 + 1.0201 + 2.4025 + 0.1444 over 4,
    # and of 0.01 + 0.9604 + 0.0064 + 0.0784 over 4.
    assert log.values[0]["D/adv_B"] == pytest.approx((3.607 + 1.0552) / 8)


@pytest.mark.parametrize("name", BY_HAND)
def test_each_group_has_an_optimizer_and_its_own_rate(tmp_path: Path, name: str) -> None:
    method = BY_HAND[name]()
    optimizer = {"name": "adam", "lr": 2e-4, "lr_d": 1e-3}
    config = published(name, optimizer=optimizer, data={"batch_size": 2})
    trainer, _ = trained(method, config, [hand_batch()], tmp_path)
    states = trainer.state()["optimizers"]
    assert set(states) == {"G", "D"}
    for group, rate in (("G", 2e-4), ("D", 1e-3)):
        networks = {part: each for part, each in method.networks.items() if part[0] == group}
        (weights,) = states[group]["param_groups"]
        assert len(weights["params"]) == len(states[group]["state"]) == 2 * len(networks)
        for part, network in networks.items():
            moved = [abs(a - b) for a, b in zip(weights_of(network), START[part], strict=True)]
            assert moved == pytest.approx([rate] * len(moved), rel=1e-2), part


@pytest.mark.parametrize("name", BY_HAND)
def test_losses_keep_to_their_own_groups(name: str) -> None:
    method = BY_HAND[name]()
    assert list(method.groups) == {"pix2pix": ["D", "G"], "cyclegan": ["G", "D"]}[name]
    for group, loss in updates(method, hand_batch()):
        method.zero_grad(set_to_none=True)
        loss.total().backward()  # type: ignore[no-untyped-call]
        for each in method.groups:
            learns = {p.grad is not None for p in method.parameters_of(each)}
            assert learns == {each == group}
    assert all(p.requires_grad for p in method.parameters())
    weights = [id(p) for group in method.groups for p in method.parameters_of(group)]
    assert sorted(weights) == sorted(id(p) for p in method.parameters())


WEIGHTS = {
    "pix2pix": {"adv": 1, "l1": 100},
    "cyclegan": {
        f"{term}_{domain}": weight
        for term, weight in (("adv", 1), ("cycle", 10), ("identity", 5))
        for domain in "AB"
    },
}


@pytest.mark.parametrize("name", BY_HAND)
def test_loss_is_the_weighted_sum_of_its_terms(name: str) -> None:
    losses = dict(updates(BY_HAND[name](), hand_batch()))
    terms = {term: found.value.item() for term, found in losses["G"].terms.items()}
    assert terms.keys() == WEIGHTS[name].keys()
    expected = sum(WEIGHTS[name][term] * value for term, value in terms.items())
    assert losses["G"].total().item() == pytest.approx(expected)
    of_d = [term.value.item() for term in losses["D"].terms.values()]
    assert len(of_d) == {"pix2pix": 1, "cyclegan": 2}[name]
    assert losses["D"].total().item() == pytest.approx(sum(of_d))


COUNTS = {
    "pix2pix": {"G": 54_413_955, "D": 2_768_705},
    "cyclegan": {
        **dict.fromkeys(("G_AB", "G_BA"), 11_378_179),
        **dict.fromkeys(("D_A", "D_B"), 2_764_737),
    },
}


@pytest.mark.parametrize("name", COUNTS)
def test_networks_of_the_published_configuration(name: str) -> None:
    with torch.device("meta"):
        kind: type[Pix2Pix | CycleGAN] = Pix2Pix if name == "pix2pix" else CycleGAN
        method = kind.from_config(published(name), (RGB, RGB))
    count = {part: sum(p.numel() for p in n.parameters()) for part, n in parts_of(method).items()}
    assert count == COUNTS[name]
