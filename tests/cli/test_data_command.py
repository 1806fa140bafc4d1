"""From two folders whose names and sizes do not quite match to a model and its figures."""

import csv
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import noise

Command = Callable[..., Any]


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve sketches with their finished drawings, which are half as large again, and new ones."""
    monkeypatch.chdir(tmp_path)
    for folder in ("sketches", "finished", "new"):
        (tmp_path / folder).mkdir()
    for number in range(12):
        sketch = Image.fromarray(noise(32, 40, number))
        sketch.save(f"sketches/Animal {number:02} sketch.png")
        Image.fromarray(255 - np.asarray(sketch.resize((60, 48)))).save(
            f"finished/animal_{number:02}-final.png"
        )
        sketch.save(f"new/{number}.png")
    return tmp_path


FOLDERS = ("--data-a", "sketches", "--data-b", "finished")


def test_a_pairing_is_proposed_and_trains(
    studio: Path, img2img: Command, train: Command, tiny: list[str]
) -> None:
    outcome = img2img("data", "check", *FOLDERS)
    assert outcome.status == 1
    # A diagnosis with three examples, not 24 names.
    assert outcome.err.count("\n") == 5
    assert "unmatched: 24 without a partner in the other domain, such as" in outcome.err
    assert "--match suffix finds 12 pairs" in outcome.out
    assert "Animal 00 sketch.png + animal_00-final.png" in outcome.out
    assert "in 12 pairs the target is resized to its input's size" in outcome.out
    (command,) = (line for line in outcome.out.splitlines() if line.startswith("to train"))
    words = shlex.split(command)[2:]
    assert words == ["img2img", "train", "pix2pix", *FOLDERS, "--match", "suffix"]

    assert img2img("data", "check", *FOLDERS, "--match", "suffix").status == 0
    refused = train(studio / "run", *FOLDERS)
    assert refused.status == 2
    assert "--match suffix finds 12 pairs" in refused.err
    assert "--skip-bad" not in refused.err  # which would leave nothing
    trained = train(studio / "run", *words[3:], "--max-steps", 2)
    assert trained.status == 0, trained.err
    assert "11 pairs to train, 1 held out" in trained.out
    assert "in 12 pairs the target is resized to its input's size" in trained.out.replace("\n", " ")

    assert (
        img2img("translate", "-m", "run", "-i", "new", "-o", "out", "--device", "cpu").status == 0
    )
    assert Image.open("out/3.png").size == (40, 32)


def test_measuring_pairs_by_the_same_choices(
    studio: Path, img2img: Command, train: Command
) -> None:
    outcome = img2img("evaluate", "sketches", "finished", "--measures", "l1")
    assert outcome.status == 2
    assert "--match suffix finds 12 pairs" in outcome.err
    line = ("evaluate", "sketches", "finished", "--measures", "l1", "--match", "suffix", "--json")
    outcome = img2img(*line)
    assert json.loads(outcome.out)["l1"]["n"] == 12
    assert "in 12 pairs the real image is resized to the size of its result" in outcome.err
    train(studio / "run", *FOLDERS, "--match", "suffix", "--max-steps", 1)
    outcome = img2img("evaluate", "--model", "run", "--measures", "l1", "--json")
    assert json.loads(outcome.out)["l1"]["n"] == 1


def test_a_table_is_written_changed_and_used(
    studio: Path, img2img: Command, train: Command
) -> None:
    outcome = img2img("data", "check", *FOLDERS, "--write-pairs", "pairs.csv")
    assert outcome.status == 1
    assert "wrote     pairs.csv: 12 pairs" in outcome.out
    rows = [*csv.reader(Path("pairs.csv").read_text().splitlines())]
    assert rows[:2] == [["A", "B"], ["Animal 00 sketch.png", "animal_00-final.png"]]
    Path("pairs.csv").write_text("".join(f"{A},{B}\n" for A, B in rows[:8]))
    outcome = img2img("data", "check", *FOLDERS, "--pairs", "pairs.csv", "--json")
    assert outcome.status == 0
    report = json.loads(outcome.out)
    assert (report["train"], report["held_out"]) == (6, 1)
    trained = train(studio / "run", *FOLDERS, "--pairs", "pairs.csv", "--max-steps", 1)
    assert "left out, not listed in data.pairs: 10 images" in trained.out.replace("\n", " ")
    # From anywhere: the run knows where its table is.
    assert f"pairs: {studio}/pairs.csv" in Path("run/config.yaml").read_text()


def test_numbers_alone_are_little_evidence(studio: Path, img2img: Command) -> None:
    """Some numbered drawings have nothing to do with the first of many others."""
    for number in range(5, 12):
        Path(f"new/{number}.png").unlink()
    for path, animal in zip(sorted(Path("sketches").iterdir()), "abcdefghijkl", strict=True):
        path.rename(path.with_name(path.name.replace("Animal", animal)))
    outcome = img2img("data", "check", "--data-a", "sketches", "--data-b", "new")
    assert "proposal" not in outcome.out
    assert "img2img train pix2pix" not in outcome.out


def test_other_shapes_are_offered(studio: Path, img2img: Command, train: Command) -> None:
    for number in range(12):
        Image.fromarray(noise(32, 32, number)).save(f"finished/animal_{number:02}-final.png")
    outcome = img2img("data", "check", *FOLDERS)
    assert "size: 12 whose two images have different aspect ratios, such as" in outcome.err
    assert "--match suffix --unequal fit" in outcome.out
    for unequal in ("fit", "pad", "stretch"):
        line = (*FOLDERS, "--match", "suffix", "--unequal", unequal)
        checked = img2img("data", "check", *line)
        assert checked.status == 0
        assert f"adjusted by data.unequal={unequal}" in checked.out
    trained = train(studio / "run", *line, "--max-steps", 1, "--set", "data.resize=none")
    assert trained.status == 0, trained.err


def test_json_has_all_of_it(studio: Path, img2img: Command) -> None:
    report = json.loads(img2img("data", "check", *FOLDERS, "--json").out)
    assert len(report["problems"]) == 24
    assert report["proposal"]["match"] == "suffix"
    assert len(report["proposal"]["pairs"]) == 12
    every = img2img("data", "check", *FOLDERS, "--all")
    assert every.err.count("no partner in") == 24


def test_what_is_left_out_is_said(studio: Path, img2img: Command, train: Command) -> None:
    line = ("--data-a", "sketches", "--data-b", "finished", "--match", "suffix")
    train(studio / "sketches/runs/x", *line, "--max-steps", 1)
    outcome = img2img("data", "check", *line)
    assert "left out, because img2img made them: sketches/runs/x" in outcome.out
    given = ("--device", "cpu", "--input", "sketches", "--output", "out")
    outcome = img2img("translate", "--model", "sketches/runs/x", *given)
    assert "left out, because img2img made them: sketches/runs/x" in outcome.err
    assert len([*Path("out").rglob("*.png")]) == 12


def test_a_preview_is_not_put_among_the_data(studio: Path, img2img: Command) -> None:
    outcome = img2img("data", "preview", *FOLDERS, "--output", "sketches/preview.png")
    assert outcome.status == 2
    assert "inside the data set" in outcome.err
    outcome = img2img("data", "preview", *FOLDERS, "--match", "suffix", "--rows", 2)
    assert outcome.status == 0, outcome.err
    assert Path("preview.png").exists()


def test_choices_that_would_do_nothing(studio: Path, img2img: Command) -> None:
    for line, words in (
        (("data", "check", *FOLDERS, "--unpaired", "--match", "case"), "data.match: applies only"),
        (("data", "check", *FOLDERS, "--side-by-side"), "side_by_side needs one folder"),
        (("data", "check", *FOLDERS, "--match", "case", "--pairs", "x.csv"), "set only one"),
        (
            ("evaluate", "new", "new", "--side-by-side"),
            "--side-by-side only applies to a data set (--data)",
        ),
    ):
        outcome = img2img(*line)
        assert outcome.status == 2
        assert words in outcome.err


def test_two_folders_that_are_no_pairs(studio: Path, img2img: Command, train: Command) -> None:
    for number, name in enumerate(("lake", "moon", "tree")):
        Image.fromarray(noise(16, 16)).save(f"new/{name}.png")
        Path(f"new/{number}.png").rename(f"{studio}/{number}.png")
    for name in ("monet", "degas"):
        Path("paintings").mkdir(exist_ok=True)
        Image.fromarray(noise(16, 16)).save(f"paintings/{name}.png")
    folders = ("--data-a", "new", "--data-b", "paintings")
    assert "use cyclegan, which needs none" in img2img("data", "check", *folders).out
    assert "use cyclegan, which needs none" in train(studio / "run", *folders).err


def test_measuring_what_only_a_person_sees_as_pairs(
    tmp_path: Path, img2img: Command, train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("data", "more"):
        Path(folder).mkdir()
        for number in range(4):
            Image.fromarray(noise(16, 32, number)).save(f"{folder}/{number}.png")
    assert train(tmp_path / "run", "--data", "data", "--max-steps", 1).status == 2
    trained = train(tmp_path / "run", "--data", "data", "--side-by-side", "--max-steps", 1)
    assert trained.status == 0, trained.err
    assert train(tmp_path / "run", "--resume", "--max-steps", 2).status == 0
    line = ("--measures", "l1", "--json", "--device", "cpu")
    # As in training, where it is the same data; elsewhere it is to be said again.
    same = img2img("evaluate", "--model", "run", "--data", "data", *line)
    assert json.loads(same.out)["l1"]["n"] == 4
    assert img2img("evaluate", "--model", "run", "--data", "more", *line).status == 2
    other = img2img("evaluate", "--model", "run", "--data", "more", "--side-by-side", *line)
    assert json.loads(other.out)["l1"]["n"] == 4
    compared = ("compare", "run", "run", "--data", "more", "--side-by-side", *line)
    assert img2img(*compared, "--output", "page.html").status == 0


def test_a_table_of_the_root_measures_a_test_set(
    studio: Path, img2img: Command, train: Command
) -> None:
    for split in ("train", "test"):
        for domain, folder in (("A", "sketches"), ("B", "finished")):
            Path(f"set/{split}/{domain}").mkdir(parents=True)
            for file in sorted(Path(folder).iterdir())[:4]:
                file.rename(f"set/{split}/{domain}/{split} {file.name}")
    assert img2img("data", "check", "--data", "set", "--write-pairs", "set.csv").status == 1
    assert len(Path("set.csv").read_text().splitlines()) == 9
    given = ("--data", "set", "--pairs", "set.csv")
    assert train(studio / "run", *given, "--max-steps", 1).status == 0
    for line in ((), given, given[:2]):
        outcome = img2img("evaluate", "--model", "run", *line, "--measures", "l1", "--json")
        assert json.loads(outcome.out)["l1"]["n"] == 4


def test_where_nothing_can_be_read_no_line_is_empty(tmp_path: Path, img2img: Command) -> None:
    for name in ("A/1.png", "B/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("no picture")
    outcome = img2img("data", "check", "--data", tmp_path)
    assert outcome.status == 1
    assert "no readable file" in outcome.out
    assert all(len(line.split(maxsplit=1)) == 2 for line in outcome.out.splitlines())


def test_formats_that_are_not_read_are_counted(
    tiny_pairs: Path, tmp_path: Path, img2img: Command
) -> None:
    shutil.copytree(tiny_pairs, tmp_path / "data")
    for name in ("A/x.svg", "A/y.svg", "B/z.psd"):
        (tmp_path / "data" / name).write_bytes(b"?")
    outcome = img2img("data", "check", "--data", tmp_path / "data")
    assert outcome.status == 0, outcome.err
    told = (
        "skipped, because these formats are not supported: .psd (1), .svg (2); convert them to PNG"
    )
    assert told in outcome.out + outcome.err
