"""Training that is asked to end, and that has nobody left to tell."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from img2img.cli.app import app
from img2img.models.checkpoint import load_model, load_state
from tests.conftest import Command
from tests.runs import lines, newest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and POSIX signals")


def start(
    run: Path, pairs: Path, tiny: list[str], prepare: Callable[[], object], *settings: str
) -> BaseProcess:
    """A training without end in a session of its own, after its first steps.

    Args:
        prepare: called in its process first, where `run.out` and `run.err` are what it writes to.
    """
    words = ["train", "pix2pix", "--output", str(run), "--data", str(pairs), *tiny]
    for setting in ("schedule.steps=1000000", "metrics.log_every=1", *settings):
        words += ["--set", setting]

    def begin() -> None:
        os.setsid()
        for number, suffix in ((1, ".out"), (2, ".err")):
            os.dup2(os.open(run.with_suffix(suffix), os.O_WRONLY | os.O_CREAT), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))
        prepare()
        app(args=words, prog_name="img2img")

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    wait_for_steps(run, process, 1)
    return process


def wait_for_steps(run: Path, process: BaseProcess, count: int) -> None:
    metrics = run / "metrics.jsonl"
    patience = time.monotonic() + 60
    while not (metrics.is_file() and len(metrics.read_bytes().splitlines()) >= count):
        assert process.is_alive(), process.exitcode
        assert time.monotonic() < patience
        time.sleep(0.02)


def assert_ends_with_its_state(process: BaseProcess, run: Path, status: int = 75) -> int:
    """And give its step."""
    process.join(60)
    assert process.exitcode == status
    step: int = load_state(newest(run))["step"]
    assert step == lines(run)[-1]["step"]
    return step


def group(process: BaseProcess) -> int:
    assert process.pid is not None
    return process.pid


@pytest.mark.parametrize(
    ("name", "times", "said", "status"),
    [
        ("SIGINT", 1, "Ctrl-C", 130),
        ("SIGTERM", 1, "SIGTERM", 75),
        # Such signals come more than once.
        ("SIGHUP", 3, "SIGHUP", 75),
        ("SIGUSR1", 3, "SIGUSR1", 75),
        ("SIGXCPU", 3, "SIGXCPU", 75),
    ],
)
def test_signals_that_people_schedulers_and_terminals_send(
    tmp_path: Path,
    tiny: list[str],
    tiny_pairs: Path,
    train: Command,
    name: str,
    times: int,
    said: str,
    status: int,
) -> None:
    """The workers get them, too."""
    run = tmp_path / "run"
    process = start(run, tiny_pairs, tiny, lambda: None, "data.workers=2")
    for _ in range(times):
        os.killpg(group(process), getattr(signal, name))
    step = assert_ends_with_its_state(process, run, status)
    err = run.with_suffix(".err").read_text()
    command = f"img2img train --resume {run}"
    assert err == f"note: stopped by {said}; step {step} is saved; resume with: {command}\n"
    assert load_model(run).specs["G"].steps == step
    assert [line["step"] for line in lines(run)] == list(range(1, step + 1))
    assert train(run, "--resume", "--max-steps", step + 1).status == 0
    assert load_model(run).specs["G"].steps == step + 1


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals")
def test_the_terminal_is_closed(tmp_path: Path, tiny: list[str], tiny_pairs: Path) -> None:
    """What cannot be said there any more keeps nothing from being saved."""
    import fcntl
    import termios

    ours, its = os.openpty()

    def take_the_terminal() -> None:
        fcntl.ioctl(its, termios.TIOCSCTTY, 0)
        for number in range(3):
            os.dup2(its, number)
        os.close(its)
        os.close(ours)

    process = start(tmp_path / "run", tiny_pairs, tiny, take_the_terminal, "data.workers=1")
    os.close(its)
    os.close(ours)
    assert_ends_with_its_state(process, tmp_path / "run")


def test_nohup(tmp_path: Path, tiny: list[str], tiny_pairs: Path) -> None:
    run = tmp_path / "run"

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start(run, tiny_pairs, tiny, ignore, "data.workers=1")
    os.killpg(group(process), signal.SIGHUP)
    wait_for_steps(run, process, len(lines(run)) + 20)
    process.terminate()
    assert_ends_with_its_state(process, run)
    assert "stopped by SIGTERM" in run.with_suffix(".err").read_text()


@pytest.mark.parametrize("deaf", [[1], [1, 2]])
def test_nobody_reads(tmp_path: Path, tiny: list[str], tiny_pairs: Path, deaf: list[int]) -> None:
    """As of `| head`, or where ssh has gone: it goes on, and its status is what it would be."""

    def close_pipes() -> None:
        for number in deaf:
            reading, writing = os.pipe()
            os.dup2(writing, number)
            os.close(reading)
            os.close(writing)

    run = tmp_path / "run"
    process = start(run, tiny_pairs, tiny, close_pipes, "metrics.every=1")
    wait_for_steps(run, process, 40)
    process.terminate()
    assert_ends_with_its_state(process, run)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_on_a_full_disk(tmp_path: Path, tiny: list[str], tiny_pairs: Path) -> None:
    def write_to_a_full_disk() -> None:
        for number in (1, 2):
            os.dup2(os.open("/dev/full", os.O_WRONLY), number)

    run = tmp_path / "run"
    process = start(run, tiny_pairs, tiny, write_to_a_full_disk, "metrics.every=1")
    wait_for_steps(run, process, 40)
    process.terminate()
    assert_ends_with_its_state(process, run)
