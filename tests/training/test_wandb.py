"""What Weights & Biases is given, by a stand-in for its package."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from tests.runs import lines

Command = Callable[..., Any]
WANDB = ["--set", "metrics.wandb=true", "--set", "metrics.log_every=1"]


class Run:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings, self.finished = settings, False
        self.logged: dict[int, dict[str, Any]] = {}

    def log(self, values: dict[str, Any], step: int) -> None:
        assert not self.finished
        self.logged.setdefault(step, {}).update(values)

    def finish(self) -> None:
        self.finished = True


class StandIn(ModuleType):
    class Error(Exception):
        pass

    Image = staticmethod(np.shape)

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: list[Run] = []
        self.refused = ""

    def init(self, **settings: Any) -> Run:
        if self.refused:
            raise self.Error(self.refused)
        self.runs.append(Run(settings))
        return self.runs[-1]


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    there = StandIn()
    monkeypatch.setitem(sys.modules, "wandb", there)
    return there


def test_curves_and_samples(
    tmp_path: Path, train: Command, tiny_pairs: Path, wandb: StandIn
) -> None:
    run = tmp_path / "cats"
    assert train(run, "--data", tiny_pairs, "--max-steps", 2, *WANDB).status == 0
    assert train(run, "--resume", "--max-steps", 3).status == 0
    first, second = wandb.runs
    assert (first.finished, second.finished) == (True, True)
    # Resumed, it is the same run there.
    assert first.settings["id"] == second.settings["id"]
    assert second.settings["name"] == "cats"
    assert second.settings["config"] == yaml.safe_load((run / "config.yaml").read_text())
    assert ([*first.logged], [*second.logged]) == ([1, 2], [3])
    for line in lines(run):
        logged = (first.logged | second.logged)[line["step"]]
        for tag in {"G/l1", "D/real"} & line.keys():
            assert logged[tag] == line[tag]
    assert logged["samples"][2] == 3


def test_a_refusal_is_an_error(
    tmp_path: Path, train: Command, tiny_pairs: Path, wandb: StandIn
) -> None:
    wandb.refused = "no API key"
    outcome = train(tmp_path / "run", "--data", tiny_pairs, "--max-steps", 1, *WANDB)
    assert (outcome.status, outcome.err) == (2, "error: metrics.wandb: no API key\n")
