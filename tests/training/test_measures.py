"""Held-out measures in training: which, how often, which is best, and when they end a run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from img2img.config import load_config
from img2img.errors import ConfigError
from img2img.images import Domain
from img2img.models.checkpoint import load_model
from img2img.runs.reading import read_run
from img2img.training.build import build_held_out, method_class
from img2img.training.held_out import HeldOut
from img2img.training.loop import Trainer
from tests.conftest import Command, MakeImage
from tests.training.recipe import RGB, batch, published, specs

Values = list[float]


def lines(run: Path) -> list[dict[str, Any]]:
    """What was measured, in order."""
    read = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in read if any(key.startswith("val/") for key in line)]


def sets(**values: object) -> list[str]:
    return [
        word
        for key, value in values.items()
        for word in ("--set", f"metrics.{key}={json.dumps(value)}")
    ]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the held-out images give these values of a measure, one after the other."""

    def replace(name: str, values: Values) -> None:
        left = iter(values)
        monkeypatch.setattr(HeldOut, "measures", lambda *_: {name: next(left)})

    return replace


@pytest.mark.parametrize(
    ("best", "values", "step"), [("l1", [0.3, 0.2, 0.4], 2), ("psnr", [10.0, 12.0, 11.0], 2)]
)
def test_best_is_the_lowest_or_the_highest(
    best: str,
    values: Values,
    step: int,
    give: Any,
    train: Command,
    tiny_pairs: Path,
    tmp_path: Path,
) -> None:
    give(best, values)
    run = tmp_path / "run"
    outcome = train(run, "--data", tiny_pairs, "--max-steps", 3, *sets(best=best, every=1))
    assert outcome.status == 0, outcome.err
    assert load_model(run / "best.safetensors").specs["G"].steps == step


def test_what_needs_rgb_is_refused_by_name(tiny_pairs: Path) -> None:
    metrics = {"best": "kid", "measures": ["psnr"]}
    config = published("pix2pix", data={"root": tiny_pairs, "holdout": 0.5}, metrics=metrics)
    method = method_class(config.method).from_config(config, (RGB, RGB))
    found = method.data.find(config.data, 0)
    stack = Domain.of_type("uint8", 5)
    spec = {"G": specs(method)["G"].model_copy(update={"output": stack})}
    with pytest.raises(
        ConfigError,
        match="metrics: kid needs RGB images, but these have the channels 1, 2, 3, 4, 5",
    ):
        build_held_out(config.metrics, method, spec, found, lambda: iter(()), print)


def test_patience_ends_a_run_which_goes_on_with_more(
    give: Any, train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    given = ["--data", tiny_pairs, "--max-steps", 20]
    give("l1", [0.5, 0.3, 0.4, 0.35])
    outcome = train(run, *given, *sets(every=1, patience=2))
    assert outcome.status == 0, outcome.err
    assert "no improvement of held-out l1 in 2 evaluations" in " ".join(
        (outcome.out + outcome.err).split()
    )
    assert load_model(run).specs["G"].steps == 4
    assert load_model(run / "best.safetensors").specs["G"].steps == 2
    assert read_run(run).stopped_early
    again = train(run, *given, "--resume", *sets(every=1, patience=2))
    assert again.status == 0
    assert load_model(run).specs["G"].steps == 4
    give("l1", [0.6, 0.2, 0.3, 0.3, 0.3])
    outcome = train(run, *given, "--resume", *sets(every=1, patience=3))
    assert outcome.status == 0, outcome.err
    # The third without a better one was step 5: it ended there.
    assert load_model(run).specs["G"].steps == 5


def test_several_measures_at_once(train: Command, tiny_pairs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    wanted = sets(best="psnr", measures=["l1", "ssim"], every=1)
    outcome = train(run, "--data", tiny_pairs, "--max-steps", 2, *wanted)
    assert outcome.status == 0, outcome.err
    found = lines(run)
    assert [line["step"] for line in found] == [1, 2]
    for line in found:
        names = {"l1", "psnr", "ssim"}
        assert {key for key in line if "/" in key} == {
            f"{kind}/{name}" for kind in ("val", "baseline") for name in names
        } | {"targets/span"}
    # The inputs stay what they are, whatever the model learns.
    assert found[0]["baseline/l1"] == found[1]["baseline/l1"]
    assert f"untouched input {found[0]['baseline/l1']:.4f}" in outcome.out + outcome.err
    share = 100 * found[0]["val/l1"] / found[0]["targets/span"]
    assert f"({share:.2g} % of the targets' span)" in outcome.out + outcome.err
    assert (run / "best.safetensors").is_file()
    assert list((run / "tensorboard").iterdir())


def test_what_dark_targets_span(tmp_path: Path) -> None:
    """12 bits taken for 16: all that is in them is in a sixteenth of [-1, 1]."""
    config = published("pix2pix")
    method = method_class(config.method).from_config(config, (RGB, RGB))
    ramp = torch.linspace(0, 4095 / 65535, 256 * 256).view(1, 1, 256, 256) * 2 - 1
    dark = batch(ramp, ramp).A.repeat(1, 3, 1, 1)
    judge = HeldOut(method, specs(method), lambda: iter([batch(dark, dark)]), True)
    judge.measures(method.generators)
    assert judge.spans == {"span": pytest.approx(0.99 * 4095 / 65535, abs=2 / 1024)}


def test_measures_of_sets_of_both_directions(
    img2img: Command, tiny: list[str], make_image: MakeImage, tmp_path: Path
) -> None:
    for split, count in (("train", 3), ("test", 12)):
        for number in range(count):
            make_image(f"d/{split}A/{number}.png", (32, 32), seed=number)
            if number < 10 or split == "train":
                make_image(f"d/{split}B/{number}.png", (32, 32), seed=50 + number)
    run = tmp_path / "run"
    wanted = sets(best="kid_AtoB", features="efficientnet-lite0", every=1)
    unet = ("--set", "generator.name=unet")
    outcome = img2img(
        *("train", "cyclegan", "--data", tmp_path / "d", "--output", run, "--max-steps", 1),
        *(*tiny, *unet, *wanted),
    )
    assert outcome.status == 0, outcome.err
    (line,) = lines(run)
    assert {key for key in line if key.startswith("val/")} == {
        "val/kid",
        "val/kid_AtoB",
        "val/kid_BtoA",
        "val/cycle",
    }
    assert line["val/kid"] == pytest.approx((line["val/kid_AtoB"] + line["val/kid_BtoA"]) / 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"best": "psnt"}, "metrics.best: unknown measure 'psnt'"),
        ({"measures": ["psnt"]}, "metrics.measures: unknown measure 'psnt'"),
        ({"best": None, "patience": 3}, "metrics.patience"),
        ({"best": "kid"}, "kid needs at least 10 held-out images; data.holdout gives 1"),
        ({"measures": ["ms_ssim"]}, "ms_ssim needs images of at least 176 pixels per side"),
        ({"every": -1}, "metrics.every"),
    ],
)
def test_what_cannot_be_measured_is_said_before(
    settings: dict[str, Any], words: str, train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    outcome = train(tmp_path / "run", "--data", tiny_pairs, *sets(**settings))
    assert outcome.status == 2
    assert words in outcome.err


def test_measuring_is_made_rarer_where_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    """By the times of the first one; then it stays, also when the run is resumed."""
    monkeypatch.setattr("img2img.training.best.EVERY", 2)
    clock = {"now": 0.0}
    monkeypatch.setattr("time.monotonic", lambda: clock["now"])
    made, measured = Trainer._train_on, HeldOut.measures

    def make(self: Trainer, batches: Any) -> None:
        clock["now"] += 1.0  # a step takes a second
        made(self, batches)

    def measure(self: HeldOut, generators: Any) -> dict[str, float]:
        clock["now"] += 0.25  # a quarter of it, which is 5 % of five
        return measured(self, generators)

    monkeypatch.setattr(Trainer, "_train_on", make)
    monkeypatch.setattr(HeldOut, "measures", measure)
    run = tmp_path / "run"
    assert load_config("pix2pix").metrics.every == "auto"
    assert train(run, "--data", tiny_pairs, "--max-steps", 9).status == 0
    assert [line["step"] for line in lines(run)] == [2, 6, 9]
    assert train(run, "--data", tiny_pairs, "--max-steps", 13, "--resume").status == 0
    assert [line["step"] for line in lines(run)] == [2, 6, 9, 12, 13]
