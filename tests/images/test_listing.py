"""Which files are images, and whose."""

import json
from pathlib import Path

from img2img.images import list_images, list_own


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).touch()


def listed(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in list_images(root)]


def test_list_images(tmp_path: Path) -> None:
    touch(tmp_path, "10.png", "2.JPG", "b/1.webp", ".hidden.png", "._2.png", "note.txt")
    touch(tmp_path, ".git/x.png", ".thumbnails/1.png", ".ipynb_checkpoints/1.png")
    (tmp_path / "b/loop").symlink_to(tmp_path)
    assert listed(tmp_path) == ["2.JPG", "10.png", "b/1.webp"]


def test_what_systems_leave_behind_is_no_image(tmp_path: Path) -> None:
    for folder in ("__MACOSX", "@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "lost+found"):
        touch(tmp_path, f"{folder}/1.png", f"b/{folder}/1.jpg/SYNOPHOTO_THUMB_M.jpg")
    touch(tmp_path, "System Volume Information/1.png", "1.png")
    assert listed(tmp_path) == ["1.png"]


def test_run_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "sub/2.png", "sub/config.yaml")
    touch(tmp_path, *(f"runs/x/{name}" for name in ("config.yaml", "metrics.jsonl", "losses.png")))
    touch(tmp_path, "runs/x/samples/000500.png")
    assert listed(tmp_path) == ["1.png", "sub/2.png"]
    assert list_own(tmp_path) == [tmp_path / "runs/x"]
    # Who names it, means it.
    assert listed(tmp_path / "runs/x") == ["losses.png", "samples/000500.png"]


def test_results_of_translations_are_passed_over(tmp_path: Path) -> None:
    names = ["gallery/.img2img", "gallery/1.jpg", "sub/2.png", "1.png", "own.png", "in-place.png"]
    touch(tmp_path, "1.png", *(f"out/{name}" for name in names))
    made = [
        {"source": "1.png", "made": {"1.png": [0, 0], "gallery/1.jpg": [0, 0]}},
        {"source": "2.png", "made": {"sub/2.png": [0, 0]}},
        {"source": "in-place.png", "made": {}},
        {"source": "in-place.png", "made": {"in-place.png": [0, 0]}},
    ]
    lines = [json.dumps(entry) for entry in made]
    torn = ['{"made": {"own.png"', '{"made": 1}', "[" * 10**5, "null", '{"made": [[]]}']
    (tmp_path / "out/.img2img.jsonl").write_text("\n".join(lines[:2] + torn))
    (tmp_path / "out/.img2img-1.jsonl").write_text("\n".join(lines[2:]))
    assert listed(tmp_path) == ["1.png", "out/in-place.png", "out/own.png"]
    assert list_own(tmp_path) == [tmp_path / f"out/{n}" for n in ("1.png", "gallery", "sub/2.png")]
    assert "1.png" in listed(tmp_path / "out")
    assert "gallery/1.jpg" not in listed(tmp_path / "out")
