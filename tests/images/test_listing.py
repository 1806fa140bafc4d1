"""Which files are images."""

from pathlib import Path

from img2img.images import list_images


def test_list_images(tmp_path: Path) -> None:
    names = ["10.png", "2.JPG", "b/1.webp", ".hidden.png", "__MACOSX/1.png", "._2.png", "note.txt"]
    for name in [*names, ".git/x.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b/loop").symlink_to(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["2.JPG", "10.png", "b/1.webp"]
