"""`img2img translate`: files of every kind in, files of the same kind out."""

import errno
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from img2img.cli.output import console
from img2img.errors import StorageError
from img2img.images import read_picture
from img2img.translate import work

Command = Callable[..., Any]
MakeImage = Callable[..., Path]
Translate = Callable[..., Any]


@pytest.fixture
def translate(
    img2img: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Translate:
    """Translate from and to places below tmp_path, which is the working folder."""
    monkeypatch.chdir(tmp_path)

    def run(source: object, output: object, *more: object) -> Any:
        given = ["--model", tiny_run, "--input", source, "--output", output, "--device", "cpu"]
        return img2img("translate", *given, *more)

    return run


def files(folder: Path) -> set[str]:
    """All that a person sees there."""
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return {name for name in found if not Path(name).name.startswith(".")}


def summary(outcome: Any) -> str:
    """The line that is printed, without the speed."""
    line: str = outcome.out
    assert re.fullmatch(r"[^\n]+ \([0-9.]+ images/s\)\n", line)
    return line[: line.rindex(" (")]


def test_file_to_file(translate: Translate, make_image: MakeImage, tmp_path: Path) -> None:
    make_image("a.png", (30, 34))
    outcome = translate("a.png", "b.png")
    assert (outcome.status, outcome.err) == (0, "note: scale auto: 1 at its own size\n")
    assert summary(outcome) == "1 translated to b.png"
    assert read_picture(tmp_path / "b.png").size == (30, 34)


def test_file_to_folder_that_is_not_there_yet(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    make_image("a.png")
    assert translate("a.png", "new/folder").status == 0
    assert files(tmp_path / "new") == {"folder/a.png"}


def test_folder_keeps_tree_and_names(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    names = {"b.png", "x/ü ß.png", "x/y/[1].jpg", "x/y/{a}*.webp", "日本.bmp", "-v.png"}
    for name in names:
        make_image(f"in/{name}")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    outcome = translate("in", "out")
    assert outcome.status == 0, outcome.err
    assert summary(outcome) == "6 translated to out"
    assert files(tmp_path / "out") == names


def test_glob_and_file_with_brackets(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    for name in ("a[1].png", "a1.png", "b/c.png"):
        make_image(f"in/{name}")
    assert translate("in/a[1].png", "one").status == 0
    assert files(tmp_path / "one") == {"a[1].png"}
    assert translate("in/**/[ac]*.png", "two").status == 0
    assert files(tmp_path / "two") == {"a[1].png", "a1.png", "b/c.png"}


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 33), (31, 1)])
def test_odd_sizes(
    translate: Translate, make_image: MakeImage, tmp_path: Path, size: tuple[int, int]
) -> None:
    make_image("a.png", size)
    assert translate("a.png", "b.png").status == 0
    assert read_picture(tmp_path / "b.png").size == size


def test_very_long(translate: Translate, tmp_path: Path) -> None:
    Image.new("RGB", (20000, 100), "teal").save(tmp_path / "a.png")
    assert translate("a.png", "b.png").status == 0
    assert read_picture(tmp_path / "b.png").size == (100, 20000)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit(translate: Translate, tmp_path: Path, suffix: str, channels: int) -> None:
    random = np.random.default_rng(0)
    levels = random.integers(0, 65536, (10, 12, channels), dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / f"a{suffix}"), levels)
    assert translate(f"a{suffix}", "out").status == 0
    got = read_picture(tmp_path / "out" / f"a{suffix}")
    assert got.pixels.dtype == np.uint16
    assert got.size == (10, 12)
    assert len(np.unique(got.pixels % 257)) > 1  # no 8-bit values in disguise
    assert (got.alpha is not None) == (channels == 4)
    if got.alpha is not None:
        assert np.array_equal(got.alpha, levels[..., 3])


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("1", ".png"), ("L", ".png"), ("LA", ".png"), ("P", ".png"), ("P", ".gif"), ("CMYK", ".jpg")],
)
def test_other_kinds(translate: Translate, tmp_path: Path, mode: str, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(tmp_path / f"a{suffix}")
    assert translate(f"a{suffix}", "out").status == 0
    [result] = (tmp_path / "out").glob("[!.]*")
    assert result.name == f"a{suffix}"
    assert read_picture(result).size == (9, 11)


def test_a_turned_photograph_stays_upright(translate: Translate, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20), "navy").save(tmp_path / "a.jpg", exif=exif)
    assert translate("a.jpg", "out").status == 0
    with Image.open(tmp_path / "out" / "a.jpg") as result:
        assert result.size == (20, 30)
        assert result.getexif().get(0x0112, 1) == 1


def test_format(translate: Translate, make_image: MakeImage, tmp_path: Path) -> None:
    make_image("in/a.png")
    make_image("in/b.jpg")
    assert translate("in", "out", "--format", "webp").status == 0
    assert files(tmp_path / "out") == {"a.webp", "b.webp"}
    for path in (tmp_path / "out").glob("[!.]*"):
        with Image.open(path) as image:
            assert image.format == "WEBP"
    wrong = translate("in", "other", "--format", "ppm")
    assert wrong.status == 2
    assert ".webp" in wrong.err
    assert not (tmp_path / "other").exists()


def test_format_and_name_of_another_kind(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    make_image("a.png")
    outcome = translate("a.png", "b.jpg", "--format", "tif")
    assert summary(outcome) == "1 translated to b.tif"
    assert files(tmp_path) == {"a.png", "b.tif"}


def test_ppm_and_png_of_one_name(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    make_image("in/a.ppm", (4, 4))
    make_image("in/a.png", (5, 5))
    assert translate("in", "out").status == 0
    assert read_picture(tmp_path / "out" / "a.png").size == (5, 5)
    assert read_picture(tmp_path / "out" / "a.ppm.png").size == (4, 4)


def test_skip_existing(translate: Translate, make_image: MakeImage, tmp_path: Path) -> None:
    for name in "abcd":
        make_image(f"in/{name}.png")
    assert translate("in", "out").status == 0
    made = (tmp_path / "out" / "a.png").read_bytes()
    (tmp_path / "out" / "b.png").unlink()
    (tmp_path / "out" / "c.png").write_text("edited")
    make_image("in/d.png", (5, 7))
    again = json.loads(translate("in", "out", "--skip-existing", "--json").out)
    assert again["written"] == ["out/b.png", "out/c.png", "out/d.png"]
    assert again["skipped"] == ["in/a.png"]
    assert (tmp_path / "out" / "a.png").read_bytes() == made
    assert read_picture(tmp_path / "out" / "d.png").size == (5, 7)
    outcome = translate("in", "out", "--skip-existing")
    assert summary(outcome) == "0 translated to out, 4 already there"
    others = json.loads(translate("in", "out", "--skip-existing", "--json", "--quality", 9).out)
    assert len(others["written"]) == 4


def test_a_stop_is_reported_as_json_too(
    translate: Translate, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        make_image(f"in/{name}.png")
    write = vars(work)["write_image"]

    def writing(path: Path, *more: Any) -> None:
        if path.name == "b.png":
            cause = OSError(errno.ENOSPC, "No space left on device")
            raise StorageError(f"cannot write {path}: {cause.strerror}") from cause
        write(path, *more)

    monkeypatch.setattr(work, "write_image", writing)
    outcome = translate("in", "out", "--json")
    assert outcome.status == 75
    assert "--skip-existing" in outcome.err
    written = json.loads(outcome.out)["written"]
    assert {Path(path).name for path in written} == {p.name for p in Path("out").glob("[!.]*")}


def test_empty_names(translate: Translate, make_image: MakeImage) -> None:
    make_image("in/a.png")
    for given, option in ((("", "out"), "--input"), (("in", ""), "--output")):
        outcome = translate(*given)
        assert outcome.status == 2
        assert f"{option} is empty" in outcome.err


def test_into_a_folder_of_the_input_and_again(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    make_image("a.png")
    for _ in range(2):
        assert translate(".", "translated").status == 0
        assert files(tmp_path) == {"a.png", "translated/a.png"}


def test_a_corrupt_file_does_not_stop_the_others(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    make_image("in/a.png")
    make_image("in/z.png")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG")
    (tmp_path / "in" / "cut.jpg").write_bytes(buffer.getvalue()[:-200])
    (tmp_path / "in" / "empty.png").write_bytes(b"")
    (tmp_path / "in" / "text.png").write_text("hello")
    outcome = translate("in", "out")
    assert outcome.status == 1
    assert summary(outcome) == "2 translated to out, 3 failed"
    assert [line.split(":")[1].strip() for line in outcome.err.splitlines()] == [
        "in/cut.jpg",
        "in/empty.png",
        "in/text.png",
        "scale auto",
    ]
    assert files(tmp_path / "out") == {"a.png", "z.png"}
    report = translate("in", "out", "--json")
    assert report.status == 1
    found = json.loads(report.out)
    assert sorted(found["failed"]) == ["in/cut.jpg", "in/empty.png", "in/text.png"]
    assert found["written"] == ["out/a.png", "out/z.png"]


def test_the_input_is_never_overwritten(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    path = make_image("in/a.png")
    before = path.read_bytes()
    for source, output in (("in", "in"), ("in/a.png", "in/a.png"), ("in/a.png", "in")):
        outcome = translate(source, output)
        assert outcome.status == 2
        assert "overwrite" in outcome.err
        assert outcome.err.count("\n") == 1
    assert path.read_bytes() == before


def test_overwrite(translate: Translate, make_image: MakeImage) -> None:
    path = make_image("in/a.png")
    before = path.read_bytes()
    assert translate("in", "in", "--overwrite").status == 0
    after = path.read_bytes()
    assert after != before
    outcome = translate("in", "in", "--overwrite", "--skip-existing")
    assert summary(outcome) == "0 translated to in, 1 already there"
    assert path.read_bytes() == after


def test_quality(translate: Translate, make_image: MakeImage, tmp_path: Path) -> None:
    make_image("in/a.jpg", (64, 64))
    sizes = []
    for quality in (10, 50, 100):
        assert translate("in", "out", "--quality", quality).status == 0
        sizes.append((tmp_path / "out" / "a.jpg").stat().st_size)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 2
    for quality in (0, 101):
        assert translate("in", "out", "--quality", quality).status == 2


def test_many_failures_are_counted(translate: Translate, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(23):
        (tmp_path / "in" / f"{number}\n.png").write_bytes(b"")
    outcome = translate("in", "out")
    assert outcome.status == 1
    assert summary(outcome) == "0 translated to out, 23 failed"
    *shown, last = outcome.err.splitlines()
    assert shown == [f"failed: in/{n}\\n.png: the file is empty" for n in range(20)]
    assert last == "... and 3 more; --json lists them all"
    assert len(json.loads(translate("in", "out", "--json").out)["failed"]) == 23


def test_on_a_terminal_there_is_a_table(
    translate: Translate, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("in/a.png")
    make_image("in/b.png").write_bytes(b"")
    monkeypatch.setattr(console, "_force_terminal", True)
    outcome = translate("in", "[bold]out", "--gallery")
    assert outcome.status == 1
    for row in (r"translated\b.*\b1 \(.* images/s", r"failed\b.*\b1\b", r"results\b.*\[bold\]out"):
        assert re.search(row, outcome.out)
    assert "gallery/index.html" in outcome.out
    again = translate("in", "[bold]out", "--gallery", "--skip-existing")
    assert re.search(r"skipped\b.*\b1, already there", again.out)
    assert re.search(r"translated\b.*\b0 \(", again.out)


def test_kinds_that_are_not_read_are_noted(
    translate: Translate, make_image: MakeImage, tmp_path: Path
) -> None:
    make_image("in/a.png", (32, 32))
    (tmp_path / "in" / "b.psd").touch()
    outcome = translate("in", "out")
    assert outcome.status == 0
    assert outcome.err.splitlines() == [
        "note: scale auto: 1 at its own size",
        "note: skipped, because these formats are not supported: .psd (1)",
    ]


def test_output_below_a_file(translate: Translate, make_image: MakeImage, tmp_path: Path) -> None:
    make_image("in/a.png")
    (tmp_path / "taken").write_text("")
    outcome = translate("in", "taken/out")
    assert outcome.status == 2
    assert outcome.err.startswith("error: cannot write to taken/out: ")
    assert outcome.err.count("\n") == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything"
)
def test_without_permission(translate: Translate, make_image: MakeImage, tmp_path: Path) -> None:
    make_image("in/a.png")
    locked = make_image("in/b.png")
    locked.chmod(0)
    outcome = translate("in", "out")
    assert outcome.status == 1
    assert "in/b.png: Permission denied" in outcome.err
    (tmp_path / "closed").mkdir(mode=0o500)
    outcome = translate("in/a.png", "closed")
    assert outcome.status == 2
    assert "Permission denied" in outcome.err
    (tmp_path / "in").chmod(0)
    try:
        outcome = translate("in", "out")
    finally:
        (tmp_path / "in").chmod(0o700)
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1


def test_a_system_error_is_one_line(translate: Translate, img2img: Command, tmp_path: Path) -> None:
    for outcome in (translate("a" * 5000, "out"), img2img("info", "a" * 5000)):
        assert outcome.status == 2
        assert "File name too long" in outcome.err
        assert outcome.err.count("\n") == 1


def test_direction_that_the_model_has_not(translate: Translate, make_image: MakeImage) -> None:
    make_image("a.png")
    outcome = translate("a.png", "out", "--direction", "BtoA")
    assert outcome.status == 2
    assert "AtoB, not BtoA" in outcome.err


def test_a_run_folder_is_no_folder_of_images(
    img2img: Command, tiny_run: Path, tmp_path: Path
) -> None:
    line = ("translate", "-m", tiny_run, "-i", tiny_run, "-o", tmp_path / "out")
    outcome = img2img(*line)
    assert outcome.status == 2
    assert f"{tiny_run}: a run folder, not a folder of images to translate" in outcome.err
    assert not (tmp_path / "out").exists()
