"""Runs and models that earlier versions have left: they open, translate and go on.

`fixtures/runs-0.1.0` was written by the first version: two steps on `tiny_pairs`, and what its
models made of the first picture.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2img.runs.log import read_log
from img2img.runs.reading import read_run

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


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.parent.name}/{run.name}")
def test_the_records_of_an_earlier_version(run: Path) -> None:
    """The tags of its log are read as those of today; facts that it did not write are unknown."""
    record = read_run(run)
    two_way = "cyclegan" in run.name
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    for old, new in {
        "signs/trained": "diagnostics/train_l1",
        "signs/likeness_guessed_AtoB" if two_way else "signs/likeness_wanted": (
            f"diagnostics/correlation_{'expected_AtoB' if two_way else 'target'}"
        ),
        f"signs/ends{'_BtoA' * two_way}": f"diagnostics/saturation{'_BtoA' * two_way}",
    }.items():
        assert record.history[new].values.tolist() == [last[old]]
    assert not record.history.tags("signs/")
    assert record.facts.parameters is not None
    assert record.facts.held_out is None


def test_changes_of_an_earlier_version(tmp_path: Path) -> None:
    line = {"step": 1, "changed": ["objective.name was vanilla when the run was started, and ..."]}
    (tmp_path / "metrics.jsonl").write_text(f"{json.dumps(line)}\n")
    (read,) = read_log(tmp_path / "metrics.jsonl")
    assert [change["key"] for change in read["changed"]] == ["objective.name"]
