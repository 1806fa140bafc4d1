"""What the library says, in the words of the command that is running; and the exit statuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

from img2img import errors
from img2img.cli.app import app
from img2img.cli.statuses import status_of
from img2img.cli.wording import in_options, now_running
from tests.cli.test_options import commands

COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize(
    ("command", "said", "shown"),
    [
        ("translate", "leave them with `skip_existing`, or", "leave them with --skip-existing, or"),
        ("translate", "give it as `source`", "give it as --input"),
        ("translate", "`image_format=png` keeps them", "--format png keeps them"),
        ("translate", "`output=my clip.mp4`", "--output 'my clip.mp4'"),
        ("train", "set `data.skip_bad`", "set --skip-bad"),
        ("train", "set `data.skip_bad=true`", "set --skip-bad"),
        ("train", "a larger `schedule.steps`", "a larger --max-steps"),
        ("train", "`data.layout=side_by_side`", "--side-by-side"),
        ("train", "`data.resize=none` trains", "--set data.resize=none trains"),
        ("train", "`data.A.range=[0, 1]`", "--set 'data.A.range=[0, 1]'"),
        ("train", "a lower `optimizer.lr`", "a lower optimizer.lr"),
        ("translate", "`data.resize=none` trains", "data.resize=none trains"),
        ("evaluate", "give `data`, not `cache=False`", "give --data, not --no-cache"),
        ("info", "`model` is no model; see `translate`", "MODEL is no model; see `translate`"),
        ("info", "no option of it: `skip_existing`", "no option of it: `skip_existing`"),
        ("train", "`accelerate launch`, `3`", "`accelerate launch`, `3`"),
    ],
)
def test_names_are_shown_as_the_running_commands_options(
    command: str, said: str, shown: str
) -> None:
    now_running(COMMANDS[f"img2img {command}"].params)
    assert in_options(said) == shown


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigError("x"), 2),
        (errors.StorageError("x", resumable=True), 2),
        (errors.TrainingDiverged("x"), 1),
        (errors.ExportFailed("x"), 1),
        (errors.LoadingFailed("x"), 75),
        (errors.ProcessLost("x"), 75),
        (errors.TranslationStopped("x"), 75),
        (errors.TrainingInterrupted("x"), 130),
        (errors.TranslationInterrupted("x"), 130),
    ],
)
def test_status_of_each_kind_of_error(error: errors.Img2ImgError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    ("command", "way_on"),
    [("train pix2pix", "train --resume 'a run'"), ("demo", "demo --output 'a run'")],
)
def test_a_stopped_run_is_answered_with_the_command_that_resumes_it(
    command: str,
    way_on: str,
    img2img: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tiny_pairs: Path,
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise errors.TrainingStopped("stopped by `stop_after`", path=Path("a run"))

    monkeypatch.setattr("img2img.training.run.train", stopped)
    monkeypatch.setattr("img2img.demo.train", stopped)
    data = ["--data", tiny_pairs] if "train" in command else []
    outcome = img2img(*command.split(), *data, "-o", "a run")
    assert outcome.status == 75
    assert outcome.err.endswith(f"; resume with: img2img {way_on}\n")
