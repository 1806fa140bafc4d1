"""What loads images is killed, stops answering or has no memory: the state is saved, and said."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.loader import batches
from img2img.data.paired import PairedData
from img2img.data.samples import Sample
from img2img.errors import ImageError, LoadingFailed
from img2img.models.checkpoint import load_state
from tests.runs import assert_same, flat, newest
from tests.training.test_ending import start, wait_for_steps

Command = Callable[..., Any]

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and POSIX signals")


@forking
@pytest.mark.parametrize(
    ("name", "others", "said"),
    [
        ("SIGKILL", [], "was killed by SIGKILL, as the system does when memory runs out; a lower"),
        ("SIGBUS", [], "shared memory is full"),
        ("SIGSTOP", [], "have not answered for 2 s"),
        ("SIGSTOP", [signal.SIGTERM], "stopped by SIGTERM"),
    ],
)
def test_a_worker_is_lost(
    tmp_path: Path,
    tiny: list[str],
    tiny_pairs: Path,
    train: Command,
    name: str,
    others: list[signal.Signals],
    said: str,
) -> None:
    run, straight = tmp_path / "run", tmp_path / "straight"
    given = [
        "schedule.steps=60",
        "data.workers=2",
        "checkpoint.every=0",
        "metrics.tensorboard=false",
    ]
    patience = "data.timeout=300" if others else "data.timeout=2"
    process = start(run, tiny_pairs, tiny, lambda: None, *given, patience)
    wait_for_steps(run, process, 5)
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    workers[0].send_signal(getattr(signal, name))
    for number in others:
        time.sleep(0.2)
        os.kill(process.pid or 0, number)
    process.join(40)
    assert process.exitcode == 75
    err = run.with_suffix(".err").read_text()
    assert err.startswith("note: stopped")
    assert said in err
    assert others or "data.workers" in err
    assert err.count("\n") == 1
    step = load_state(newest(run))["step"]
    assert f"step {step} is saved" in err
    assert not psutil.wait_procs(workers, 10)[1]

    if name == "SIGKILL":  # it goes on as if nothing had happened
        assert train(run, "--resume").status == 0
        words = [word for each in (*given, "metrics.log_every=1") for word in ("--set", each)]
        assert train(straight, "--data", tiny_pairs, "--max-steps", 60, *words).status == 0
        assert_same(flat(load_state(newest(run))), flat(load_state(newest(straight))))


class Failing:
    """Samples of which one is not to be had."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 4

    def __getitem__(self, position: int) -> Sample:
        raise self.error


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_no_memory(error: Exception, workers: int) -> None:
    with pytest.raises(LoadingFailed, match="not enough memory to load images"):
        next(batches(Failing(error), 2, 0, workers=workers))


def test_no_shared_memory(pairs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, which has 64 MB of it."""

    def refuse(_: object) -> None:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2>: No space")

    monkeypatch.setattr(torch.Tensor, "share_memory_", refuse)
    found = PairedData.find(DataConfig(root=pairs_folder, holdout="none"), 0)
    samples = found.samples(DataConfig(), 0, Transform(DataConfig(), (36, 36), (32, 32)))
    with pytest.raises(LoadingFailed, match="shared memory is full; enlarge it"):
        next(batches(samples, 2, 0, workers=1))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_of_the_program_stays_one(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        next(batches(Failing(ZeroDivisionError()), 2, 0, workers=workers))
    with pytest.raises(ImageError):
        next(batches(Failing(ImageError("x")), 2, 0, workers=workers))
