"""Runs and models that earlier versions have left: they open, translate and go on.

`fixtures/runs-0.1.0` was written by the first version: two steps on `tiny_pairs`, and what its
models made of the first picture.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Command = Callable[..., Any]
RUNS = sorted(Path(__file__).with_name("fixtures").glob("runs-*/*"))


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}/{run.name}")
def test_a_run_of_an_earlier_version(
    run: Path, tmp_path: Path, tiny_pairs: Path, img2img: Command
) -> None:
    copy, result = tmp_path / "run", tmp_path / "result.png"
    shutil.copytree(run, copy)
    direction = ["--direction", "AtoB"] if "cyclegan" in run.name else []
    model = ["--model", copy, "--input", tiny_pairs / "A" / "0.png", "--output", result]
    fixed = ["--precision", "fp32", "--scale", "native"]
    outcome = img2img("translate", *model, *fixed, *direction)
    assert outcome.status == 0, outcome.err
    with Image.open(result) as now, Image.open(run / "expected.png") as then:
        apart = np.abs(np.asarray(now, int) - np.asarray(then, int))
    assert apart.max() <= 1  # processors round differently
    method = "cyclegan" if "cyclegan" in run.name else "pix2pix"
    to_train = ["--data", tiny_pairs, "--max-steps", 4]
    outcome = img2img("train", method, "--output", copy, "--resume", *to_train)
    assert outcome.status == 0, outcome.err
    assert "from step 2" in outcome.out
    assert img2img("report", copy, "--examples", 1, "--device", "cpu").status == 0
    assert img2img("doctor", copy).status == 0
