"""Run folders whose files a person, or another program, has changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from img2img.runs.facts import SavedFacts, read_facts

Command = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, tiny_run: Path) -> Path:
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("command", "before", "now", "words"),
    [
        ("doctor", "data:", "data: [", "not YAML in line"),
        ("train --resume", "data:", "data: [", "not YAML in line"),
        ("train --resume", "method: pix2pix", "", "unknown method ''; choose from: cyclegan"),
        ("train --resume", "method: pix2pix", "method: pix3pix", "(did you mean 'pix2pix'?)"),
        ("doctor", "batch_size: 1", "batch_size: many", "data.batch_size"),
        ("report", "batch_size: 1", "batch_size: many", "data.batch_size"),
    ],
)
def test_a_configuration_that_is_none(
    run: Path, img2img: Command, command: str, before: str, now: str, words: str
) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace(before, now))
    outcome = img2img(*command.split(), run)
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {path}: "), outcome.err
    assert (outcome.err.count("\n"), outcome.err.count("config.yaml")) == (1, 1), outcome.err
    assert words in outcome.err


@pytest.mark.parametrize("text", ["[]", "{", "3", '{"images": 3, "parameters": []}'])
def test_facts_that_are_none(run: Path, text: str) -> None:
    (run / "facts.json").write_text(text)
    assert read_facts(run / "facts.json") == SavedFacts()


def test_a_healthy_log(run: Path, img2img: Command) -> None:
    lines = [
        {
            "step": step,
            "images": step,
            "epoch": step / 5,
            "G/l1": 1 / (1 + step / 50),
            "G/adv": 0.7 + 0.01 * (step % 3),
            "D/adv": 0.69 + 0.01 * (step % 2),
            "D/accuracy": 0.6,
        }
        for step in range(20, 1020, 20)
    ]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    outcome = img2img("doctor", run)
    assert outcome.status == 0
    assert "No problem was found." in outcome.out
    assert "No health probes were taken" in outcome.out
