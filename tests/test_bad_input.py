"""Everything that people give to a program by mistake: one clear line each, and nothing lost."""

import errno
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from img2img.models import checkpoint
from img2img.models.checkpoint import load_model, load_state
from img2img.training import observers
from tests.conftest import Draw
from tests.runs import newest

Command = Callable[..., Any]
MakeImage = Callable[..., Path]

LAYOUTS = ("train/A + train/B", "trainA + trainB", "A + B", "side by side")


def refused(outcome: Any, *words: str, lines: int = 1) -> None:
    """Exit status 2, and at most so many lines on standard error, which say these words."""
    assert outcome.status == 2, outcome.out
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") <= lines, outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


class TestFolder:
    @pytest.mark.parametrize("command", ["train", "data check", "data preview"])
    def test_without_images(
        self, tmp_path: Path, img2img: Command, command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("empty", "texts"):
            (tmp_path / name).mkdir()
        (tmp_path / "texts" / "a.txt").write_text("no image")
        words = [*command.split(), *(["pix2pix"] if command == "train" else [])]
        for name in ("missing", "empty", "texts", "texts/a.txt"):
            refused(img2img(*words, "--data", name), f"{name}: ", *LAYOUTS)
        assert not (tmp_path / "runs").exists()

    def test_not_given_at_all(
        self, tmp_path: Path, img2img: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        refused(img2img("train", "pix2pix"), "--data")
        refused(img2img("data", "check"), "--data")
        refused(img2img("train", "pix2pix", "--data-a", "A"), "--data-b is missing")

    def test_domains_without_images(self, tmp_path: Path, train: Command) -> None:
        (tmp_path / "pairs" / "A").mkdir(parents=True)
        (tmp_path / "pairs" / "B").mkdir()
        refused(train(tmp_path / "run", "--data", tmp_path / "pairs"), str(tmp_path / "pairs/A"))

    def test_method_that_is_none(self, img2img: Command, tiny_pairs: Path) -> None:
        refused(img2img("train", "pix3pix", "--data", tiny_pairs), "pix3pix", "pix2pix")


class TestUnmatched:
    def test_names_count_and_the_way_on(
        self, tmp_path: Path, train: Command, make_image: MakeImage
    ) -> None:
        make_image("pairs/B/same.png")
        make_image("pairs/A/same.jpg")
        for number in range(12):
            make_image(f"pairs/A/{number}.png")
        outcome = train(tmp_path / "run", "--data", tmp_path / "pairs")
        refused(outcome, "0.png", "2.png", "(12)", "--skip-bad", lines=2)
        assert "3.png" not in outcome.err
        assert "same" not in outcome.err


class TestBrokenFiles:
    @pytest.fixture
    def broken(self, tmp_path: Path, make_image: MakeImage) -> dict[str, Path]:
        """A folder of pairs of which three have a file that does not decode."""
        for name in ("good", "fine", "cut", "zero", "text"):
            for domain in "AB":
                make_image(f"pairs/{domain}/{name}.png", (32, 32))
        folder = tmp_path / "pairs"
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32)).save(buffer, "JPEG")
        (folder / "A" / "cut.png").unlink()
        (folder / "A" / "cut.jpg").write_bytes(buffer.getvalue()[:-150])
        (folder / "B" / "zero.png").write_bytes(b"")
        (folder / "B" / "text.png").write_text("hello")
        return {name: folder / name for name in ("A/cut.jpg", "B/zero.png", "B/text.png")}

    def test_check_reports_all_at_once(
        self, tmp_path: Path, img2img: Command, broken: dict[str, Path]
    ) -> None:
        outcome = img2img("data", "check", "--data", tmp_path / "pairs")
        assert outcome.status == 1
        for path in broken.values():
            assert str(path) in outcome.err
        assert outcome.err.count("\n") == 3
        report = json.loads(img2img("data", "check", "--data", tmp_path / "pairs", "--json").out)
        assert {p["name"] for p in report["problems"]} == {str(p) for p in broken.values()}
        assert {p["kind"] for p in report["problems"]} == {"unreadable"}

    def test_training_refuses_before_the_first_step(
        self, tmp_path: Path, train: Command, broken: dict[str, Path]
    ) -> None:
        run = tmp_path / "run"
        outcome = train(run, "--data", tmp_path / "pairs")
        refused(outcome, *map(str, broken.values()), "--skip-bad", "data check", lines=2)
        assert not run.exists()

    def test_pairs_of_two_sizes(
        self, tmp_path: Path, img2img: Command, train: Command, make_image: MakeImage
    ) -> None:
        make_image("pairs/A/1.png", (8, 8))
        make_image("pairs/B/1.png", (8, 9))
        refused(
            train(tmp_path / "run", "--data", tmp_path / "pairs"),
            "different aspect ratios",
            "1",
            "--unequal fit",
            "--skip-bad",
            lines=2,
        )
        outcome = img2img("data", "check", "--data", tmp_path / "pairs")
        assert outcome.status == 1
        assert "8 x 8" in outcome.err
        assert "9 x 8" in outcome.err

    def test_a_file_that_breaks_while_training(
        self, tmp_path: Path, train: Command, pairs_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = observers.LogFile.observed

        def spoil(self: Any, *arguments: Any) -> None:
            original(self, *arguments)
            for path in (pairs_folder / "A").iterdir():
                path.write_text("no image any more")

        monkeypatch.setattr(observers.LogFile, "observed", spoil)
        words = ["--max-steps", 50, "--set", "metrics.log_every=2"]
        outcome = train(tmp_path / "run", "--data", pairs_folder, *words)
        refused(outcome, str(pairs_folder / "A"))


def bomb(line: str) -> str:
    """A YAML file in which `*z` stands for ten thousand million values."""
    lists = ["&a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for before, name in zip("abcdefghi", "bcdefghiz", strict=True):
        lists.append(f"&{name} [{', '.join([f'*{before}'] * 10)}]")
    return f"x: [{', '.join(lists)}]\n{line}\n"


class TestConfiguration:
    @pytest.mark.parametrize(
        ("assignment", "words"),
        [
            ("generatr.ngf=3", ["generatr: ", "generator"]),
            ("data.batchsize=3", ["data.batchsize: ", "batch_size"]),
            ("generator.nfg=3", ["generator.nfg: ", "ngf"]),
            ("generator.name=unett", ["generator.name: ", "unet"]),
            ("optimizer.lr_g=1", ["optimizer.lr_g: ", "'lr_d'"]),
            ("objective.name=hinge2", ["objective.name: ", "vanilla"]),
            ("losses.reconstruction.0.wait=1", ["losses.reconstruction.0.wait: ", "weight"]),
            ("data.augment.geometry=[{name: HorizontalFlap}]", ["HorizontalFlip"]),
            ("data.augment.color=[{name: GaussNoise, sd: 1}]", ["data.augment.color.0.sd: "]),
            ("metrics.best=snr", ["metrics.best: ", "l1"]),
            ("data.batch_size=many", ["data.batch_size: ", "integer", "many"]),
            ("data.batch_size=1.5", ["data.batch_size: ", "integer", "1.5"]),
            ("data.skip_bad=perhaps", ["data.skip_bad: ", "boolean", "perhaps"]),
            ("generator.ngf=four", ["generator.ngf: ", "integer", "four"]),
            ("generator.norm=layer", ["generator.norm: ", "batch", "layer"]),
            ("generator=unet", ["generator: ", "unet"]),
            ("data.crop_size=-64", ["data.crop_size: ", "-64"]),
            ("data.crop_size=[64,0]", ["data.crop_size: ", "0"]),
            ("data.crop_size=1e9", ["data.crop_size: "]),
            ("data.load_size=-1", ["data.load_size: ", "-1"]),
            ("data.batch_size=-1", ["data.batch_size: ", "-1"]),
            ("generator.ngf=0", ["generator.ngf: ", "0"]),
            ("schedule.steps=0", ["schedule.steps: ", "0"]),
            ("optimizer.lr=-1", ["optimizer.lr: ", "-1"]),
            ("optimizer.lr=.nan", ["optimizer.lr: "]),
            ("optimizer.lr=.inf", ["optimizer.lr: "]),
            ("device=gpu", ["device: ", "gpu"]),
            ("precision=fp8", ["precision: ", "bf16", "fp8"]),
            ("seed=-1", ["seed: "]),
            ("data.holdout=2", ["data.holdout: "]),
            ("data.holdout=test", ["data.holdout: ", "test"]),
            ("nothing", ["nothing", "key=value"]),
            ("=3", ["key=value"]),
            ("data.root=[", ["data.root: not YAML"]),
        ],
    )
    def test_key_what_was_expected_and_what_is_near(
        self, tmp_path: Path, train: Command, tiny_pairs: Path, assignment: str, words: list[str]
    ) -> None:
        run = tmp_path / "run"
        given = ["--data", tiny_pairs, "--max-steps", 2, "--set", assignment]
        if assignment.startswith("schedule"):
            del given[2:4]
        refused(train(run, *given), *words)
        assert not run.exists()

    def test_all_wrong_keys_at_once(self, tmp_path: Path, train: Command, tiny_pairs: Path) -> None:
        wrong = ["--set", "seed=x", "--set", "data.batch_size=0"]
        outcome = train(tmp_path / "run", "--data", tiny_pairs, *wrong)
        refused(outcome, "seed: ", "data.batch_size: ", lines=2)

    @pytest.mark.parametrize("text", ["1e-4", '"1e-4"', "1.0e-4", "0.0001"])
    def test_a_rate_may_be_written_in_any_way(
        self, tmp_path: Path, train: Command, tiny_pairs: Path, text: str
    ) -> None:
        file = tmp_path / "rate.yaml"
        file.write_text(
            f"optimizer: {{lr: {text}}}\nlosses:\n  reconstruction: [{{name: l1, weight: 1e1}}]\n"
        )
        run = tmp_path / "run"
        given = ["--data", tiny_pairs, "--config", file, "--max-steps", 1]
        assert train(run, *given, "--set", f"optimizer.lr_d={text}").status == 0
        found = yaml.safe_load((run / "config.yaml").read_text())["optimizer"]
        assert (found["lr"], found["lr_d"]) == (1e-4, 1e-4)

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("a: [", "not YAML"),
            ("- a\n- b", "expected keys and values"),
            ("just words", "expected keys and values"),
            ("1: 2", "1"),
            ("method: cyclegan", "cyclegan"),
            ("!!python/object/apply:os.system ['touch executed']", "not YAML"),
        ],
    )
    def test_file_that_is_no_configuration(
        self,
        tmp_path: Path,
        train: Command,
        tiny_pairs: Path,
        monkeypatch: pytest.MonkeyPatch,
        text: str,
        word: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        file = tmp_path / "wrong.yaml"
        file.write_text(text)
        refused(train(tmp_path / "run", "--data", tiny_pairs, "--config", file), word)
        assert not (tmp_path / "executed").exists()

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            (bomb("optimizer: {lr: *z}"), "more than 50,000 values"),
            (bomb("seed: *z"), "more than 50,000 values"),
            (bomb("generator: {ngf: *z}"), "more than 50,000 values"),
            ("x: " + "[" * 10_000, "more than 50 levels deep"),
            ("seed: &a [*a]", "contains itself"),
            ("seed: &a {b: [*a]}", "contains itself"),
            ("seed: " + "9" * 5000, "more than 3500 characters"),
            ("seed: [" + "1," * 500_000 + "]", "more than 50,000 values"),
            ("seed: 2020-13-45", "not YAML: month must be in 1..12"),
            ("x" * 1000 + ": 1", "unknown key"),
            ("seed: [" + "[1, 2], " * 5000 + "]", "..."),
            ("image_pool: -0x" + "f" * 3000, "a huge number"),
            ("generator: {name: " + "x" * 3000 + "}", "generator.name: "),
            ("method: " + "x" * 3000, "method: "),
            ("\n".join(f"k{i}: 1" for i in range(3000)), "... and 2980 more"),
            ("# " + "x" * 2**20, "larger than 1 MB"),
        ],
        ids=lambda text: text[:12],
    )
    def test_file_that_stands_for_too_much(
        self, tmp_path: Path, train: Command, tiny_pairs: Path, text: str, word: str
    ) -> None:
        """Refused before it is laid out, in a message of bounded length."""
        file = tmp_path / "bomb.yaml"
        file.write_text(text)
        outcome = train(tmp_path / "run", "--data", tiny_pairs, "--config", file)
        refused(outcome, word, lines=21)
        assert len(outcome.err) < 3000

    @pytest.mark.parametrize(
        "assignment", [".".join("a" * 5000) + "=1", "seed=" + "[" * 5000, "seed=" + "1" * 5000]
    )
    def test_assignment_that_stands_for_too_much(
        self, tmp_path: Path, train: Command, tiny_pairs: Path, assignment: str
    ) -> None:
        outcome = train(tmp_path / "run", "--data", tiny_pairs, "--set", assignment)
        refused(outcome)
        assert len(outcome.err) < 500

    def test_file_that_cannot_be_read(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\0\0")
        for name in ("missing.yaml", "binary.yaml", "."):
            file = tmp_path / name
            outcome = train(tmp_path / "run", "--data", tiny_pairs, "--config", file)
            refused(outcome, f"cannot read {file}")

    def test_two_lengths(self, tmp_path: Path, train: Command, tiny_pairs: Path) -> None:
        given = ["--data", tiny_pairs, "--max-steps", 1, "--max-minutes", 1]
        refused(train(tmp_path / "run", *given), "steps", "minutes")

    @pytest.mark.parametrize(
        "words", [["--max-steps", 0], ["--max-minutes", -1], ["--batch-size", "x"], ["--stepz", 1]]
    )
    def test_flags_out_of_range(
        self, tmp_path: Path, train: Command, tiny_pairs: Path, words: list[object]
    ) -> None:
        outcome = train(tmp_path / "run", "--data", tiny_pairs, *words)
        assert outcome.status == 2
        assert str(words[0]) in outcome.err


class TestSizes:
    @pytest.mark.parametrize("size", [(1, 1), (5, 40), (100, 2000)])
    @pytest.mark.parametrize("resize", ["stretch", "fit", "none"])
    def test_images_smaller_than_the_crop_and_oblong_ones(
        self,
        tmp_path: Path,
        train: Command,
        make_image: MakeImage,
        size: tuple[int, int],
        resize: str,
    ) -> None:
        for number in range(2):
            for domain in "AB":
                make_image(f"pairs/{domain}/{number}.png", size)
        run = tmp_path / "run"
        given = ["--crop-size", 16, "--set", f"data.resize={resize}", "--max-steps", 1]
        outcome = train(run, "--data", tmp_path / "pairs", *given)
        assert outcome.status == 0, outcome.err

    @pytest.fixture
    def specks(self, tmp_path: Path, make_image: MakeImage) -> list[object]:
        """Flags to train on images of one pixel."""
        for number in range(2):
            for domain in "AB":
                make_image(f"pairs/{domain}/{number}.png", (1, 1))
        return ["--data", tmp_path / "pairs", "--max-steps", 1]

    def test_too_small_for_the_generator(
        self, tmp_path: Path, train: Command, specks: list[object]
    ) -> None:
        refused(train(tmp_path / "run", *specks), "data.crop_size", "1 x 1")

    def test_too_small_for_any_generator(
        self, tmp_path: Path, img2img: Command, specks: list[object]
    ) -> None:
        outcome = img2img("train", "pix2pix", "--output", tmp_path / "run", *specks)
        refused(outcome, "data.crop_size")

    def test_crop_that_the_generator_cannot_take(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        run = tmp_path / "run"
        refused(train(run, "--data", tiny_pairs, "--crop-size", 30), "data.crop_size", "8")
        refused(
            train(run, "--data", tiny_pairs, "--crop-size", 64, "--load-size", 32),
            "data.crop_size",
            "data.load_size",
        )
        assert not run.exists()


class TestRunFolder:
    def test_in_use_is_refused_with_the_two_ways_on(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        run = tmp_path / "run"
        run.mkdir()
        (run / "thesis.txt").write_text("mine")
        outcome = train(run, "--data", tiny_pairs)
        refused(outcome, str(run), "not empty", "--resume", "--output")
        assert [path.name for path in run.iterdir()] == ["thesis.txt"]

    def test_empty_is_fine(self, tmp_path: Path, train: Command, tiny_pairs: Path) -> None:
        (tmp_path / "run").mkdir()
        assert train(tmp_path / "run", "--data", tiny_pairs, "--max-steps", 1).status == 0

    def test_a_file_in_its_place(self, tmp_path: Path, train: Command, tiny_pairs: Path) -> None:
        (tmp_path / "run").write_text("")
        refused(train(tmp_path / "run", "--data", tiny_pairs), "file")
        refused(train(tmp_path / "run" / "below", "--data", tiny_pairs), "run/below")


class TestDisk:
    """A disk that refuses: one line, and what was saved before can be gone on with."""

    @pytest.fixture
    def paused(self, tmp_path: Path, train: Command, tiny_pairs: Path) -> Path:
        """A run that was stopped after its first step; it saves after each."""
        run = tmp_path / "run"
        words = [
            "--set",
            "checkpoint.every=1",
            "--set",
            "metrics.every=1",
            "--set",
            "samples.every=1",
            "--set",
            "metrics.log_every=1",
        ]
        given = ["--data", tiny_pairs, "--max-steps", 4, *words]
        assert train(run, *given, "--stop-after", 0).status == 75
        return run

    @staticmethod
    def intact(run: Path, train: Command) -> None:
        """Whatever is called a model or a state is whole, nothing half is left, and it goes on."""
        for path in run.rglob("*.safetensors"):
            (load_state if path.name.startswith("state") else load_model)(path)
        assert not list(run.rglob(".*"))
        outcome = train(run, "--resume")
        assert outcome.status == 0, outcome.err
        assert load_model(run).specs["G"].steps == 4

    @pytest.mark.parametrize("number", [1, 2, 3, 4])
    def test_full_while_saving(
        self, paused: Path, train: Command, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        calls = 0

        def write(tensors: Any, path: Path, metadata: Any) -> None:
            nonlocal calls
            calls += 1
            save_file(tensors, path, metadata)
            if calls >= number:
                path.write_bytes(path.read_bytes()[:1000])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        before = {path: path.read_bytes() for path in (paused / "checkpoints").iterdir()}
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "save_file", write)
            outcome = train(paused, "--resume")
        refused(outcome, "cannot write", ".safetensors: No space left on device")
        if number <= 3:  # not a second checkpoint, after which the first is let go
            assert all(path.read_bytes() == data for path, data in before.items())
        self.intact(paused, train)

    @pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", ".png", "losses.png"])
    def test_full_for_a_record(
        self,
        paused: Path,
        train: Command,
        monkeypatch: pytest.MonkeyPatch,
        draw_losses: Draw,
        name: str,
    ) -> None:
        original = os.fsync

        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.name.endswith(name):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            original(descriptor)

        if not Path("/proc/self/fd").is_dir():
            pytest.skip("needs /proc")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            patch.setattr(observers.LossPlot, "ended", draw_losses)
            outcome = train(paused, "--resume")
        refused(outcome, "cannot write", "No space left on device")
        self.intact(paused, train)

    def test_full_for_the_lines(
        self, paused: Path, train: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        original = observers.LogFile.started

        def started(self: Any, facts: Any) -> None:
            original(self, facts)
            self._log.close()
            self._log._file = Path("/dev/full").open("a", encoding="utf-8")  # noqa: SIM115

        with monkeypatch.context() as patch:
            patch.setattr(observers.LogFile, "started", started)
            outcome = train(paused, "--resume")
        self.intact(paused, train)
        refused(outcome, "metrics.jsonl", "No space left on device")

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_full_for_the_curves(
        self, paused: Path, train: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tensorboard.summary.writer.record_writer import (  # type: ignore[import-untyped]
            RecordWriter,
        )

        def write(*_: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(RecordWriter, "write", write)
            outcome = train(paused, "--resume")
        self.intact(paused, train)
        refused(outcome, "tensorboard", "No space left on device")

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
    @pytest.mark.parametrize("kilobytes", [0, 60])
    def test_limit_on_the_size_of_files(self, paused: Path, train: Command, kilobytes: int) -> None:
        """The system's own refusal: of every file, or of the larger ones."""
        code = f"""
import resource
from img2img.cli.app import main
resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes} * 1024, -1))
main()
"""
        command = [sys.executable, "-c", code, "train", "pix2pix", "--output", str(paused)]
        done = subprocess.run(
            [*command, "--resume"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: cannot write "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        self.intact(paused, train)

    def test_run_folder_that_cannot_be_made(
        self, tmp_path: Path, train: Command, tiny_pairs: Path
    ) -> None:
        if not Path("/proc/self").is_dir():
            pytest.skip("needs a place where nobody may write")
        refused(train(Path("/proc/img2img"), "--data", tiny_pairs), "cannot write /proc/img2img")

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
    )
    def test_without_permission(self, paused: Path, train: Command) -> None:
        folder = paused / "checkpoints"
        folder.chmod(0o500)
        try:
            outcome = train(paused, "--resume")
        finally:
            folder.chmod(0o700)
        refused(outcome, "cannot write", "Permission denied")
        self.intact(paused, train)


class Executed:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class TestModelFile:
    @pytest.fixture
    def files(self, tmp_path: Path, tiny_run: Path) -> Iterator[dict[str, Path]]:
        """Files that are no model, by what they are; none of them may be executed."""
        executed = tmp_path / "executed"
        model = (tiny_run / "model.safetensors").read_bytes()
        found = {
            name: tmp_path / f"{name}.safetensors"
            for name in (
                "empty",
                "text",
                "truncated",
                "header",
                "flipped",
                "pickle",
                "torch",
                "other",
                "state",
                "longer",
            )
        }
        found["empty"].write_bytes(b"")
        found["text"].write_text("hello")
        found["truncated"].write_bytes(model[: len(model) // 2])
        found["header"].write_bytes(model[:40])
        found["flipped"].write_bytes(model[:-9] + bytes([model[-9] ^ 1]) + model[-8:])
        found["longer"].write_bytes(model + b"more")
        found["pickle"].write_bytes(pickle.dumps(Executed(executed)))
        torch.save({"model": Executed(executed)}, found["torch"])
        assert zipfile.is_zipfile(found["torch"])
        save_file({"weight": torch.zeros(3)}, found["other"])
        found["state"] = newest(tiny_run)
        yield found
        assert not executed.exists()

    def test_the_trap_works(self, tmp_path: Path) -> None:
        pickle.loads(pickle.dumps(Executed(tmp_path / "executed")))
        assert (tmp_path / "executed").exists()

    @pytest.mark.parametrize(
        ("name", "word"),
        [
            ("empty", "an empty file"),
            ("text", "not a readable safetensors file"),
            ("truncated", "not a readable safetensors file"),
            ("header", "not a readable safetensors file"),
            ("longer", "not a readable safetensors file"),
            ("pickle", "nothing in it was run"),
            ("torch", "nothing in it was run"),
            ("flipped", "damaged"),
            ("other", "not a generator: it has no convolution weights"),
            ("state", "a state file; a model file is needed"),
        ],
    )
    def test_is_refused_by_every_command(
        self,
        tmp_path: Path,
        img2img: Command,
        files: dict[str, Path],
        tiny_pairs: Path,
        name: str,
        word: str,
    ) -> None:
        path = files[name]
        output = tmp_path / "out"
        given = ["--input", tiny_pairs / "A", "--output", output]
        refused(img2img("translate", "--model", path, *given), f"{path}: ", word)
        refused(img2img("info", path), f"{path}: ", word)
        assert not output.exists()

    def test_missing(self, tmp_path: Path, img2img: Command, tiny_pairs: Path) -> None:
        given = ["--input", tiny_pairs, "--output", tmp_path / "out"]
        for path, word in ((tmp_path / "nothing", "no such file"), (tmp_path, "no model here")):
            refused(img2img("translate", "--model", path, *given), str(path), word)
            refused(img2img("info", path), str(path), word)

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"architecture": "unett"}, "unet"),
            ({"arguments": {"ngf": 10**6}}, "fit"),
            ({"arguments": {"nfg": 4}}, "nfg"),
            ({"direction": "sideways"}, "direction"),
            ({"unheard": "of"}, "unheard"),
            ({"in_channels": 0}, "in_channels"),
            ({"arguments": {"name": "unet"}}, "fit"),
        ],
    )
    def test_description_that_does_not_fit(
        self,
        tmp_path: Path,
        img2img: Command,
        tiny_run: Path,
        tiny_pairs: Path,
        changes: dict[str, Any],
        word: str,
    ) -> None:
        model = load_model(tiny_run)
        tensors = {f"G.{name}": tensor for name, tensor in model.tensors["G"].items()}
        spec = {**model.specs["G"].model_dump(mode="json"), **changes}
        path = tmp_path / "odd.safetensors"
        self.write(path, tensors, {"G": spec})
        given = ["--input", tiny_pairs / "A", "--output", tmp_path / "out", "--device", "cpu"]
        refused(img2img("translate", "--model", path, *given), word)

    def test_without_a_generator(self, tmp_path: Path, img2img: Command, tiny_pairs: Path) -> None:
        path = tmp_path / "none.safetensors"
        self.write(path, {}, {})
        given = ["--input", tiny_pairs / "A", "--output", tmp_path / "out"]
        refused(img2img("translate", "--model", path, *given), str(path))

    @staticmethod
    def write(path: Path, tensors: dict[str, Any], generators: dict[str, Any]) -> None:
        """A file in the right format, whatever it says."""
        checkpoint._write(path, "model", tensors, {"generators": generators})


def test_two_losses_of_one_name(tmp_path: Path, train: Command, tiny_pairs: Path) -> None:
    twice = "losses.reconstruction=[{name: l1, weight: 1}, {name: l1, weight: 2}]"
    train(tmp_path / "run", "--data", tiny_pairs, "--set", twice, "--max-steps", 1)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert '"G/l1": ' in lines
    assert '"G/l1_2": ' in lines


def test_a_loss_that_is_no_number_any_more_is_told(
    tmp_path: Path, train: Command, tiny_pairs: Path
) -> None:
    words = ["--set", "optimizer.lr=1e30", "--max-steps", 20, "--set", "metrics.log_every=1"]
    outcome = train(tmp_path / "run", "--data", tiny_pairs, *words)
    assert outcome.status != 0 or "note: " in outcome.out
