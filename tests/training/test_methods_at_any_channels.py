"""Methods at any channels, and with places that hold no data."""

from pathlib import Path

import pytest
import torch

from img2img.config import Component, load_config
from img2img.data.samples import Batch
from img2img.errors import ConfigError
from img2img.images import Domain
from img2img.losses import OBJECTIVES, RECONSTRUCTIONS
from img2img.losses.adversarial import Valid
from img2img.models.checkpoint import load_state, save_state
from img2img.runtime.processes import ALONE
from img2img.training.build import build_method, resolve
from img2img.training.ema import Ema
from img2img.training.events import Observer
from img2img.training.methods.critic import Critic
from img2img.training.step import Stepper
from tests.training.test_toolbox import Linear, Raw, levels

SIZE = 16
METHODS = ("pix2pix", "cyclegan")
CHANNELS = [(1, 1), (1, 3), (5, 2)]
SMALL = [
    "generator={name: unet, ngf: 4, num_downs: 3, norm: batch, dropout: true}",
    "discriminator={name: patch, ndf: 4, n_layers: 1, norm: instance}",
    "image_pool=2",
    "device=cpu",
    "precision=fp32",
    "data.batch_size=2",
    "optimizer.lr=1e-3",
]


def stepper(method: str, channels: tuple[int, int], *assignments: str) -> Stepper:
    torch.manual_seed(0)
    identity = ["losses.identity=[]"] if method == "cyclegan" else []
    config = load_config(method, assignments=[*SMALL, *identity, *assignments])
    domains = {
        side: Domain.of_type("uint8", count) for side, count in zip("AB", channels, strict=True)
    }
    config = resolve(config, (SIZE, SIZE), (SIZE, SIZE), domains)
    built = build_method(config, (SIZE, SIZE), domains)
    return Stepper(built, config, ALONE, Observer())


def images(channels: tuple[int, int], seed: int = 0, count: int = 2, valid: bool = False) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    A, B = (torch.rand(count, n, SIZE, SIZE, generator=draw) * 2 - 1 for n in channels)
    if not valid:
        return Batch(A, B, [""] * count, [""] * count)
    holes = (torch.rand(2, count, 1, SIZE, SIZE, generator=draw) > 0.3).float()
    return Batch(A, B, [""] * count, [""] * count, valid_A=holes[0], valid_B=holes[1])


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("valid", [False, True])
def test_steps_and_states(
    method: str, channels: tuple[int, int], valid: bool, tmp_path: Path
) -> None:
    """A state that went through a file goes on as what it was taken of: weights, pools, average."""
    made, again = (stepper(method, channels) for _ in range(2))
    averages = [Ema(each.method.averaged, half_life=4) for each in (made, again)]
    before = {key: value.clone() for key, value in made.method.state_dict().items()}
    for step in (1, 2):
        values = made.make(step, [images(channels, step, valid=valid)], 1.0, watch=True)
        assert all(value.isfinite() for value in (values or [{}])[0].values())
        averages[0].update(2 * step, 2)
    moved = [
        key for key, old in before.items() if not torch.equal(old, made.method.state_dict()[key])
    ]
    assert {key.split(".")[1] for key in moved} == set(made.method.networks)
    pooled = [image.shape[0] for pool in made.method.pools.values() for image in pool.images]
    of_A, of_B = channels
    seen = [of_A + of_B] if method == "pix2pix" else [of_A, of_B]
    assert pooled == [count + valid for count in seen for _ in range(2)]

    state = {**made.state_dict(), "ema": averages[0].state_dict()}
    save_state(tmp_path / "state.safetensors", state)
    loaded = load_state(tmp_path / "state.safetensors")
    again.load_state_dict(loaded)
    averages[1].load_state_dict(loaded["ema"])
    for each, average in zip((made, again), averages, strict=True):
        each.make(3, [images(channels, 3, valid=valid)], 1.0)
        average.update(6, 2)
    for key, value in made.method.state_dict().items():
        assert torch.equal(again.method.state_dict()[key], value), key
    for key, value in averages[0].state_dict().items():
        assert torch.equal(averages[1].state_dict()[key], value), key


@pytest.mark.parametrize("method", METHODS)
def test_what_holds_no_data_changes_nothing(method: str) -> None:
    """Whatever stands there: the critic's and the distances' losses are of the other places.

    Of the input this cannot be: a generator sees all of it.
    """
    given, outcomes = images((1, 3), valid=True), []
    assert given.valid_B is not None
    for there in (0.0, 1.0):
        B = torch.where(given.valid_B > 0, given.B, there)
        changed = Batch(given.A, B, given.path_A, given.path_B, (), given.valid_A, given.valid_B)
        made = stepper(method, (1, 3), "losses.cycle=[]" if method == "cyclegan" else "seed=0")
        (values,) = made.make(1, [changed], 1.0) or [{}]
        outcomes.append({tag: value for tag, value in values.items() if "fake_A" not in tag})
    own = [tag for tag in outcomes[0] if method == "pix2pix" or tag in ("D/real_B", "G/adv_B")]
    assert len(own) > 1
    for tag in own:
        assert torch.equal(outcomes[0][tag], outcomes[1][tag]), tag


def test_all_places_with_data_are_as_no_mask() -> None:
    plain = images((5, 2))
    ones = torch.ones(2, 1, SIZE, SIZE)
    masked = Batch(plain.A, plain.B, plain.path_A, plain.path_B, (), ones, ones)
    values = [stepper("pix2pix", (5, 2)).make(1, [each], 1.0) for each in (plain, masked)]
    (one,), (other,) = (each or [{}] for each in values)
    assert {tag: value.item() for tag, value in one.items()} == pytest.approx(
        {tag: value.item() for tag, value in other.items()}, rel=1e-4
    )


HALF = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 2, 2)


@pytest.mark.parametrize(("name", "expected"), [("l1", 0.5), ("charbonnier", 0.5)])
def test_a_distance_is_the_mean_over_places_with_data(name: str, expected: float) -> None:
    distance = RECONSTRUCTIONS.build(Component(name=name), "loss")
    output = torch.tensor([0.25, -0.75, 9.0, 9.0]).reshape(1, 1, 2, 2).expand(1, 2, 2, 2)
    found = distance(output, torch.zeros(1, 2, 2, 2), HALF)
    assert found.tolist() == pytest.approx([expected], abs=1e-5)
    assert distance(output, output, torch.zeros(1, 1, 2, 2)).tolist() == pytest.approx(
        [0], abs=1e-5
    )


@pytest.mark.parametrize("name", ["ssim", "perceptual"])
def test_a_distance_through_windows(name: str) -> None:
    """What differs only where there is no data is equal; half of the places count as the whole."""
    distance = RECONSTRUCTIONS.build(Component(name=name), "loss")
    target = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    valid = torch.ones(1, 1, 64, 64)
    valid[..., 32:] = 0
    elsewhere = torch.where(valid > 0, target, 0.9)
    assert distance(elsewhere, target, valid).item() == pytest.approx(0, abs=1e-5)
    noise = target + 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    whole, half = distance(noise, target), distance(noise, target, valid)
    assert half.item() == pytest.approx(whole.item(), rel=0.35)


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_an_objective_is_of_the_places_with_data(name: str) -> None:
    """As if the others were not there."""
    objective = OBJECTIVES.build(Component(name=name), "objective")
    real, fake = (torch.tensor(x).reshape(1, 1, 2, 2) for x in ([1.0, -2, 7, 8], [0.5, 3, 9, -9]))
    valid = Valid(HALF, HALF)
    alone = real[..., :1, :], fake[..., :1, :]
    for loss in (objective.d_loss, objective.g_loss):
        assert loss(real, fake, valid).item() == pytest.approx(loss(*alone).item())


def test_scores_features_and_the_pool_know_where_there_is_data() -> None:
    critic = Critic(Linear(2.0), Raw(), 2, feature_matching=1.0)
    real, fake = levels(0.5), levels(0.25)
    fake[..., 1, :] = 100.0
    valid = Valid(None, HALF)
    for _ in range(2):  # the second time perhaps from the pool
        scores = critic.d_loss(real, fake, valid=valid).scores
        assert scores["fake"].item() == pytest.approx(0.5)
        assert scores["real"].item() == pytest.approx(1.0)
    features = critic.g_loss(real, fake, valid=valid)["features"].value
    assert features.item() == pytest.approx(4 * 0.25)
    assert [image.shape[0] for image in critic.pool.images] == [4, 4]  # type: ignore[union-attr]


def test_what_cannot_be_is_refused_by_name() -> None:
    noisy = "critic.augment=[{name: instance_noise}]"
    with pytest.raises(ConfigError, match=r"^critic\.augment: images in which some places"):
        stepper("pix2pix", (1, 1), noisy).make(1, [images((1, 1), valid=True)], 1.0)
    with pytest.raises(ConfigError, match=r"^losses\.identity: .* A has 1, B has 3"):
        stepper("cyclegan", (1, 3), "losses.identity=[{name: l1}]")
    with pytest.raises(ConfigError, match=r"^losses\.reconstruction\.0: .* needs RGB"):
        stepper("pix2pix", (3, 2), "losses.reconstruction=[{name: perceptual}]")
    with pytest.raises(ConfigError, match=r"^critic\.augment\.0: .* needs RGB"):
        stepper("pix2pix", (1, 3), "critic.augment=[{name: diffaugment}]")
