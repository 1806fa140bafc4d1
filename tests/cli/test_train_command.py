"""`img2img train`: what a run leaves, how long it is, and how it is stopped and gone on with."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

import img2img as package
from img2img.config import RunConfig
from img2img.models.checkpoint import load_model, load_state
from img2img.networks.unet import UNetGenerator
from img2img.runs.log import read_log
from img2img.training.stopping import stop_on_signals
from tests.runs import assert_same, flat, lines, newest, untimed

Command = Callable[..., Any]
MakeImage = Callable[..., Path]


def settings(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    return found


class TestRunFolder:
    def test_holds_what_is_promised(self, tiny_run: Path) -> None:
        assert {path.name for path in tiny_run.iterdir()} == {
            "best.safetensors",
            "checkpoints",
            "config.yaml",
            "facts.json",
            "losses.png",
            "metrics.jsonl",
            "model.safetensors",
            "samples",
            "tensorboard",
        }
        checkpoints = sorted(path.name for path in (tiny_run / "checkpoints").iterdir())
        assert checkpoints == ["model-00000003.safetensors", "state-00000003.safetensors"]
        assert [path.name for path in (tiny_run / "samples").iterdir()] == ["step-00000003.png"]
        for picture in (tiny_run / "losses.png", tiny_run / "samples" / "step-00000003.png"):
            with Image.open(picture) as image:
                image.load()
                assert min(image.size) > 32

    def test_config_is_resolved_and_can_be_read_again(self, tiny_run: Path) -> None:
        found = settings(tiny_run)
        for key in ("device", "precision"):
            assert found[key] != "auto"
        for key in ("load_size", "crop_size", "workers"):
            assert found["data"][key] != "auto"
        assert found["generator"]["num_downs"] == 3
        assert Path(found["data"]["root"]).is_absolute()
        assert RunConfig.model_validate(found).schedule.steps == 3

    def test_metrics_are_in_order(self, tiny_run: Path) -> None:
        found = lines(tiny_run)
        assert [line["step"] for line in found] == [1, 2, 3, 3, 3]
        assert [line["images"] for line in found] == [1, 2, 3, 3, 3]
        for line in found[:-2]:
            assert {"G/adv", "G/l1", "D/adv", "D/real", "D/fake", "lr", "seconds"} <= set(line)
        assert "val/l1" in found[-2]
        assert "diagnostics/change" in found[-1]

    def test_tensorboard_has_the_curves_and_the_samples(self, tiny_run: Path) -> None:
        from tensorboard.backend.event_processing import (  # type: ignore[import-untyped]
            event_accumulator,
        )

        events = event_accumulator.EventAccumulator(str(tiny_run / "tensorboard"))
        events.Reload()
        assert {"G/l1", "D/adv", "val/l1", "lr"} <= set(events.Tags()["scalars"])
        assert events.Tags()["images"] == ["samples"]
        logged = [line["G/l1"] for line in lines(tiny_run) if "G/l1" in line]
        assert [e.value for e in events.Scalars("G/l1")] == pytest.approx(logged)

    def test_model_is_the_average_and_says_how_it_was_made(self, tiny_run: Path) -> None:
        model = load_model(tiny_run)
        spec = model.specs["G"]
        assert (spec.steps, spec.images, spec.crop_size, spec.method) == (3, 3, (32, 32), "pix2pix")
        assert load_model(tiny_run / "best.safetensors").specs["G"].steps == 3

    def test_tensorboard_can_be_left_out(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        run = tmp_path / "run"
        assert (
            train(
                run, "--data", tiny_pairs, "--max-steps", 1, "--set", "metrics.tensorboard=false"
            ).status
            == 0
        )
        assert not (run / "tensorboard").exists()

    def test_as_many_checkpoints_as_asked_for_are_kept(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        run = tmp_path / "run"
        every = ["--set", "checkpoint.every=1", "--set", "checkpoint.keep=3"]
        more = ["--set", "samples.every=2", "--set", "metrics.every=3"]
        assert train(run, "--data", tiny_pairs, "--max-steps", 5, *every, *more).status == 0
        names = sorted(path.stem for path in (run / "checkpoints").iterdir())
        assert names == [
            "model-00000003",
            "model-00000004",
            "model-00000005",
            "state-00000004",
            "state-00000005",
        ]
        assert len(list((run / "samples").iterdir())) == 3  # 2, 4 and the last
        assert [line["step"] for line in lines(run) if "val/l1" in line] == [3, 5]


class TestSettings:
    def test_flags_reach_the_configuration(
        self, tmp_path: Path, img2img: Command, tiny_pairs: Path
    ) -> None:
        run = tmp_path / "run"
        flags = {
            "--max-epochs": 1,
            "--device": "cpu",
            "--precision": "fp32",
            "--direction": "BtoA",
            "--batch-size": 2,
            "--crop-size": 16,
            "--load-size": 24,
            "--workers": 0,
            "--seed": 11,
        }
        words = [word for flag, value in flags.items() for word in (flag, value)]
        folders = ["--data-a", tiny_pairs / "A", "--data-b", tiny_pairs / "B", "--skip-bad"]
        small = ["generator.ngf=4", "discriminator.ndf=4", "discriminator.n_layers=1"]
        sets = [word for assignment in small for word in ("--set", assignment)]
        outcome = img2img("train", "pix2pix", "--output", run, *folders, *words, *sets)
        assert outcome.status == 0, outcome.err
        found = settings(run)
        assert (found["device"], found["precision"], found["seed"]) == ("cpu", "fp32", 11)
        data = found["data"]
        assert (data["root"], data["skip_bad"]) == (None, True)
        assert data["root_a"] == str(tiny_pairs / "A")
        assert (data["crop_size"], data["load_size"]) == ([16, 16], [24, 24])
        assert (data["direction"], data["batch_size"], data["workers"]) == ("BtoA", 2, 0)
        assert load_model(run).specs["G"].direction == "BtoA"
        # 6 pairs, 1 held out: an epoch of 5 is 3 steps of 2.
        assert (load_model(run).specs["G"].steps, found["schedule"]["total_epochs"]) == (3, 1)

    def test_set_wins_over_flags_and_these_over_the_file(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text("seed: 1\ndata: {batch_size: 2}\nschedule: {steps: 50}\nmethod: pix2pix\n")
        given = ["--config", file, "--seed", 2, "--max-steps", 4, "--set", "schedule.steps=1"]
        assert train(tmp_path / "run", "--data", tiny_pairs, *given).status == 0
        found = settings(tmp_path / "run")
        assert (found["seed"], found["data"]["batch_size"]) == (2, 2)
        assert found["schedule"]["steps"] == 1

    def test_direction_swaps_input_and_target(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        both = {}
        for way, root in (("AtoB", "AB"), ("BtoA", "BA")):
            folders = ["--data-a", tiny_pairs / root[0], "--data-b", tiny_pairs / root[1]]
            run = tmp_path / way
            assert train(run, *folders, "--max-steps", 2, "--direction", way).status == 0
            both[way] = load_model(run).tensors["G"]
            assert load_model(run).specs["G"].direction == way
        assert_same(both["AtoB"], both["BtoA"])

    def test_activation_checkpointing_changes_no_weight(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        found = []
        for name in ("kept", "recomputed"):
            given = ["--max-steps", 2, "--set", "generator.norm=instance"]
            given += ["--set", f"activation_checkpointing={name == 'recomputed'}"]
            assert train(tmp_path / name, "--data", tiny_pairs, *given).status == 0
            found.append(load_model(tmp_path / name).tensors["G"])
        assert_same(*found)

    @pytest.mark.parametrize("begun", [False, True])
    def test_networks_that_do_not_fit_into_memory(
        self,
        tmp_path: Path,
        train: Command,
        tiny_pairs: Path,
        monkeypatch: pytest.MonkeyPatch,
        begun: bool,
    ) -> None:
        run, forward = tmp_path / "run", UNetGenerator.forward

        def limited(network: UNetGenerator, x: Tensor, style: Tensor | None = None) -> Tensor:
            if not begun or (run / "metrics.jsonl").is_file():
                raise torch.OutOfMemoryError("out of memory: tried to allocate 2.00 GiB")
            return forward(network, x, style)

        monkeypatch.setattr(UNetGenerator, "forward", limited)
        outcome = train(run, "--data", tiny_pairs, "--set", "metrics.log_every=1")
        assert outcome.status == 2
        assert "error: not enough memory for batches of 1 crops of 32 x 32: lower" in outcome.err
        assert "--batch-size or --crop-size" in outcome.err

    def test_wandb_must_be_installed_to_be_asked_for(
        self, tmp_path: Path, train: Command, tiny_pairs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "wandb", None)
        run = tmp_path / "run"
        outcome = train(run, "--data", tiny_pairs, "--set", "metrics.wandb=true")
        assert outcome.status == 2
        assert outcome.err.startswith("error: metrics.wandb: ")
        assert "pip install" in outcome.err
        assert outcome.err.count("\n") == 1
        assert not run.exists()

    def test_bad_files_can_be_left_out(
        self, tmp_path: Path, train: Command, pairs_folder: Path
    ) -> None:
        (pairs_folder / "A" / "lonely.png").write_bytes((pairs_folder / "A/0.png").read_bytes())
        (pairs_folder / "B" / "1.png").write_text("no image")  # the one that seed 0 holds out
        run = tmp_path / "run"
        given = ["--data", pairs_folder, "--max-steps", 1]
        assert train(run, *given).status == 2
        assert not run.exists()
        outcome = train(run, *given, "--skip-bad")
        assert outcome.status == 0
        assert "left out:" in outcome.out
        assert "lonely.png" in outcome.out
        assert "B/1.png" in outcome.out
        assert (run / "samples").exists()  # another is held out in its place


class TestBeforeTheFirstStep:
    def test_facts_are_told(self, tmp_path: Path, train: Command, tiny_pairs: Path) -> None:
        out = train(tmp_path / "run", "--data", tiny_pairs, "--max-steps", 1).out
        for word in (
            "5 pairs to train, 1 held out",
            "32 x 32",
            "parameters",
            "memory",
            "disk",
            "time",
        ):
            assert word in " ".join(out.split())
        assert "A/ + B/" in out

    def test_a_step_and_the_end_are_told(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        out = train(tmp_path / "run", "--data", tiny_pairs, "--max-steps", 2).out
        assert "step 2/2" in out
        assert "G/l1" not in out
        told = train(tmp_path / "told", "--data", tiny_pairs, "--max-steps", 1, "-v").out
        assert "G/l1" in told
        run = tmp_path / "run"
        assert f"model: {run / 'model.safetensors'}\n" in out
        assert f"use it: img2img translate --model {run} --input FOLDER" in out


class TestLength:
    def test_in_minutes_is_turned_into_steps(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        run = tmp_path / "run"
        given = ["--data", tiny_pairs, "--max-minutes", 0.01]
        assert train(run, *given).status == 0
        found = settings(run)["schedule"]
        assert found["minutes"] == 0.01
        steps = load_model(run).specs["G"].steps
        assert found["measured_steps"] == steps >= 1
        assert sum(line.get("lr", 0) > 0 for line in lines(run)) >= 1
        # It is not measured again.
        again = train(run, *given, "--resume")  # the very command, with --resume
        assert "finished" in again.out
        assert load_model(run).specs["G"].steps == steps

    def test_can_be_raised_later(self, tmp_path: Path, train: Command, tiny_pairs: Path) -> None:
        run = tmp_path / "run"
        assert train(run, "--data", tiny_pairs, "--max-steps", 1).status == 0
        assert train(run, "--max-epochs", 1, "--resume").status == 0
        assert load_model(run).specs["G"].steps == 5


class TestResume:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_ends_as_if_it_had_never_stopped(
        self, tmp_path: Path, train: Command, make_image: MakeImage, workers: int
    ) -> None:
        """Paused after every step; with dropout, an average and a batch over an epoch's end."""
        for number in range(4):
            for domain in "AB":
                make_image(f"pairs/{domain}/{number}.png", (64, 64), seed=10 * number)
        given = {
            "generator.num_downs": 6,  # the least depth with a dropout
            "ema.half_life": 3,
            "data.workers": workers,
            "data.batch_size": 2,
            "data.augment.color": "[{name: GaussNoise, p: 1}]",
            "metrics.log_every": 1,
        }
        words = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
        straight, paused = tmp_path / "straight", tmp_path / "paused"
        begin = ["--data", tmp_path / "pairs", "--max-steps", 4, *words]
        assert train(straight, *begin).status == 0
        assert train(paused, *begin, "--stop-after", 0).status == 75
        for step in (2, 3):
            outcome = train(paused, *begin, "--resume", "--stop-after", 0)
            assert outcome.status == 75
            assert f"step {step} is saved" in outcome.err
        assert train(paused, *begin, "--resume").status == 0

        assert untimed(paused) == untimed(straight)
        state = flat(load_state(newest(straight)))
        assert any("exp_avg" in place for place in state)
        assert_same(flat(load_state(newest(paused))), state)
        assert_same(load_model(paused).tensors["G"], load_model(straight).tensors["G"])

    def test_needs_no_flags(
        self, tmp_path: Path, img2img: Command, train: Command, tiny_pairs: Path
    ) -> None:
        run = tmp_path / "run"
        given = ["--data", tiny_pairs, "--max-steps", 2, "--seed", 5]
        paused = train(run, *given, "--stop-after", 0)
        assert paused.status == 75
        command = f"img2img train --resume {run}"
        told = f"note: stopped by --stop-after; step 1 is saved; resume with: {command}\n"
        assert paused.err == told
        assert img2img("train", "pix2pix", "--output", run, "--resume").status == 0
        assert settings(run)["seed"] == 5
        assert load_model(run).specs["G"].steps == 2

    @pytest.mark.parametrize("words", ["--resume {}", "{} --resume", "--output {} --resume"])
    def test_a_run_says_itself_which_method_it_is_of(
        self, tmp_path: Path, img2img: Command, train: Command, tiny_pairs: Path, words: str
    ) -> None:
        run = tmp_path / "run"
        assert train(run, "--data", tiny_pairs, "--max-steps", 1).status == 0
        given = words.format(run).split()
        assert img2img("train", *given, "--max-steps", 2).status == 0
        assert load_model(run).specs["G"].steps == 2

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ("", "METHOD is missing: img2img train pix2pix"),
            ("--resume", "--resume: name the run folder, as in: img2img train --resume runs/mine"),
            (
                "--resume none",
                "--resume none: not a run folder, because none/config.yaml does not exist;",
            ),
            ("--resume pix2pics", "pix2pics/config.yaml does not exist (did you mean 'pix2pix'?)"),
            ("$run", "$run is a run folder; to resume it: img2img train --resume $run"),
            (
                "--resume $run --output x",
                "--resume $run --output x: these are two run folders; give only one",
            ),
            ("--resume bad", "method: unknown method"),
        ],
    )
    def test_of_no_run(
        self, tmp_path: Path, img2img: Command, tiny_run: Path, words: str, told: str
    ) -> None:
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "config.yaml").write_text("method: [1, 2]")
        words = words.replace("bad", str(tmp_path / "bad"))
        refused = img2img("train", *words.replace("$run", str(tiny_run)).split())
        assert (refused.status, refused.out) == (2, "")
        assert told.replace("$run", str(tiny_run)) in refused.err
        assert refused.err.count("\n") == 1

    def test_of_nothing_starts(self, tmp_path: Path, train: Command, tiny_pairs: Path) -> None:
        run = tmp_path / "run"
        assert train(run, "--data", tiny_pairs, "--max-steps", 1, "--resume").status == 0
        assert load_model(run).specs["G"].steps == 1

    def test_of_a_finished_run_says_so(self, img2img: Command, tiny_run: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}
        outcome = img2img("train", "pix2pix", "--output", tiny_run, "--resume")
        assert outcome.status == 0
        assert "finished" in outcome.out
        assert outcome.err == ""
        assert {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")} == before

    def test_a_change_of_settings_is_told(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        run = tmp_path / "run"
        assert train(run, "--data", tiny_pairs, "--max-steps", 1).status == 0
        changed = train(run, "--resume", "--max-steps", 2, "--set", "optimizer.lr=1e-3")
        assert changed.status == 0
        told = " ".join(changed.out.split())
        change = "optimizer.lr was 0.0002 when the run was started, and is 0.001 now"
        assert change in told
        (line,) = (each for each in read_log(run / "metrics.jsonl") if "changed" in each)
        assert line["step"] == 1
        assert {"key": "optimizer.lr", "before": 0.0002, "after": 0.001} in line["changed"]
        nothing = train(tmp_path / "new", "--resume", "--data", tiny_pairs, "--max-steps", 1)
        assert "has no state to resume, so a new run starts" in " ".join(nothing.out.split())

    def test_with_other_networks_is_refused(
        self, tmp_path: Path, train: Command, tiny_run: Path
    ) -> None:
        outcome = train(tiny_run, "--resume", "--max-steps", 9, "--set", "generator.ngf=5")
        assert outcome.status == 2
        assert outcome.err.count("\n") <= 2
        assert "generator.ngf: the run was started with 4, not 5" in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
class TestSignals:
    def test_ask_between_steps_and_only_once(self) -> None:
        from img2img.errors import TrainingInterrupted
        from img2img.training.stopping import StopRequest

        stop = StopRequest()
        # What runs in the background may have been told to ignore it.
        found = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with stop_on_signals(stop):
                signal.raise_signal(signal.SIGINT)
                assert stop.asked()
                with pytest.raises(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        finally:
            signal.signal(signal.SIGINT, found)
        assert isinstance(stop.error("", Path("run")), TrainingInterrupted)

    def test_a_time_limit_waits_for_the_first_step(self) -> None:
        """However long its images take to come: else a run that is resumed again never goes on."""
        from img2img.training.stopping import StopRequest

        stop = StopRequest(0)
        assert not stop.asked()
        stop.stepped = True
        assert stop.asked()
        asked = StopRequest(0)
        asked.ask("Ctrl-C")
        assert asked.asked()


def test_library_trains_without_the_command_line(tmp_path: Path, tiny_pairs: Path) -> None:
    config = package.load_config(
        "pix2pix",
        flags={"data.root": tiny_pairs, "generator.ngf": 4, "discriminator.ndf": 4},
        assignments=["generator.num_downs=2", "data.workers=0", "schedule.steps=1"],
    )
    summary = package.train(config, tmp_path / "run")
    assert summary.steps == 1
    picture = package.Picture(np.zeros((5, 7, 3), np.uint8))
    assert package.Translator.load(tmp_path / "run").translate(picture).size == (5, 7)
