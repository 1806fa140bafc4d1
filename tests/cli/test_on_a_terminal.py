"""What commands show where a person looks on: tables and bars instead of lines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def test_results_are_a_table(
    img2img: Command, tiny_run: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    files = ["--model", tiny_run, "--input", tiny_pairs / "A", "--output", tmp_path]
    given = ["translate", *files, "--tile", 16, "--gallery"]
    assert img2img(*given).status == 0
    made = tmp_path / "0.png"
    made.unlink()
    again = img2img(*given, "--skip-existing")
    rows = [line.split("│")[1:3] for line in again.out.splitlines() if line.count("│") > 2]
    shown = {name.strip(): value.strip() for name, value in rows}
    assert shown["translated"].startswith("1 (")
    assert shown["skipped"] == "5, already there"
    assert made.is_file()


def test_bench_replaces_what_it_waits_for(img2img: Command, tiny_run: Path) -> None:
    outcome = img2img("bench", tiny_run, "--size", 16, "--batch", 1, "--backend", "eager")
    assert outcome.status == 0
    assert "ms alone" in outcome.out
    assert "starting" not in outcome.err.splitlines()[-1]
