"""What is remembered of results, and how little is lost with it."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from img2img.errors import DataError, StorageError
from img2img.images.listing import list_images
from img2img.translate.manifest import Entry, Manifest, Record, file_state
from img2img.translate.plan import plan


def entry(folder: Path, source: str = "a.png") -> Entry:
    (folder / source).parent.mkdir(parents=True, exist_ok=True)
    (folder / source).write_bytes(b"result")
    return Entry(source, (3, 4), "model", (8, 9), {source: file_state(folder / source)})


def found(folder: Path, source: str, **changed: object) -> bool:
    asked = {"state": (3, 4), "settings": "model", "wanted": [source]} | changed
    return Record(folder).find(source, **asked) is not None  # type: ignore[arg-type]


def test_what_differs_is_not(tmp_path: Path) -> None:
    Manifest(tmp_path).add(entry(tmp_path))
    assert found(tmp_path, "a.png")
    assert found(tmp_path, "a.png", state=None)
    assert not found(tmp_path, "b.png")
    assert not found(tmp_path, "a.png", state=(3, 5))
    assert not found(tmp_path, "a.png", settings="other")
    assert not found(tmp_path, "a.png", wanted=["a.png", "compare/a.png"])
    (tmp_path / "a.png").write_bytes(b"longer result")
    assert not found(tmp_path, "a.png")
    (tmp_path / "a.png").unlink()
    assert not found(tmp_path, "a.png")


# Lines of a manifest that no program of ours has written.
_WHOLE = {"source": "b.png", "state": [1, 2], "settings": "s", "size": [3, 4], "made": {}}
STRANGE = [
    b"[" * 100_000,
    b"9" * 5000,
    json.dumps(_WHOLE | {"source": ["b.png"]}).encode(),
    json.dumps(_WHOLE | {"made": {"b.png": [[1], 2]}}).encode(),
]


@pytest.mark.parametrize("line", STRANGE, ids=lambda line: repr(line[-30:]))
def test_a_damaged_one_is_told_and_begun_anew(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / ".img2img.jsonl"
    Manifest(tmp_path).add(entry(tmp_path, "a.png"))
    whole = path.read_bytes()
    path.write_bytes(line + b"\n" + whole + line)
    assert found(tmp_path, "a.png")
    assert Record(tmp_path).results == set()
    told: list[str] = []
    Manifest(tmp_path, rank=1, say=told.append)  # the first process sees to it
    assert told == []
    Manifest(tmp_path, say=told.append)
    assert told == [f"{path}: damaged; repaired by keeping its intact lines"]
    assert path.read_bytes() == whole
    Manifest(tmp_path, say=told.append)
    assert len(told) == 1


def test_several_processes_have_a_file_each(tmp_path: Path) -> None:
    for rank in range(3):
        Manifest(tmp_path, rank).add(entry(tmp_path, f"{rank}.png"))
    assert len([*tmp_path.glob(".img2img*.jsonl")]) == 3
    assert all(found(tmp_path, f"{rank}.png") for rank in range(3))


def test_results_are_told_from_inputs(tmp_path: Path) -> None:
    both = entry(tmp_path, "a.png")
    Manifest(tmp_path).add(both)
    beside = Entry("b.gif", (3, 4), "model", (8, 9), {"b.png": (1, 1)})
    Manifest(tmp_path).add(beside)
    assert Record(tmp_path).results == {"b.png"}
    assert [Record(tmp_path).is_result(name) for name in ("a.png", "gone.png")] == [True, False]


def test_no_folder_can_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write to"):
        Manifest(tmp_path / "file" / "out")


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "no end"])
def test_what_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".img2img.jsonl"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert Record(tmp_path).results == set()
    with pytest.raises(StorageError, match=r"img2img\.jsonl: .*not a regular file"):
        Manifest(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert [file.name for file in list_images(tmp_path)] == ["a.png"]


def test_results_stay_ours_where_no_line_is_left(tmp_path: Path) -> None:
    """Else they would be taken for a stranger's, and the same command refused."""
    pictures, results = tmp_path / "in", tmp_path / "out"
    for folder in (pictures, results):
        folder.mkdir()
        Image.new("RGB", (8, 8)).save(folder / "a.png")
    with pytest.raises(DataError, match="was not made by img2img"):
        plan(str(pictures), results)
    (results / ".img2img.jsonl").write_bytes(b"\0" * 100)
    assert [job.name for job in plan(str(pictures), results).jobs] == ["a.png"]
