"""Training by several processes, started as a launcher does, on the CPU by gloo."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from img2img.cli.app import app
from img2img.errors import ConfigError
from img2img.models.checkpoint import load_state
from img2img.runtime.processes import joined
from img2img.training import data as training
from img2img.training.methods.image_pool import ImagePool

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
# A network without chance, in which rounding errors stay small.
SETTINGS = {
    "generator.name": "unet",
    "generator.norm": "instance",
    "generator.ngf": 4,
    "generator.num_downs": 3,
    "generator.dropout": "false",
    "discriminator.ndf": 4,
    "discriminator.n_layers": 1,
    "discriminator.norm": "instance",
    "optimizer.eps": 0.01,
    "device": "cpu",
    "precision": "fp32",
    "data.workers": 0,
    "data.cache": "memory",
    "metrics.log_every": 1,
    "metrics.tensorboard": "false",
    "seed": 3,
}


@dataclass(frozen=True)
class Ended:
    """What a process left: its exit status, and what it wrote."""

    status: int
    out: str
    err: str


def words(method: str, output: Path, *arguments: object, **settings: object) -> list[str]:
    given = ["train", method, "--output", str(output), *map(str, arguments)]
    for key, value in (SETTINGS | settings).items():
        given += ["--set", f"{key}={value}"]
    return given


def torchrun(count: int, given: list[str]) -> Ended:
    return launched(count, ["-m", "img2img", *given])


def launched(count: int, given: list[str]) -> Ended:
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={count}", "--master-port", port()]
    line = [sys.executable, *launcher, *given]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def together(
    count: int, given: list[str], folder: Path, before: Callable[[], None] = lambda: None
) -> list[Ended]:
    """As `srun` starts tasks: each by itself, told its number; and how they ended."""
    running = begin_together(count, given, folder, before)
    for process in running:
        process.join(timeout=240)
    return [
        Ended(
            process.exitcode if process.exitcode is not None else -1,
            *((folder / f"{rank}.{stream}").read_text() for stream in ("out", "err")),
        )
        for rank, process in enumerate(running)
    ]


def begin_together(
    count: int, given: list[str], folder: Path, before: Callable[[], None] = lambda: None
) -> list[BaseProcess]:
    """Processes, forked, which saves the imports; what they write is in `RANK.out`, `RANK.err`.

    Args:
        before: called in each process first.
    """
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port()}

    def run(rank: int) -> None:
        os.environ.update(shared, RANK=str(rank), LOCAL_RANK=str(rank))
        out, err = ((folder / f"{rank}.{stream}").open("w") for stream in ("out", "err"))
        with redirect_stdout(out), redirect_stderr(err):
            before()
            app(args=given, prog_name="img2img")

    context = multiprocessing.get_context("fork")
    running: list[BaseProcess] = [context.Process(target=run, args=(n,)) for n in range(count)]
    for process in running:
        process.start()
    return running


def port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def state(run: Path) -> dict[str, Any]:
    return load_state(sorted((run / "checkpoints").glob("state-*"))[-1])


def losses(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    untimed = {"seconds", "images_per_second", "waiting"}
    return [{key: value for key, value in line.items() if key not in untimed} for line in lines]


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[key] - other[key]).abs().max()) for key in one)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`A/` with nine pictures of 32 x 32 and `B/` with seven, smooth and coloured unlike."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for domain, count in (("A", 9), ("B", 7)):
        (folder / domain).mkdir()
        for number in range(count):
            small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            picture = Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC)
            picture.save(folder / domain / f"{number}.png")
    return folder


def test_two_processes_are_one_with_twice_the_batch(
    folders: Path, tmp_path: Path, img2img: Callable[..., Any]
) -> None:
    given = ["--data", folders, "--max-steps", 4]
    settings = {"image_pool": 0}
    ended = torchrun(2, words("cyclegan", tmp_path / "two", *given, **settings))
    assert ended.status == 0, ended.err
    assert "in each of 2 processes" in ended.out
    assert ended.out.count("model:") == 1  # one speaks
    ways = {"one": {"data.batch_size": 2}, "accumulated": {"optimizer.accumulate": 2}}
    for name, way in ways.items():
        outcome = img2img(*words("cyclegan", tmp_path / name, *given, **(settings | way)))
        assert outcome.status == 0, outcome.err
    begun = words("cyclegan", tmp_path / "begun", "--data", folders, "--max-steps", 1)
    assert img2img(*begun).status == 0

    two, wanted, summed = (state(tmp_path / name) for name in ("two", *ways))
    assert difference(wanted["method"], state(tmp_path / "begun")["method"]) > 1e-5
    assert difference(two["method"], wanted["method"]) < 1e-6
    assert difference(summed["method"], wanted["method"]) < 1e-6
    assert two["images"] == wanted["images"] == summed["images"] == 8
    for ours, theirs in zip(losses(tmp_path / "two"), losses(tmp_path / "one"), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


@forking
def test_goes_on_with_another_number_of_processes(
    folders: Path, tmp_path: Path, img2img: Callable[..., Any]
) -> None:
    run = tmp_path / "run"
    begin = ["--data", folders, "--max-epochs", 2, "--stop-after", 0]
    first = together(2, words("cyclegan", run, *begin, image_pool=3), tmp_path)
    assert [each.status for each in first] == [75, 75], first[0].err
    assert "step 1 is saved" in first[0].err
    assert first[1].out + first[1].err == ""
    pools = state(run)["pools"]
    assert [len(pool["D_A"]) for pool in pools] == [1, 1]

    # Alone, at the same position: the two pools have become one.
    second = img2img(*words("cyclegan", run, "--resume", "--stop-after", 0, image_pool=3))
    assert second.status == 75, second.err
    now = state(run)
    assert (now["step"], now["images"]) == (2, 3)
    assert torch.equal(now["pools"][0]["D_A"][0], pools[0]["D_A"][0])
    assert torch.equal(now["pools"][0]["D_A"][1], pools[1]["D_A"][0])
    assert len(now["pools"][0]["D_A"]) == 3

    # And by three to the end, which is that of the epochs: 16 images or a few more.
    third = together(3, words("cyclegan", run, "--resume", image_pool=3), tmp_path)
    assert [each.status for each in third] == [0, 0, 0], third[0].err
    counts = [line["images"] for line in losses(run) if "G/adv_A" in line]
    assert counts == [2, 3, 6, 9, 12, 15, 18]
    assert state(run)["images"] == 18


@forking
def test_a_resumed_run_of_two_ends_as_one_not_interrupted(folders: Path, tmp_path: Path) -> None:
    straight, paused = tmp_path / "straight", tmp_path / "paused"
    given = ["--data", folders, "--max-steps", 3]
    seen = "[{name: ada, interval: 1, images: 20, target: 0}, {name: instance_noise, images: 12}]"
    settings = {
        "image_pool": 1,
        "optimizer.clip": 1,
        "ema.half_life": 5,
        "optimizer.lr_d": 0.02,  # critics are soon sure
        "critic.augment": seen,
    }
    whole = together(2, words("cyclegan", straight, *given, **settings), tmp_path)
    assert [each.status for each in whole] == [0, 0], whole[0].err
    for expected in (75, 75, 0):
        arguments = [*given, "--resume", *(["--stop-after", 0] if expected else [])]
        part = together(2, words("cyclegan", paused, *arguments, **settings), tmp_path)
        assert [each.status for each in part] == [expected] * 2, part[0].err
    one, other = state(straight), state(paused)
    assert difference(one["method"], other["method"]) == 0
    assert difference(one["ema"], other["ema"]) == 0
    assert one["method"]["networks.D_A.clock.images"] == 6
    chances = [one["method"][f"networks.{name}.augmentations.ada.p"] for name in ("D_A", "D_B")]
    assert max(chances) > 0, chances
    for mine, yours in zip(one["pools"], other["pools"], strict=True):
        assert all(torch.equal(mine[name][0], yours[name][0]) for name in ("D_A", "D_B"))
    assert losses(straight) == losses(paused)


@forking
def test_one_that_cannot_read_an_image_ends_all(
    tmp_path: Path, make_image: Callable[..., Path]
) -> None:
    """The state is saved at the same step in all, and what is said says what to do."""
    for number in range(4):
        for domain in "AB":
            make_image(f"data/{domain}/{number}.png", (16, 16))
    check = vars(training)["check_found"]

    def spoil() -> None:
        """Once the images are checked, one of them is no longer what it was."""

        def checking(*arguments: Any, **more: Any) -> Any:
            report = check(*arguments, **more)
            (tmp_path / "data/A/1.png").write_bytes(b"")
            return report

        vars(training)["check_found"] = checking

    run = tmp_path / "run"
    settings = {"data.cache": "none", "data.holdout": "none"}
    given = words("pix2pix", run, "--data", tmp_path / "data", "--max-steps", 50, **settings)
    ended = together(2, given, tmp_path, before=spoil)
    assert [each.status for each in ended] == [2, 2]  # not 75: to begin again would not help
    told = ended[0].err + ended[1].err
    assert "the file is empty" in told
    assert "--skip-bad" in told
    assert f"step {state(run)['step']} is saved" in told


@forking
@pytest.mark.parametrize("lost", [0, 1])
def test_one_is_killed(folders: Path, tmp_path: Path, lost: int) -> None:
    """The other ends by itself, and both go on from what is saved as if nothing had happened."""
    run, straight = tmp_path / "run", tmp_path / "straight"
    given = ["--data", folders, "--max-steps", 12]
    settings = {"image_pool": 1, "checkpoint.every": 2}
    arguments = words("cyclegan", run, *given, **settings)
    running = begin_together(2, arguments, tmp_path)
    patience = time.monotonic() + 60
    while not [*run.glob("checkpoints/state-*")]:
        assert time.monotonic() < patience
        time.sleep(0.01)
    running[lost].kill()
    other = running[1 - lost]
    other.join(60)
    assert other.exitcode == 75
    err = (tmp_path / f"{1 - lost}.err").read_text()
    assert err.startswith("note: stopped: another process has ended")
    assert f"with: img2img train --resume {run}\n" in err
    assert err.count("\n") == 1

    for folder in (run, straight):
        arguments = words("cyclegan", folder, *given, "--resume", **settings)
        ended = together(2, arguments, tmp_path)
        assert [each.status for each in ended] == [0, 0], ended[0].err
    assert difference(state(run)["method"], state(straight)["method"]) == 0
    assert losses(run) == losses(straight)


def test_pools_are_dealt_out() -> None:
    images = [torch.full((1,), float(n)) for n in range(7)]
    states = [images[:4], images[4:]]
    dealt = []
    for rank in range(3):
        pool = ImagePool(2)
        pool.restore(states, rank, 3, torch.device("cpu"))
        dealt.append([int(image) for image in pool.images])
    assert dealt == [[0, 3], [1, 4], [2, 5]]
    pool.restore(states, 1, 2, torch.device("cpu"))
    assert [int(image) for image in pool.images] == [4, 5]


LEAVES_NO_THREADS = """
from pathlib import Path
from img2img.runtime.processes import joined

with joined("cpu") as processes:
    import torch._dynamo  # and with it modules whose functions refer to the group
    processes.largest(1)
print("left:", [n for n in Path("/proc/self/task").glob("*/comm") if "gloo" in n.read_text()])
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_threads_of_the_group_end_with_it(tmp_path: Path) -> None:
    """Threads that are left abort some processes when they end."""
    script = tmp_path / "script.py"
    script.write_text(LEAVES_NO_THREADS)
    ended = launched(2, [str(script)])
    assert ended.out.count("left: []") == 2, ended


def test_a_launcher_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(ConfigError, match="WORLD_SIZE=many"), joined("cpu"):
        pass
