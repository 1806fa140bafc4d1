"""Conditions on logs made by hand, and what is proposed for them."""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from img2img.config import RunConfig, load_config
from img2img.doctor import CONDITIONS, Rounds, RunHistory, examine, follow
from img2img.doctor.balance import ReferenceLosses
from img2img.losses import OBJECTIVES, Objective
from img2img.losses.adversarial import ALL, Valid
from img2img.training.build import check_parts
from tests.conftest import Command

Curve = Callable[[float], float]
Lines = list[dict[str, Any]]

# As a training of 60 lines with vanilla objective may look.
HEALTHY: Mapping[str, Curve] = {
    "D/adv": lambda t: 0.7 - 0.3 * t,
    "D/real": lambda t: 1.5 * t,
    "D/fake": lambda t: -1.5 * t,
    "D/accuracy": lambda t: 0.5 + 0.4 * t,
    "G/adv": lambda t: 0.7 + 0.6 * t,
    "G/l1": lambda t: 0.1 + 0.3 * math.exp(-5 * t),
    "G/gradient": lambda t: 20 + 5 * math.sin(40 * t),
    "D/gradient": lambda t: 5 + 2 * math.cos(50 * t),
}
DIAGNOSTICS: Mapping[str, Curve] = {
    "diagnostics/diversity": lambda t: 0.3 + 0.5 * t,
    "diagnostics/change": lambda t: 1.2 - 0.2 * t,
    "diagnostics/correlation": lambda t: 0.3,
    "diagnostics/correlation_target": lambda t: 0.4,
    "diagnostics/saturation": lambda t: 0.1,
    "diagnostics/saturation_target": lambda t: 0.2,
    "diagnostics/grid": lambda t: 6.0,
    "diagnostics/grid_target": lambda t: 4.0,
    "diagnostics/train_l1": lambda t: 0.1 + 0.1 * (1 - t),
    "diagnostics/held_out_l1": lambda t: 0.12 + 0.1 * (1 - t),
}
# The critic has won; it does harm where distances stay as they are.
WON: Mapping[str, Curve] = {
    "D/adv": lambda t: 0.7 * math.exp(-6 * t),
    "D/accuracy": lambda t: min(1, 2 * t),
    "G/adv": lambda t: 0.7 + 6 * t,
}
DISTANCES = ("G/l1", "diagnostics/train_l1", "diagnostics/held_out_l1")


def log(curves: Mapping[str, Curve] = MappingProxyType({}), count: int = 60) -> Lines:
    """A log of `count` lines with a little noise, and a look at translations at every tenth."""
    random = np.random.default_rng(0)
    lines: Lines = []
    for number in range(1, count + 1):
        line = {"step": 20 * number, "images": 20 * number, "epoch": number / 5}
        losses = {**HEALTHY, **{k: v for k, v in curves.items() if "diagnostics/" not in k}}
        noise = {tag: 1 + 0.02 * random.standard_normal() for tag in losses}
        t = (number - 1) / (count - 1) if count > 1 else 0.0
        lines.append({**line, **{tag: curve(t) * noise[tag] for tag, curve in losses.items()}})
        if number % 10 == 0:
            signs = {**DIAGNOSTICS, **{k: v for k, v in curves.items() if "diagnostics/" in k}}
            lines.append({**line, **{tag: curve(t) for tag, curve in signs.items()}})
    return lines


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return load_config("pix2pix")


def names(lines: Lines, config: RunConfig) -> list[str]:
    return [finding.name for finding in examine(RunHistory(lines), config)]


@pytest.mark.parametrize("objective", ["vanilla", "lsgan"])
def test_the_loss_by_chance(objective: str) -> None:
    expected = {"vanilla": math.log(2), "lsgan": 0.25}[objective]  # at logits of 0, and of 1/2
    config = load_config("pix2pix", None, {"objective.name": objective})
    assert ReferenceLosses.of(config.objective) == pytest.approx((expected, expected, 0), abs=1e-6)


STUCK: Mapping[str, Curve] = {tag: lambda t: 0.12 for tag in DISTANCES}
FAULTS: list[tuple[str, Mapping[str, Curve]]] = [
    ("diverging", {"G/adv": lambda t: 0.7 + 90 * t}),
    ("diverging", {"D/adv": lambda t: 0.7 + 3 * t}),
    ("diverging", {"G/l1": lambda t: 0.1 + 0.3 * t}),
    ("exploding-gradients", {"G/gradient": lambda t: 10 if t < 0.7 else 4e3}),
    ("exploding-gradients", {"D/gradient": lambda t: 10 if t < 0.7 else 4e3}),
    ("vanishing-gradient", {"G/gradient": lambda t: 10 * math.exp(-8 * t)}),
    ("critic-too-strong", {**WON, **STUCK}),
    ("critic-too-weak", {"D/adv": lambda t: 0.69, "D/accuracy": lambda t: 0.5}),
    ("oscillation", {"G/adv": lambda t: 2 + 1.8 * math.sin(45 * t)}),
    ("oscillation", {"D/adv": lambda t: 0.02 if int(30 * t) % 2 else 0.9}),
    ("mode-collapse", {"diagnostics/diversity": lambda t: 0.01}),
    ("copies-input", {"diagnostics/change": lambda t: 0.01}),
    ("colour-inversion", {"diagnostics/correlation": lambda t: -0.8}),
    ("saturation", {"diagnostics/saturation": lambda t: 0.6}),
    ("checkerboard", {"diagnostics/grid": lambda t: 20.0}),
    (
        "overfitting",
        {"diagnostics/train_l1": lambda t: 0.03, "diagnostics/held_out_l1": lambda t: 0.1},
    ),
]
# What looks like a fault and is none, with the settings of the run.
SOUND: dict[str, tuple[Mapping[str, Curve], Mapping[str, Any]]] = {
    "healthy": ({}, {}),
    "sure of a generator that learns": (WON, {}),
    "an inversion that the targets have": (
        {
            "diagnostics/correlation": lambda t: -0.8,
            "diagnostics/correlation_target": lambda t: -0.9,
        },
        {},
    ),
    "only beginning to vary": ({"diagnostics/diversity": lambda t: 0.01 + 0.04 * t}, {}),
    "a wild start": ({"G/gradient": lambda t: 2000 if t < 0.08 else 15}, {}),
    "warming up": (
        {"D/adv": lambda t: 0.69, "D/accuracy": lambda t: 0.5},
        {"schedule.warmup": 1000},  # of 1200 images
    ),
    "larger images are harder": (
        {"G/l1": lambda t: 0.1 if t < 0.5 else 0.25},
        {"data.grow.halvings": 1},
    ),
    "an identity is best before anything is translated": (
        {"G/identity": lambda t: 0.05 + 0.3 * t},
        {},
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_found_in_a_sound_run(name: str) -> None:
    curves, settings = SOUND[name]
    assert follow(log(curves), load_config("pix2pix", None, settings)) == []


@pytest.mark.parametrize(("condition", "changed"), FAULTS)
def test_what_is_wrong_is_named_and_nothing_else(
    condition: str, changed: Mapping[str, Curve], config: RunConfig
) -> None:
    assert names(log(changed), config) == [condition]
    # Of a CycleGAN, in one domain or direction.
    lines: Lines = []
    for line in log(changed):
        both = {
            k: v for k, v in line.items() if "/" not in k or k.endswith(("gradient", "train_l1"))
        }
        for ending, of in (("A", log()[len(lines)]), ("B", line)):
            for tag, value in of.items():
                if tag == "diagnostics/held_out_l1":
                    both[tag] = line[tag]
                elif tag.startswith("diagnostics/"):
                    both[f"{tag}_{ending}to{'BA'[ending == 'B']}"] = value
                elif "/" in tag and not tag.endswith("gradient"):
                    both[f"{tag}_{ending}"] = value
        lines.append(both)
    cyclegan = load_config("cyclegan", None, {"objective.name": "vanilla"})
    assert names(lines, cyclegan) == [condition]


def measured(at: Mapping[int, float], measure: str = "l1", baseline: float = 0.1) -> Lines:
    """A log with held-out measures after some of its lines."""
    lines = log()
    for number, value in at.items():
        where = {key: lines[number][key] for key in ("step", "images", "epoch")}
        lines.append({**where, f"val/{measure}": value, f"baseline/{measure}": baseline})
    return sorted(lines, key=lambda line: line["step"])


def test_no_better_than_the_untouched_input() -> None:
    """After a reasonable share of the training; the last two times, where there were as many."""
    condition = "no-better-than-input"
    for length in ({"schedule.steps": 2000}, {"schedule.total_epochs": 20}):
        config = load_config("pix2pix", None, length)
        assert names(measured({40: 0.2, 60: 0.11}), config) == [condition]
        assert names(measured({60: 0.1}), config) == [condition]
        assert names(measured({40: 0.2, 60: 0.09}), config) == []
        assert names(measured({40: 0.09, 60: 0.11}), config) == []
    (found,) = examine(RunHistory(measured({60: 0.11})), config)
    assert found.evidence.text == "held-out l1 is 0.11, and 0.1 for the untouched inputs"
    assert set(found.proposals[0].settings) == {"losses.reconstruction"}
    early = load_config("pix2pix", None, {"schedule.steps": 10_000})
    assert names(measured({60: 0.2}), early) == []
    by_psnr = load_config("pix2pix", None, {"schedule.steps": 2000, "metrics.best": "psnr"})
    assert names(measured({60: 12.0}, "psnr", 14.0), by_psnr) == [condition]
    assert names(measured({60: 15.0}, "psnr", 14.0), by_psnr) == []


def test_nothing_is_learned(config: RunConfig) -> None:
    still: dict[str, Curve] = {tag: (lambda t: 0.5) for tag in (*HEALTHY, "diagnostics/train_l1")}
    assert "nothing-learned" in names(log(still), config)
    assert "nothing-learned" not in names(log({**still, "G/l1": HEALTHY["G/l1"]}), config)
    # Too restless to say so without a look at the same images.
    lines, random = log(still), np.random.default_rng(0)
    for line in lines:
        line |= {tag: 0.3 * random.lognormal(0, 0.6) for tag in ("G/l1",) if tag in line}
    assert "nothing-learned" in names(lines, config)
    blind = [line for line in lines if "diagnostics/train_l1" not in line]
    assert "nothing-learned" not in names(blind, config)


def test_a_short_log_says_nothing(config: RunConfig) -> None:
    wild: dict[str, Curve] = {tag: (lambda t: 1e6 * t) for tag in HEALTHY}
    assert names(log(wild, 9), config) == []
    assert names([], config) == []


def test_logs_of_earlier_versions(config: RunConfig) -> None:
    """Without accuracy, gradients and signs."""
    kept = ("step", "images", "epoch", "D/adv", "D/real", "D/fake", "G/adv", "G/l1")
    won = log({**WON, "G/l1": lambda t: 0.12})
    older = [{key: line[key] for key in kept} for line in won if "D/adv" in line]
    assert names(older, config) == ["critic-too-strong"]


def test_an_objective_whose_losses_have_no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    class Straight(Objective):
        def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
            return (fake_logits - real_logits).flatten(1).mean(1)

        def g_loss(
            self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL
        ) -> Tensor:
            return -fake_logits.flatten(1).mean(1)

    monkeypatch.setattr(OBJECTIVES, "_own", dict(OBJECTIVES._parts))
    OBJECTIVES.register("straight")(Straight)
    config = load_config("pix2pix", None, {"objective.name": "straight"})
    sure: dict[str, Curve] = {"D/accuracy": lambda t: 1.0, "D/adv": lambda t: -1.0}
    assert names(log(sure), config) == []
    growing: dict[str, Curve] = {"D/real": lambda t: 2 * t**4, "D/fake": lambda t: -2 * t**4}
    assert names(log({**sure, **growing}), config) == []
    assert names(log({**sure, **growing, **STUCK}), config) == ["critic-too-strong"]


def test_a_sure_critic_is_judged_by_losses_where_there_are_no_probes(config: RunConfig) -> None:
    without = {k: v for k, v in DIAGNOSTICS.items() if k not in DISTANCES}
    lines = [
        {k: v for k, v in line.items() if k not in DIAGNOSTICS or k in without} for line in log(WON)
    ]
    assert follow(lines, config) == []


@pytest.mark.parametrize("count", [30, 400])
def test_a_line_of_one_image_is_noisy(count: int, config: RunConfig) -> None:
    """Stationary, each value of its own: as with a batch of 1 and every step logged."""
    learned: dict[str, Curve] = {
        "D/accuracy": lambda t: 0.8,
        "D/adv": lambda t: 0.4 + 0.3 * math.exp(-100 * t),
    }
    for seed in range(3):
        random = np.random.default_rng(seed)
        lines = log(learned, count)
        for line in lines:
            line |= {tag: random.lognormal(0, 0.7) for tag in ("G/l1",) if tag in line}
            line |= {tag: 0.7 * random.lognormal(0, 0.6) for tag in ("G/adv",) if tag in line}
        assert follow(lines, config) == []


@pytest.mark.parametrize("count", [60, 3000])
def test_what_breaks_late_is_named_soon(count: int, config: RunConfig) -> None:
    """Within some lines, not with a share of a long run."""
    start = 1 - 25 / count
    lines = log(
        {
            "D/adv": lambda t: 0.5 if t < start else 500,
            "G/l1": lambda t: 0.1 if t < start else 0.9,
        },
        count,
    )
    assert names(lines, config) == ["diverging"]


def test_losses_that_lie_around_zero_do_not_swing() -> None:
    """By chance they go up and down by their mean all the time."""
    config = load_config("pix2pix", None, {"objective.name": "wgan"})
    for seed in range(3):
        random = np.random.default_rng(seed)
        lines = log({"D/adv": lambda t: -1 - t}, 300)
        for line in lines:
            line |= {tag: random.normal(0, 0.2) for tag in ("G/adv",) if tag in line}
        assert follow(lines, config) == []


@pytest.mark.parametrize("periods", [6, 40])
def test_oscillation_is_seen_at_any_pace(periods: int, config: RunConfig) -> None:
    """And stays seen; the critic that is right by half in the mean is no weak one."""
    lines = log(
        {
            "D/accuracy": lambda t: 0.5 + 0.45 * math.sin(2 * math.pi * periods * t),
            "D/adv": lambda t: 0.69,
        },
        300,
    )
    (found,) = follow(lines, config)
    assert (found.name, found.last, found.now) == ("oscillation", 6000, True)


def test_labels_that_are_smoothed_leave_a_floor() -> None:
    """At best, cross entropy with a target of 0.9 is 0.325 for real images: 0.163 in the mean."""
    config = load_config("pix2pix", None, {"objective": {"name": "vanilla", "smoothing": 0.1}})
    assert ReferenceLosses.of(config.objective).floor == pytest.approx(0.325 / 2, abs=2e-3)
    won: dict[str, Curve] = {**WON, "D/adv": lambda t: 0.165 + 0.5 * math.exp(-9 * t)}
    assert names(log({**won, **STUCK}), config) == ["critic-too-strong"]


@pytest.mark.parametrize(("span", "expected"), [(0.0625, ["narrow-targets"]), (0.9, []), (0.0, [])])
def test_targets_that_use_little_of_the_range(
    span: float, expected: list[str], config: RunConfig
) -> None:
    """As 12 bits in 16 do: an L1 that looks small is large beside all that there is to see."""
    lines = log()
    lines.append({**lines[-1], "val/l1": 0.0073, "targets/span": span})
    found = follow(lines, config)
    assert [each.name for each in found] == expected
    for each in found:
        assert each.evidence.text == (
            "held-out targets span only 6.2 % of the range, and an L1 of 0.0073 is 12 % of"
            " that span"
        )
        (proposal,) = each.proposals
        assert [*proposal.settings] == ["data.B.range"]


def test_the_worse_direction_is_told() -> None:
    config = load_config("cyclegan")
    lines = log()
    for line in lines:
        if (sign := line.pop("diagnostics/correlation", None)) is not None:
            wanted = line.pop("diagnostics/correlation_target")
            line |= {
                "diagnostics/correlation_AtoB": -0.7,
                "diagnostics/correlation_expected_AtoB": wanted,
            }
            line |= {
                "diagnostics/correlation_BtoA": -0.9 + 0 * sign,
                "diagnostics/correlation_expected_BtoA": wanted,
            }
    (found,) = (f for f in examine(RunHistory(lines), config) if f.name == "colour-inversion")
    assert found.evidence.text.startswith("BtoA: ")


def test_the_evidence_is_of_the_worst_moment(config: RunConfig) -> None:
    lines = log({"diagnostics/change": lambda t: 0.01 + abs(t - 0.66) / 50})
    (found,) = follow(lines, config)
    assert (found.first, found.worst, found.last) == (600, 1000, 1200)  # until the look then
    assert found.evidence.values["change"] == pytest.approx(0.01, abs=1e-3)


def test_inversion_that_is_guessed_to_be_wanted(config: RunConfig) -> None:
    inverted: dict[str, Curve] = {"diagnostics/correlation": lambda t: -0.8}
    for guessed, expected in ((-1.0, []), (0.2, ["colour-inversion"])):
        lines = log(inverted)
        for line in lines:
            if line.pop("diagnostics/correlation_target", None) is not None:
                line["diagnostics/correlation_expected"] = guessed
        findings = examine(RunHistory(lines), config)
        assert [finding.name for finding in findings] == expected
        assert all("estimated" in finding.evidence.text for finding in findings)


def test_scores_that_are_missing(config: RunConfig) -> None:
    lines = log({**WON, **STUCK})
    for line in lines:
        line.pop("D/real", None)
        line.pop("D/fake", None)
    (found,) = examine(RunHistory(lines), config)
    assert found.name == "critic-too-strong"
    assert "gap" not in found.evidence.values
    json.dumps(found.evidence.values, allow_nan=False)


@pytest.mark.parametrize("line", ["[1, 2]", '{"a": 1}', '"text"', "{"])
def test_a_damaged_log(
    line: str, tiny_run: Path, tmp_path: Path, img2img: Command, train: Command
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join([lines[0], line, *lines[1:], ""]))
    for outcome in (img2img("doctor", run), train(run, "--resume", "--max-steps", 9)):
        assert outcome.status == 2
        assert "line 2 is damaged" in outcome.err


def test_a_run_is_examined_ever_more_rarely() -> None:
    history, rounds = RunHistory(), Rounds()
    times = []
    for step in range(1, 10001):
        history.add({"step": step, "G/adv": 1.0})
        if rounds.due(history):
            times.append(step)
    assert times[0] < 20
    assert times[-1] - times[-2] > 5 * (times[1] - times[0])


def test_remedies_that_a_run_has_or_lacks() -> None:
    def proposed(name: str, method: str, **settings: Any) -> dict[str, Any]:
        given = {key.replace("__", "."): value for key, value in settings.items()}
        config = load_config(method, None, given)
        (part,) = (part for part in CONDITIONS if part.name == name)
        remedies = [each(config) for each in part.factory().remedies]
        return {k: v for each in remedies if each for k, v in each.settings.items()}

    for none in ([], [{"name": "l1", "weight": 0}]):
        cycle = proposed("mode-collapse", "cyclegan", losses__cycle=none)["losses.cycle"]
        assert [(each["name"], each["weight"]) for each in cycle] == [("l1", 10)]
    assert "regularizers" not in proposed("diverging", "pix2pix", objective__name="wgan-gp")
    rates = proposed("diverging", "pix2pix", optimizer__lr=1e6, optimizer__lr_d=1e-5)
    assert rates["optimizer.lr"] == 2e-4
    assert rates["optimizer.lr_d"] == pytest.approx(1e-6)


@pytest.mark.parametrize("gone", ["healed", "no longer told"])
def test_what_has_passed_is_told_with_its_time(gone: str, config: RunConfig) -> None:
    lines = log({"diagnostics/diversity": lambda t: 0.01 if t < 0.7 else 0.5})
    if gone == "no longer told":
        lines = log({"diagnostics/diversity": lambda t: 0.01})
        for line in lines:
            if line["step"] > 0.7 * 1200:
                line.pop("diagnostics/diversity", None)
    (found,) = follow(lines, config)
    assert (found.name, found.now) == ("mode-collapse", False)
    assert found.first < found.last < 1200
    assert examine(RunHistory(lines), config) == []


def test_what_is_fatal_hides_but_does_not_heal(config: RunConfig) -> None:
    end = {"step": 1210, "images": 1210, "epoch": 12.1, "diverged": "step 1211: G/adv is nan"}
    fatal, hidden = follow([*log({"diagnostics/diversity": lambda t: 0.01}), end], config)
    assert (fatal.name, hidden.name) == ("non-finite", "mode-collapse")
    assert (hidden.last, hidden.now) == (1200, True)


def test_a_run_that_was_ended(config: RunConfig) -> None:
    end = {"step": 1210, "images": 1210, "epoch": 12.1, "diverged": "step 1211: G/adv is nan"}
    assert names([*log(), end], config) == ["non-finite"]
    assert names([*log(), end, *log()], config) == []  # it was gone on with


def test_steps_that_were_skipped(config: RunConfig) -> None:
    def skipping(count: Callable[[int], int]) -> Lines:
        lines = log()
        for line in lines:
            if skipped := count(line["step"]):
                line["steps/skipped"] = skipped
        return lines

    # Two of five, told with every twentieth.
    (found,) = examine(RunHistory(skipping(lambda step: step * 2 // 5)), config)
    assert found.name == "non-finite"
    assert found.evidence.values["skipped"] / found.evidence.values["steps"] == 0.4
    assert not found.evidence.fatal
    (once,) = follow(skipping(lambda step: int(step > 300)), config)
    assert once.last < 1200  # and no more later
    # Beside most of them nothing else means anything.
    collapsed = log({"diagnostics/diversity": lambda t: 0.01})
    for line in collapsed:
        line["steps/skipped"] = line["step"] * 2 // 3
    assert names(collapsed, config) == ["non-finite"]


def test_losses_by_another_objective_are_not_judged() -> None:
    """As low as vanilla's may be is worse than chance by least squares."""
    config = load_config("pix2pix", None, {"objective.name": "lsgan"})
    before = log({"D/adv": lambda t: 0.65})
    change = {**before[-1], "changed": [{"key": "objective.name"}]}
    squares: dict[str, Curve] = {"D/adv": lambda t: 0.2 - 0.1 * t, "G/adv": lambda t: 0.3 + 0.1 * t}
    after = log({**squares, "G/l1": lambda t: 0.1})
    after = [{**line, "step": line["step"] + 1200} for line in after]
    assert [found.name for found in follow([*before, *after], config)] == ["diverging"]
    assert follow([*before, change, *after], config) == []
    another = {**change, "changed": [{"key": "optimizer.lr"}]}
    assert [found.name for found in follow([*before, another, *after], config)] == ["diverging"]


def test_one_image_a_line_is_no_oscillation() -> None:
    """A critic that is surer of one image than of the next, beside one that goes to and fro."""
    config = load_config("pix2pix", None, {"objective.name": "lsgan"})
    single: dict[str, Curve] = {"D/adv": lambda t: 0.03 if int(1000 * t) % 3 else 0.4}
    single["G/adv"] = lambda t: 0.3 + 0.1 * t
    lines = log(single)
    assert names(lines, config) == ["oscillation"]  # of 20 images each
    for line in lines:
        line["step"] = line["images"] = line["step"] // 20
    assert names(lines, config) == []


@pytest.mark.parametrize("value", [10**400, 1e308, -1e308])
def test_numbers_beyond_all_measure(value: float, config: RunConfig) -> None:
    lines = [{**line, **({"G/adv": value} if "G/adv" in line else {})} for line in log()]
    assert "G/adv" not in RunHistory(lines)
    assert follow(lines, config) == []


@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
@pytest.mark.parametrize("part", list(CONDITIONS), ids=lambda part: part.name)
def test_proposals_are_configurations(method: str, part: Any) -> None:
    settings = {"init_from": "a", "optimizer.clip": 2.0, "optimizer.lr_d": 1e-4}
    for given in ({}, settings):
        config = load_config(method, None, given)
        remedies = [made for each in part.factory().remedies if (made := each(config))]
        assert remedies
        for remedy in remedies:
            assert remedy.why
            changed = load_config(method, None, given, remedy.assignments)
            check_parts(changed)
            assert changed != config
        # What a run already has is not proposed to it again.
        for each in part.factory().remedies:
            if first := each(config):
                changed = load_config(method, None, given, first.assignments)
                again = each(changed)
                assert again is None or again.settings != first.settings, first.why


def test_the_command(tmp_path: Path, tiny_run: Path, img2img: Command) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_bytes((tiny_run / "config.yaml").read_bytes())
    metrics = run / "metrics.jsonl"

    def write(lines: Lines) -> None:
        metrics.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    write(log({"diagnostics/diversity": lambda t: 0.01}))
    outcome = img2img("doctor", run)
    assert outcome.status == 0
    assert "mode-collapse, first seen at step 600\n" in outcome.out
    assert "the variety of translations is 1.0 % of that of inputs and targets" in outcome.out
    assert "--set 'losses.reconstruction=[{" in outcome.out
    assert (run / "doctor.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(img2img("doctor", run, "--json").out)
    assert (told["step"], told["losses"], told["probes"], told["enough"]) == (1200, 60, 6, True)
    (finding,) = told["findings"]
    assert (finding["name"], finding["now"]) == ("mode-collapse", True)
    assert finding["values"]["diversity"] == pytest.approx(0.01)

    write(log({"diagnostics/diversity": lambda t: 0.01 if t < 0.7 else 0.5}))
    outcome = img2img("doctor", run)
    assert "first seen at step 600, last at " in outcome.out
    assert "nothing needs to be changed" in outcome.out
    assert "--set" not in outcome.out
    assert json.loads(img2img("doctor", run, "--json").out)["findings"][0]["proposals"] == []

    (run / "doctor.png").unlink()
    (run / "doctor.png").mkdir()
    outcome = img2img("doctor", run)
    assert outcome.status == 2
    assert "no longer present" in outcome.out
    assert "cannot write" in outcome.err
    assert json.loads(img2img("doctor", run, "--json").out)["findings"]
    (run / "doctor.png").rmdir()

    write(log(count=1))
    assert "1 line of losses and 0 health probes" in img2img("doctor", run).out
    write(log(count=9))
    assert "too early to tell" in img2img("doctor", run).out
    with metrics.open("a") as file:
        file.write('{"step": 200, "ima')  # cut short by a crash
    assert img2img("doctor", run).status == 0
    metrics.write_text('{"step": 20, "images": 20\n' + metrics.read_text())
    outcome = img2img("doctor", run)
    assert outcome.status == 2
    assert "line 1" in outcome.err
    metrics.write_bytes(b"\xff\xfe\x00\x80\n\x00\n")
    assert "metrics.jsonl" in img2img("doctor", run).err
    metrics.unlink()
    assert "0 lines of losses" in img2img("doctor", run).out
    metrics.mkdir()
    assert "cannot read" in img2img("doctor", run).err
    metrics.rmdir()
    (run / "config.yaml").write_text("method: pix2pix\nseed: many\n")
    outcome = img2img("doctor", run)
    assert outcome.status == 2
    assert "config.yaml" in outcome.err
    assert "no config.yaml" in img2img("doctor", tmp_path).err
