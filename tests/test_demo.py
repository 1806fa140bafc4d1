"""The demonstration: its parts on a small scale, and (slow) the promise it makes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from img2img import demo
from img2img.config import dump, load_config
from img2img.images import read_picture
from img2img.runtime.resources import bundled
from img2img.training.stopping import StopRequest

TINY = [
    "generator.ngf=4",
    "generator.num_downs=4",
    "discriminator.ndf=4",
    "data.crop_size=32",
    "schedule.minutes=0.01",
]


@pytest.fixture(autouse=True)
def tiny(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo, but for its promise, is of a tiny network for less than a second."""
    if request.node.get_closest_marker("slow"):
        return
    tiny = tmp_path / "configs" / "demo.yaml"
    tiny.parent.mkdir()
    text = dump(load_config("pix2pix", bundled("configs/demo.yaml"), assignments=TINY))
    tiny.write_text(text.replace("measured_steps: null", ""))
    monkeypatch.setattr(
        demo, "bundled", lambda name: tiny if name.startswith("configs") else bundled(name)
    )


def test_demo_leaves_table_picture_and_summary(tmp_path: Path) -> None:
    result = demo.run_demo(tmp_path / "run")
    assert result.pairs == 10
    assert result.l1_ratio == pytest.approx(result.l1_translated / result.l1_input)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    promised = ["l1_input", "l1_translated", "train_seconds", "images_per_second"]
    assert {*promised, "device", "precision"} <= set(summary)
    height, width = read_picture(tmp_path / "run" / "demo.png").size
    assert height > 10 * 256
    assert width > 3 * 256
    assert len(list((tmp_path / "run" / "translated").iterdir())) == 10
    again = demo.run_demo(tmp_path / "run")  # finished: only translated again
    assert again.l1_translated == result.l1_translated
    seen = [each.images_per_second * each.train_seconds for each in (result, again)]
    assert seen[1] == pytest.approx(seen[0])


def test_what_a_stopped_demo_says_names_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, img2img: Callable[..., Any]
) -> None:
    monkeypatch.setattr(StopRequest, "asked", lambda stop: stop.ask("Ctrl-C") is None)
    run = tmp_path / "my demo"
    stopped = img2img("demo", "--output", run)
    told = f"step 1 is saved; resume with: img2img demo --output '{run}'"
    assert (stopped.status, stopped.err) == (75, f"note: stopped by Ctrl-C; {told}\n")


@pytest.mark.slow
def test_demo_keeps_its_promise(tmp_path: Path) -> None:
    result = demo.run_demo(tmp_path / "run")
    assert result.l1_ratio <= 0.30
    assert result.checkerboard_ratio <= 1.2
