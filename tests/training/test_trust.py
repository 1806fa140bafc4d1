"""A run that is killed, fed with bad numbers or bad files, or started twice."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from img2img.cli.app import app
from img2img.config import load_config
from img2img.data.paired import PairedData
from img2img.errors import DataError
from img2img.losses import OBJECTIVES
from img2img.losses.adversarial import ALL, LSGAN, Valid
from img2img.models.checkpoint import load_model, load_state, save_state
from img2img.training.events import Observer, Progress
from img2img.training.run import train as train_in_python
from tests.runs import assert_same, flat, newest, untimed

Command = Callable[..., Any]

EACH_STEP = ["--set", "metrics.log_every=1", "--set", "checkpoint.every=1"]
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def assert_same_state(one: Path, other: Path) -> None:
    mine, yours = (flat(load_state(newest(run))) for run in (one, other))
    assert_same(mine, yours)


def forked(*words: object, group: bool = False) -> BaseProcess:
    """A command in a process of its own, or a group of its own, which shares the imports."""

    def run() -> None:
        if group:
            os.setpgid(0, 0)
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        app(args=[str(word) for word in words], prog_name="img2img")

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def saved_since(before: Path | None, run: Path) -> bool:
    return bool([*run.glob("checkpoints/state-*")]) and newest(run) != before


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# -- killed --------------------------------------------------------------------------------------


@forking
@pytest.mark.parametrize(("method", "times", "steps"), [("pix2pix", 8, 72), ("cyclegan", 3, 36)])
def test_killed_again_and_again(
    tmp_path: Path,
    tiny_pairs: Path,
    tiny: list[str],
    img2img: Command,
    method: str,
    times: int,
    steps: int,
) -> None:
    """SIGKILL at random moments after the first checkpoint, and the run ends as it would have."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    words = ["--data", tiny_pairs, "--max-steps", steps, *tiny]
    for setting in (
        "generator.name=unet",
        "image_pool=4",
        "ema.half_life=10",
        "checkpoint.every=2",
        "metrics.every=3",
        "metrics.log_every=1",
        f"metrics.best={'cycle' if method == 'cyclegan' else 'l1'}",
    ):
        words += ["--set", setting]
    assert img2img("train", method, "--output", straight, *words).status == 0
    moments = random.Random(0)
    for _ in range(times):
        before = newest(killed) if (killed / "checkpoints").is_dir() else None
        process = forked("train", method, "--output", killed, *words, "--resume")
        wait_for(partial(saved_since, before, killed))
        time.sleep(moments.uniform(0, 0.1))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert load_state(newest(killed))["step"] < steps
    assert img2img("train", method, "--output", killed, *words, "--resume").status == 0
    assert_same_state(straight, killed)
    assert untimed(straight) == untimed(killed)
    assert not [*killed.rglob(".*")]  # what was being written is cleared away
    for name in ("model.safetensors", "best.safetensors"):
        mine, yours = (load_model(run / name).tensors for run in (straight, killed))
        assert all(torch.equal(mine[n][key], yours[n][key]) for n in mine for key in mine[n])


@forking
def test_two_runs_on_one_folder(
    tmp_path: Path, tiny_pairs: Path, train: Command, tiny: list[str]
) -> None:
    run = tmp_path / "run"
    begin = ["--data", tiny_pairs, "--max-steps", 3]
    words = ["train", "pix2pix", "--output", run, *begin[:2], "--max-steps", 10**6, *tiny]
    process = forked(*words, *EACH_STEP)
    try:
        wait_for(lambda: bool([*run.glob("checkpoints/state-*")]))
        second = train(run, "--resume")
        assert second.status == 2
        assert "another run is writing to this folder" in second.err
        assert second.err.count("\n") == 1
        assert process.is_alive()
    finally:
        process.kill()
        process.join()
    outcome = train(run, *begin, "--resume")  # nobody holds it any more
    assert outcome.status == 0, outcome.err


@forking
def test_a_signal_to_the_whole_group(
    tmp_path: Path, tiny_pairs: Path, tiny: list[str], train: Command
) -> None:
    """As `timeout` and some schedulers send it: loaders must not die before the state is saved."""
    run = tmp_path / "run"
    words = ["train", "pix2pix", "--output", run, "--data", tiny_pairs, *tiny, *EACH_STEP]
    process = forked(*words, "--max-steps", 10**6, "--set", "data.workers=2", group=True)
    wait_for(partial(saved_since, None, run))
    assert process.pid is not None
    os.killpg(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 75
    step = load_state(newest(run))["step"]
    assert train(run, "--resume", "--max-steps", step + 1).status == 0


class TestDamagedStates:
    def test_what_came_after_the_chosen_one_is_made_again(
        self, tmp_path: Path, tiny_pairs: Path, train: Command
    ) -> None:
        run = tmp_path / "run"
        assert train(run, "--data", tiny_pairs, "--max-steps", 3, *EACH_STEP).status == 0
        newest(run).write_bytes(b"damaged")
        outcome = train(run, "--resume", "--max-steps", 9, "--stop-after", 0)
        assert outcome.status == 75
        assert "skipped: " in outcome.out
        assert "step 3 is saved" in outcome.err
        assert load_state(newest(run))["step"] == 3
        assert len([*run.glob("checkpoints/state-*")]) == 2
        assert (run / "checkpoints/skipped-state-00000003.safetensors").read_bytes() == b"damaged"

    def test_an_old_one_that_is_a_folder_is_left(
        self, tmp_path: Path, tiny_pairs: Path, train: Command
    ) -> None:
        """When it would be cleared away, too."""
        run = tmp_path / "run"
        words = ["--data", tiny_pairs, "--resume", *EACH_STEP]
        assert train(run, *words, "--max-steps", 2).status == 0
        for kind in ("state", "model"):
            old = run / f"checkpoints/{kind}-00000001.safetensors"
            old.unlink()
            (old / "inside").mkdir(parents=True)
        outcome = train(run, *words, "--max-steps", 6)
        assert outcome.status == 0, outcome.err
        assert len([*run.glob("checkpoints/*-00000001.safetensors/inside")]) == 2

    @pytest.mark.parametrize("flaw", ["a folder", "unreadable", "cut off", "newer", "lacks a key"])
    def test_an_older_one_is_good(
        self, tmp_path: Path, tiny_pairs: Path, train: Command, flaw: str
    ) -> None:
        """It is gone on from, and ends as one that was never stopped; nothing is lost."""
        run, straight = tmp_path / "run", tmp_path / "straight"
        words = ["--data", tiny_pairs, "--max-steps", 4, *EACH_STEP, "--resume"]
        words += ["--set", "metrics.tensorboard=false"]
        for _ in range(2):
            assert train(run, *words, "--stop-after", 0).status == 75
        bad = newest(run)
        content = bad.read_bytes()
        if flaw == "cut off":
            bad.write_bytes(content[: len(content) // 2])
        elif flaw == "newer":
            bad.write_bytes(content.replace(rb"\"format_version\": 2", rb"\"format_version\": 9"))
        elif flaw == "lacks a key":
            state = load_state(bad)
            del state["optimizers"]["D"]
            save_state(bad, state)
        else:
            bad.rename(tmp_path / "was there")
            if flaw == "a folder":
                (bad / "inside").mkdir(parents=True)
            else:
                bad.symlink_to(bad)  # whoever runs this may be allowed to read everything
        before = sorted(run.glob("checkpoints/*"))
        paused = train(run, *words, "--stop-after", 0)
        assert paused.status == 75, paused.err
        (line,) = [line for line in paused.out.splitlines() if "skipped" in line]
        assert str(bad) in line
        aside = bad.with_name(f"skipped-{bad.name}")
        assert {*run.glob("checkpoints/*")} >= {*before} | {aside}
        assert aside.is_dir() == (flaw == "a folder")
        assert load_state(bad)["step"] == 2  # made again
        assert train(run, *words).status == 0
        assert os.path.lexists(aside)
        assert train(straight, *words).status == 0
        assert_same_state(run, straight)
        assert untimed(run) == untimed(straight)

    def test_what_is_newer_stays_and_crowds_nothing_out(
        self, tmp_path: Path, tiny_pairs: Path, train: Command
    ) -> None:
        run = tmp_path / "run"
        words = ["--data", tiny_pairs, *EACH_STEP]
        assert train(run, *words, "--max-steps", 2).status == 0
        later = run / "checkpoints/state-00000009.safetensors"
        later.write_bytes(b"of another program")
        assert train(run, "--resume", "--max-steps", 5).status == 0
        names = sorted(path.name for path in run.glob("checkpoints/*state-*"))
        assert names == [f"state-{step:08d}.safetensors" for step in (4, 5, 9)]
        assert train(run, "--resume", "--max-steps", 12).status == 0
        names = sorted(path.name for path in run.glob("checkpoints/*state-*"))
        assert names == [
            f"{name}.safetensors"
            for name in ("skipped-state-00000009", "state-00000011", "state-00000012")
        ]

    def test_all_of_them(self, tmp_path: Path, tiny_pairs: Path, train: Command) -> None:
        """Nothing is begun over a run that cannot be gone on with."""
        run = tmp_path / "run"
        assert train(run, "--data", tiny_pairs, "--max-steps", 3, *EACH_STEP).status == 0
        for path in run.glob("checkpoints/state-*"):
            path.write_bytes(path.read_bytes()[:-9])
        before = {path: path.read_bytes() for path in run.glob("checkpoints/*")}
        outcome = train(run, "--resume", "--max-steps", 9)
        assert outcome.status == 2
        assert "every state is damaged" in outcome.err
        assert outcome.err.count("\n") == 1
        assert {path: path.read_bytes() for path in run.glob("checkpoints/*")} == before

    def test_a_number_in_the_header(self, tmp_path: Path, tiny_pairs: Path, train: Command) -> None:
        """It is under the checksum, too."""
        run = tmp_path / "run"
        assert train(run, "--data", tiny_pairs, "--max-steps", 3, *EACH_STEP).status == 0
        content = newest(run).read_bytes()
        # The state's step, as JSON within JSON.
        assert content.count(rb"[\"step\", 3]") == 1
        newest(run).write_bytes(content.replace(rb"[\"step\", 3]", rb"[\"step\", 1]"))
        outcome = train(run, "--resume", "--max-steps", 9, "--stop-after", 0)
        assert "its checksum does not match" in outcome.out

    def test_leftovers_are_only_our_own(
        self, tmp_path: Path, tiny_pairs: Path, train: Command
    ) -> None:
        run = tmp_path / "run"
        assert train(run, "--data", tiny_pairs, "--max-steps", 1).status == 0
        (run / "checkpoints" / ".img2img-part-abc").mkdir()
        (run / "notes" / ".part-time").mkdir(parents=True)
        assert train(run, "--resume", "--max-steps", 2).status == 0
        assert not (run / "checkpoints" / ".img2img-part-abc").exists()
        assert (run / "notes" / ".part-time").exists()


# -- numbers that are not finite -----------------------------------------------------------------


class NotANumberBackwards(torch.autograd.Function):
    """The same forward, and a gradient that is not a number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * float("nan")


class Poisoned(LSGAN):
    """LSGAN whose generator's loss goes wrong at some steps."""

    steps: ClassVar[set[int]] = set()
    """Of the process, counted from 1."""
    gradient_only: ClassVar[bool] = False
    calls: ClassVar[int] = 0

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        loss = super().g_loss(real_logits, fake_logits, valid)
        if not torch.is_grad_enabled():
            return loss
        type(self).calls += 1
        step = type(self).calls - 2  # two are the trial's
        if step not in self.steps:
            return loss
        if not self.gradient_only:
            return loss / 0
        bad: Tensor = NotANumberBackwards.apply(loss)
        return bad


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> type[Poisoned]:
    parts = dict(OBJECTIVES._parts)
    monkeypatch.setattr(OBJECTIVES, "_own", parts)
    OBJECTIVES.register("poisoned")(Poisoned)
    for name, value in (("steps", set()), ("gradient_only", False), ("calls", 0)):
        monkeypatch.setattr(Poisoned, name, value)
    return Poisoned


POISONED = ["--set", "objective.name=poisoned"]


class TestNotFinite:
    @pytest.mark.parametrize("gradient_only", [False, True])
    @pytest.mark.parametrize("log_every", [1, 50])
    def test_stops_before_a_checkpoint_is_overwritten(
        self,
        tmp_path: Path,
        tiny_pairs: Path,
        train: Command,
        poisoned: type[Poisoned],
        gradient_only: bool,
        log_every: int,
    ) -> None:
        poisoned.steps, poisoned.gradient_only = {4}, gradient_only
        run = tmp_path / "run"
        words = ["--max-steps", 9, "--set", f"metrics.log_every={log_every}"]
        words += ["--set", "checkpoint.every=2", *POISONED]
        outcome = train(run, "--data", tiny_pairs, *words)
        assert outcome.status == 1
        assert outcome.err.count("\n") == 1
        assert "training has diverged" in outcome.err
        # Its length is in the log where there is a line for the step.
        gradient = "G/gradient is nan" if log_every == 1 else "the gradient of G"
        assert (gradient if gradient_only else "step 4: G/adv is inf") in outcome.err
        assert str(newest(run)) in outcome.err
        assert load_state(newest(run))["step"] == 2
        weights = load_model(run).tensors["G"]
        assert all(weight.isfinite().all() for weight in weights.values())
        poisoned.steps = set()
        assert train(run, "--resume").status == 0

    def test_a_gradient_between_two_checkpoints(
        self, tmp_path: Path, tiny_pairs: Path, train: Command, poisoned: type[Poisoned]
    ) -> None:
        """Shows in the next step's losses."""
        poisoned.steps, poisoned.gradient_only = {3}, True
        words = ["--max-steps", 9, "--set", "metrics.log_every=4", "--set", "checkpoint.every=2"]
        words += POISONED
        outcome = train(tmp_path / "run", "--data", tiny_pairs, *words)
        assert outcome.status == 1
        assert "step 4: D/adv is nan" in outcome.err

    @pytest.mark.parametrize("gradient_only", [False, True])
    def test_skipped(
        self,
        tmp_path: Path,
        tiny_pairs: Path,
        train: Command,
        poisoned: type[Poisoned],
        gradient_only: bool,
    ) -> None:
        poisoned.steps, poisoned.gradient_only = {3, 5, 6}, gradient_only
        run = tmp_path / "run"
        words = ["--max-steps", 8, *EACH_STEP, "--set", "checkpoint.keep=9", *POISONED]
        outcome = train(run, "--data", tiny_pairs, "--on-nonfinite", "skip", *words)
        assert outcome.status == 0, outcome.err
        what = "G/gradient is nan" if gradient_only else "G/adv is inf"
        assert f"step 3: {what}: skipped, 1 so far" in outcome.out
        lines = [line["step"] for line in untimed(run) if "G/adv" in line]
        assert lines == [1, 2, 4, 7, 8]
        models = [load_model(path).tensors["G"] for path in sorted(run.glob("checkpoints/model-*"))]
        moved = [
            any(not torch.equal(one[key], other[key]) for key in one if "running" not in key)
            for one, other in pairwise(models)
        ]
        assert moved == [True, False, True, False, False, True, True]

    def test_not_for_ever(
        self, tmp_path: Path, tiny_pairs: Path, train: Command, poisoned: type[Poisoned]
    ) -> None:
        poisoned.steps = set(range(3, 99))
        words = ["--max-steps", 90, "--on-nonfinite", "skip", *POISONED]
        outcome = train(tmp_path / "run", "--data", tiny_pairs, *words)
        assert outcome.status == 1
        assert "20 steps in a row were skipped" in outcome.err

    def test_skipping_changes_nothing_where_all_is_well(
        self, tmp_path: Path, tiny_pairs: Path, train: Command
    ) -> None:
        for way in ("stop", "skip"):
            words = ["--data", tiny_pairs, "--max-steps", 3, "--on-nonfinite", way]
            assert train(tmp_path / way, *words).status == 0
        assert_same_state(tmp_path / "stop", tmp_path / "skip")


@pytest.mark.parametrize("way", ["stop", "skip"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_loss_scaling_overflows_now_and_then(
    tmp_path: Path,
    tiny_pairs: Path,
    train: Command,
    poisoned: type[Poisoned],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    clip: float | None,
) -> None:
    """Gradients are infinite at first, as float16 lets them be: that is no end."""
    poisoned.steps = {6} if way == "skip" else set()
    scaler = partial(torch.amp.GradScaler, init_scale=1e38)
    monkeypatch.setattr(
        torch.amp, "GradScaler", lambda device, enabled: scaler(device, enabled=True)
    )
    words = ["--max-steps", 9, "--on-nonfinite", way, *EACH_STEP, *POISONED]
    words += ["--set", f"optimizer.clip={'null' if clip is None else clip}"]
    outcome = train(tmp_path / "run", "--data", tiny_pairs, *words)
    assert outcome.status == 0, outcome.err
    assert ("step 6: G/adv is inf: skipped" in outcome.out) == (way == "skip")
    state = load_state(newest(tmp_path / "run"))
    assert state["precision"]["scale"] < 1e38
    weights = load_model(tmp_path / "run").tensors["G"]
    assert all(weight.isfinite().all() for weight in weights.values())


# -- files that go bad while it trains -----------------------------------------------------------


class Spoil(Observer):
    """Makes a file unreadable once a step is done, and keeps what is noticed."""

    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step
        self.notices: list[str] = []

    def stepped(self, progress: Progress) -> None:
        if progress.step == self.step:
            self.path.write_bytes(self.path.read_bytes()[:40])

    def noticed(self, message: str) -> None:
        self.notices.append(message)


def small_config(root: Path, **flags: object) -> Any:
    given = {
        "data.root": root,
        "data.holdout": "none",
        "data.workers": 0,
        "schedule.total_epochs": 3,
        "generator.ngf": 2,
        "generator.num_downs": 2,
        "discriminator.ndf": 2,
        "discriminator.n_layers": 1,
        "metrics.tensorboard": False,
        "precision": "fp32",
        "device": "cpu",
    }
    return load_config("pix2pix", flags=given | flags)


class TestSpoiltFile:
    """In the middle of the second of three epochs of six pairs."""

    def test_stops_with_its_state_saved(self, pairs_folder: Path, tmp_path: Path) -> None:
        spoilt = pairs_folder / "B" / "3.png"
        whole = spoilt.read_bytes()
        run = tmp_path / "run"
        with pytest.raises(DataError, match=r"B/3\.png.*is saved.*`data.skip_bad`") as caught:
            train_in_python(small_config(pairs_folder), run, observers=[Spoil(spoilt, 8)])
        assert "\n" not in str(caught.value)
        step = load_state(newest(run))["step"]
        assert 8 <= step < 18
        assert f"step {step} is saved" in str(caught.value)
        # Mended, it ends as a run to which nothing happened.
        spoilt.write_bytes(whole)
        train_in_python(small_config(pairs_folder), run, resume=True)
        train_in_python(small_config(pairs_folder), tmp_path / "straight")
        assert_same_state(run, tmp_path / "straight")

    @pytest.mark.parametrize("workers", [0, 1])
    def test_passed_over(self, pairs_folder: Path, tmp_path: Path, workers: int) -> None:
        config = small_config(pairs_folder, **{"data.skip_bad": True, "data.workers": workers})
        spoil = Spoil(pairs_folder / "B" / "3.png", 6)
        summary = train_in_python(config, tmp_path / "run", observers=[spoil])
        assert summary.steps == 18
        told = [n for n in spoil.notices if "3.png" in n and n.startswith("skipped (")]
        assert told[0].startswith("skipped (1 so far): ")
        assert any("a file could not be read, and another was used" in n for n in spoil.notices)
        # Once in each of the two epochs that are left, if no worker has read it in advance.
        assert len(told) == 2 or workers

    @pytest.mark.parametrize("skip_bad", [False, True])
    def test_held_out(self, pairs_folder: Path, tmp_path: Path, skip_bad: bool) -> None:
        flags = {"data.holdout": 0.2, "metrics.every": 2, "data.skip_bad": skip_bad}
        config = small_config(pairs_folder, **flags, **{"schedule.total_epochs": 1})
        (held_out,) = PairedData.find(config.data, config.seed).held_out
        spoil = Spoil(held_out.A.path, 1)
        run = tmp_path / "run"
        if skip_bad:
            assert train_in_python(config, run, observers=[spoil]).steps == 5
        else:
            with pytest.raises(DataError, match="step 2 is saved"):
                train_in_python(config, run, observers=[spoil])
            assert load_state(newest(run))["step"] == 2
        assert any("held-out images were not evaluated" in notice for notice in spoil.notices)

    def test_everything_spoilt(self, pairs_folder: Path, tmp_path: Path) -> None:
        """Does not go round for ever."""

        class SpoilAll(Observer):
            def stepped(self, progress: Progress) -> None:
                for path in pairs_folder.rglob("*.png"):
                    path.write_bytes(b"")

        config = small_config(pairs_folder, **{"data.skip_bad": True})
        with pytest.raises(DataError, match="is empty"):
            train_in_python(config, tmp_path / "run", observers=[SpoilAll()])
        assert newest(tmp_path / "run").name == "state-00000001.safetensors"


# -- starting from another model -----------------------------------------------------------------


class TestInitFrom:
    # So small a rate that a step changes nothing that counts.
    STILL: ClassVar = ["--max-steps", 1, "--set", "optimizer.lr=1e-12"]

    def weights(self, run: Path, name: str = "G") -> dict[str, Tensor]:
        tensors = load_model(run).tensors[name]
        return {key: value for key, value in tensors.items() if key.endswith(("weight", "bias"))}

    def test_the_same_networks(
        self, tmp_path: Path, tiny_pairs: Path, tiny_run: Path, train: Command
    ) -> None:
        run = tmp_path / "run"
        outcome = train(run, "--data", tiny_pairs, "--init-from", tiny_run, *self.STILL)
        assert outcome.status == 0, outcome.err
        assert f"G starts from G of {tiny_run}" in outcome.out
        assert "do not match" not in outcome.out
        mine, theirs = self.weights(run), self.weights(tiny_run)
        assert max((mine[key] - theirs[key]).abs().max() for key in mine) < 1e-9

    def test_other_layers_are_listed(
        self, tmp_path: Path, tiny_pairs: Path, tiny_run: Path, train: Command
    ) -> None:
        wider = ["--set", "generator.num_downs=4"]
        run = tmp_path / "run"
        words = ["--data", tiny_pairs, "--init-from", tiny_run / "model.safetensors", *wider]
        outcome = train(run, *words, *self.STILL)
        assert outcome.status == 0, outcome.err
        (line,) = [line for line in outcome.out.splitlines() if "do not match" in line]
        mine, theirs = self.weights(run), self.weights(tiny_run)
        common = [k for k in theirs if k in mine and mine[k].shape == theirs[k].shape]
        assert common
        assert all((mine[key] - theirs[key]).abs().max() < 1e-9 for key in common)
        listed = line.partition("do not match: ")[2]
        assert all(
            key in mine.keys() ^ theirs.keys() or key not in common
            for key in listed.rpartition(" (")[0].removesuffix(", ...").split(", ")
        )

    def test_by_direction(
        self, tmp_path: Path, tiny_pairs: Path, tiny_run: Path, tiny: list[str], img2img: Command
    ) -> None:
        """A pix2pix that goes from A to B starts one half of a cyclegan."""
        run = tmp_path / "run"
        words = ["--data", tiny_pairs, "--init-from", tiny_run, *tiny, *self.STILL]
        unet = ["--set", "generator.name=unet", "--set", "generator.norm=batch"]
        outcome = img2img("train", "cyclegan", "--output", run, *words, *unet)
        assert outcome.status == 0, outcome.err
        assert "G_AB starts from G of" in outcome.out
        assert "G_BA starts from random weights" in outcome.out
        mine, theirs = self.weights(run, "G_AB"), self.weights(tiny_run)
        assert (mine["model.model.0.weight"] - theirs["model.model.0.weight"]).abs().max() < 1e-9

    def test_nothing_fits(
        self, tmp_path: Path, tiny_pairs: Path, tiny_run: Path, tiny: list[str], img2img: Command
    ) -> None:
        words = ["--data", tiny_pairs, "--set", "generator.name=resnet", *tiny[4:]]
        train = ["train", "pix2pix", "--output", tmp_path / "run", *words]
        other = img2img(*train, "--init-from", tiny_run)
        assert other.status == 2
        assert "--set generator.name=unet --set generator.ngf=4" in other.err
        missing = img2img(*train, "--init-from", tmp_path / "none")
        assert missing.status == 2
        assert "none: no such file" in missing.err
        assert (other.err + missing.err).count("\n") == 2


# -- clipping ------------------------------------------------------------------------------------


def test_clipped(tmp_path: Path, tiny_pairs: Path, train: Command) -> None:
    seen: list[float] = []

    def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        norms = [weight.grad.norm() for weight in weights if weight.grad is not None]
        seen.append(float(torch.stack(norms).norm()))

    run = tmp_path / "run"
    words = ["--data", tiny_pairs, "--max-steps", 3, *EACH_STEP, "--set", "optimizer.clip=0.01"]
    hook = register_optimizer_step_pre_hook(look)
    try:
        assert train(run, *words).status == 0
    finally:
        hook.remove()
    assert len(seen) == 6
    assert max(seen) <= 0.0101
    assert max(seen) > 0.0099  # else there was nothing to clip
    norms = [line["G/gradient"] for line in untimed(run) if "G/gradient" in line]
    assert len(norms) == 3
    assert all(norm > 0.01 for norm in norms)  # as they were before
    assert np.isfinite(norms).all()
