"""`img2img export`, and `translate` and `info` of what it wrote."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2img.export.torch import TorchFormat

Command = Callable[..., Any]


def test_export_translate_and_info(
    tmp_path: Path, img2img: Command, tiny_run: Path, tiny_pairs: Path
) -> None:
    target = tmp_path / "net.onnx"
    outcome = img2img("export", tiny_run, "--output", target)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"wrote {target} (" in outcome.out
    assert "14 images" in outcome.out
    found = json.loads(img2img("info", target, "--json").out)["generators"]["G"]
    of_model = json.loads(img2img("info", tiny_run, "--json").out)["generators"]["G"]
    assert found.items() >= {k: v for k, v in of_model.items() if k != "parameters"}.items()
    assert "pixels" in img2img("info", target).out
    reports = []
    for model, name in ((tiny_run, "model"), (target, "exported")):
        words = ["--input", tiny_pairs, "--output", tmp_path / name, "--json", "--device", "cpu"]
        outcome = img2img("translate", "--model", model, "--precision", "fp32", *words)
        assert (outcome.status, outcome.err) == (0, "")
        reports.append(json.loads(outcome.out))
    names = [[Path(file).name for file in report["written"]] for report in reports]
    assert names[0] == names[1] != []
    for file in (tmp_path / "model").rglob("*.png"):
        same = tmp_path / "exported" / file.relative_to(tmp_path / "model")
        apart = np.asarray(Image.open(file)).astype(int) - np.asarray(Image.open(same))
        assert np.abs(apart).max() <= 1
    refused = img2img("bench", target)
    assert refused.status == 2
    assert refused.err.splitlines()[-1].startswith("error: ")
    again = img2img("translate", "--model", target, *words[:4], "--skip-existing")
    assert "already there" in again.out


def test_what_differs_is_not_kept(
    tmp_path: Path, img2img: Command, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchFormat, "open", lambda self, path: lambda x: -x)
    target = tmp_path / "net.pt2"
    outcome = img2img("export", tiny_run, "--format", "torch", "--output", target)
    assert outcome.status == 1
    assert outcome.err.startswith(f"error: {target}: not written: ")
    assert outcome.err.count("\n") == 1
    assert [*tmp_path.iterdir()] == []


def test_wrong_use(tmp_path: Path, img2img: Command, tiny_run: Path) -> None:
    for words in (["--format", "onyx"], ["--format", "torch", "--output", "net.png"]):
        outcome = img2img("export", tiny_run, *words)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    program = tmp_path / "net.pt2"
    program.write_bytes(b"anything")
    for command in (["info", program], ["export", program, "--format", "torch"]):
        outcome = img2img(*command)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert str(program) in outcome.err


def test_fixed_sizes(tmp_path: Path, img2img: Command, tiny_run: Path) -> None:
    target = tmp_path / "net.onnx"
    line = ["export", tiny_run, "--output", target, "--size", "64x32", "--batch", "2"]
    outcome = img2img(*line, "--opset", "17")
    assert outcome.status == 0, outcome.err
    found = json.loads(img2img("info", target, "--json").out)["generators"]["G"]
    assert (found["size"], found["batch"]) == ([32, 64], 2)
    for words in (["--size", "64"], ["--format", "reference", "--batch", "2"]):
        outcome = img2img("export", tiny_run, *words)
        assert outcome.status == 2
        assert outcome.err.count("\n") == 1
