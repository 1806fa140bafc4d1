"""The demonstration: its parts on a small scale, and (slow) the promise it makes."""

import json
from pathlib import Path

import pytest

from img2img import demo
from img2img.config import dump, load_config
from img2img.images import read_picture
from img2img.resources import bundled

TINY = [
    "generator.ngf=4",
    "generator.num_downs=4",
    "discriminator.ndf=4",
    "data.crop_size=32",
    "schedule.minutes=0.01",
]


def test_demo_leaves_table_picture_and_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = tmp_path / "configs" / "demo.yaml"
    tiny.parent.mkdir()
    text = dump(load_config("pix2pix", bundled("configs/demo.yaml"), assignments=TINY))
    tiny.write_text(text.replace("measured_steps: null", ""))
    monkeypatch.setattr(
        demo, "bundled", lambda name: tiny if name.startswith("configs") else bundled(name)
    )
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


@pytest.mark.slow
def test_demo_keeps_its_promise(tmp_path: Path) -> None:
    result = demo.run_demo(tmp_path / "run")
    assert result.l1_ratio <= 0.30
    assert result.checkerboard_ratio <= 1.2
