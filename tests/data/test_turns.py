"""Large pictures are decoded one at a time, by threads and by processes."""

import time
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from img2img.config import DataConfig
from img2img.data import sources
from img2img.data.augment import Transform
from img2img.data.check import check_data
from img2img.data.loader import batches
from img2img.data.paired import PairedData
from img2img.data.turns import TURNS
from img2img.images import read_native_picture


@pytest.fixture
def together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """How many read at the same time at most: each leaves a file while it does."""
    marks = tmp_path / "marks"
    marks.mkdir()
    seen = tmp_path / "seen"
    counted = Lock()

    def read(path: Path, **options: Any) -> Any:
        mark = marks / f"{time.monotonic_ns()}"
        mark.touch()
        time.sleep(0.02)
        with counted, seen.open("a") as file:
            file.write(f"{len([*marks.iterdir()])}\n")
        mark.unlink()
        return read_native_picture(path, **options)

    monkeypatch.setattr(sources, "read_native_picture", read)
    return lambda: max(map(int, seen.read_text().split()))


@pytest.mark.parametrize("large", [0, 2**30])
def test_by_threads(pairs_folder: Path, together: Any, monkeypatch: Any, large: int) -> None:
    monkeypatch.setitem(TURNS.__dict__, "large", large)
    monkeypatch.setattr("img2img.data.check.os.cpu_count", lambda: 4)
    report = check_data(PairedData, DataConfig(root=pairs_folder), seed=0)
    assert report.problems == []
    assert (together() == 1) == (large == 0)


@pytest.mark.parametrize("large", [0, 2**30])
def test_by_processes(pairs_folder: Path, together: Any, monkeypatch: Any, large: int) -> None:
    monkeypatch.setitem(TURNS.__dict__, "large", large)
    data = DataConfig(root=pairs_folder, holdout="none")
    found = PairedData.find(data, seed=0)
    samples = found.samples(data, 0, Transform(data, (40, 40), (32, 32)))
    read = [*batches(samples, 1, 0, 18, workers=3, start_method="fork")]
    assert len(read) == 18
    assert (together() == 1) == (large == 0)


def test_a_picture_that_cannot_be_measured_is_explained_by_reading(
    pairs_folder: Path, monkeypatch: Any
) -> None:
    monkeypatch.setitem(TURNS.__dict__, "large", 0)
    (pairs_folder / "A" / "0.png").write_bytes(b"damaged")
    report = check_data(PairedData, DataConfig(root=pairs_folder), seed=0)
    assert [problem.kind for problem in report.problems] == ["unreadable"]
