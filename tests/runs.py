"""What tests read of a run folder."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def lines(run: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, as strict JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = (run / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def untimed(run: Path) -> list[dict[str, Any]]:
    """The lines without what depends on the machine's pace."""
    pace = {"seconds", "images_per_second", "waiting"}
    return [{k: v for k, v in line.items() if k not in pace} for line in lines(run)]


def newest(run: Path) -> Path:
    """The last state that was saved."""
    return max((run / "checkpoints").glob("state-*"))


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    """The leaves of a training state by their place in it; without the seconds it took."""
    if isinstance(tree, dict | list):
        found = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {
            place: leaf
            for key, value in found
            if key != "seconds"
            for place, leaf in flat(value, f"{path}/{key}").items()
        }
    return {path: tree}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Bit for bit."""
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        if isinstance(value, Tensor):
            assert found[place].dtype == value.dtype, place
            assert torch.equal(found[place], value), place
        else:
            assert found[place] == value, place
