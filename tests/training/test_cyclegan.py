"""CycleGAN: what a step is made of, the published configuration, and runs."""

from collections.abc import Callable, Sequence
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
from img2img.models.checkpoint import load_model, load_state
from img2img.training.build import build_method, describe
from img2img.training.methods.cyclegan import CycleGAN
from tests.runs import assert_same, flat, lines, newest, untimed
from tests.training.recipe import RGB, batch, published, updates
from tests.training.tiny import (
    PIXELS_A,
    PIXELS_B,
    START,
    HandGenerator,
    cyclegan_by_hand,
    hand_batch,
    mean,
    small_batches,
    small_cyclegan,
    through,
)

Command = Callable[..., Any]
MakeImage = Callable[..., Path]


def configuration(**changes: Any) -> RunConfig:
    return published("cyclegan", **changes)


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


def test_each_critic_judges_its_own_domain() -> None:
    method = small_cyclegan()
    given = small_batches(method, torch.float32)[0]
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
    method = cyclegan_by_hand(pool=1)
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
    method = cyclegan_by_hand(pool=0)
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
    method, given = cyclegan_by_hand(), hand_batch()
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
    names = set(cyclegan_by_hand().images(cyclegan_by_hand().generators, hand_batch()))
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
    for critic in method.critics.values():
        assert isinstance(critic.objective, LSGAN)
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
    assert "4 training images of A and 2 of B, 1 held out" in " ".join(outcome.out.split())
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

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_ends_as_if_it_had_never_stopped(
        self, tmp_path: Path, train: Command, photos: Path, precision: str
    ) -> None:
        """In bfloat16 the networks compute with copies; the pools are the same ones."""
        given = beginning(photos, precision=precision)
        straight, output = tmp_path / "straight", tmp_path / "paused"
        assert train(straight, *given).status == 0
        states = self.paused(output, train, given)
        self.assert_complete(states)
        assert_same(flat(states[-1]), flat(load_state(newest(straight))))
        assert untimed(output) == untimed(straight)
        for name in ("G_AB", "G_BA"):
            assert_same(load_model(output).tensors[name], load_model(straight).tensors[name])
