"""Translating keeps to a share of memory: large pictures alone, what cannot fit named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2img.engine import memory
from img2img.engine.footprint import batch_pixels, footprint
from img2img.engine.memory import Budget, memory_share
from img2img.errors import ConfigError, ImageError
from img2img.images import Extent, read_picture
from img2img.networks.unet import UNetGenerator
from tests.conftest import Command, noise


@pytest.mark.parametrize(
    ("wanted", "bytes_"),
    [
        ("4GB", 4 * 10**9),
        ("1.5 gb", 1.5 * 10**9),
        ("300M", 3 * 10**8),
        ("2GiB", 2 * 10**9),
        ("123456789", 123456789),
        ("25%", 2 * 10**9),
        (None, 4 * 10**9),
    ],
)
def test_sizes_and_shares(
    wanted: str | None, bytes_: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 8 * 10**9)
    assert memory_share(wanted) == bytes_


def test_processes_on_one_machine_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 8 * 10**9)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_share(None) == 10**9


@pytest.mark.parametrize("wanted", ["", "much", "0", "0GB", "120%", "-1GB", "4 pounds"])
def test_what_is_no_size(wanted: str) -> None:
    with pytest.raises(ConfigError, match=r"max_memory.*4GB"):
        memory_share(wanted)


def test_what_does_not_fit_is_named() -> None:
    large = Extent((22000, 22000), 22000**2, 3 * 22000**2)
    Budget(9 * 10**9).check(large)
    with pytest.raises(ImageError, match=r"22000 x 22000 .* 8\.7 GB .* 4 GB .*`max_memory`"):
        Budget(4 * 10**9).check(large)
    with pytest.raises(ImageError, match="max_memory"):
        Budget(9 * 10**9).check(large, compared=True)


def test_small_pictures_run_together_as_far_as_memory_goes() -> None:
    network = UNetGenerator(in_channels=3, out_channels=3, ngf=4, num_downs=3)
    one = footprint(network, 256, 256)
    assert 2 * 256**2 < batch_pixels(network, 4 * one) < 4 * 256**2


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four large in pixels and small in bytes, among small ones."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(12):
        if number in {3, 4, 5, 9}:
            Image.new("RGB", (3000, 3000), (number, 30, 60)).save(folder / f"{number}.png")
        else:
            Image.fromarray(noise(64, 64, number)).save(folder / f"{number}.png")
    return folder


def test_large_ones_fail_alone(
    pictures: Path, tiny_run: Path, tmp_path: Path, img2img: Command
) -> None:
    outcome = img2img(
        *("translate", "--model", tiny_run, "--input", pictures, "--output", tmp_path / "out"),
        *("--max-memory", "100MB", "--json"),
    )
    assert outcome.status == 1
    report = json.loads(outcome.out)
    assert len(report["written"]) == 8
    assert sorted(Path(path).stem for path in report["failed"]) == ["3", "4", "5", "9"]
    assert all("3000 x 3000" in why for why in report["failed"].values())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for its peak")
def test_the_peak_keeps_to_what_was_said(pictures: Path, tiny_run: Path, tmp_path: Path) -> None:
    """Beside what is there without pictures."""
    program = (
        "import sys; from pathlib import Path\n"
        "from img2img import Translator, translate_folder\n"
        "from img2img.runtime.devices import keep_freed_memory\n"
        "keep_freed_memory(2**24)\n"
        "def peak():\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
        "translator = Translator.load(sys.argv[1], precision='fp32', max_memory='300MB',\n"
        "                             say=lambda _: None)\n"
        "translate_folder(translator, sys.argv[2] + '/1.png', sys.argv[3] + '/one')\n"
        "before = peak()\n"
        "report = translate_folder(translator, sys.argv[2], sys.argv[3] + '/all')\n"
        "print(len(report.written), peak() - before)\n"
    )
    arguments = [str(tiny_run), str(pictures), str(tmp_path / "out")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    written, kilobytes = map(int, done.stdout.split())
    assert written == 12
    assert 1024 * kilobytes < 300e6
    assert np.ptp(read_picture(tmp_path / "out" / "all" / "9.png").size) == 0
