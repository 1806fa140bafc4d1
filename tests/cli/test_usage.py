"""What is given wrongly is answered by a line that says what would be right; help is whole."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

from img2img.cli.app import app
from tests.cli.test_options import commands

Command = Callable[..., Any]
ALL = dict(commands(typer.main.get_command(app)))

ANSWERS = [
    ("list generator", "unknown catalogue 'generator' (did you mean 'generators'?)"),
    ("list", "img2img list: WHAT: missing: Catalogue to list: methods, generators"),
    (
        "tranlate",
        "img2img: unknown command 'tranlate' (did you mean 'translate'?); choose from: train",
    ),
    ("data chek", "img2img data: unknown command 'chek' (did you mean 'check'?)"),
    ("train pix2pix --lr 0.1", "unknown option --lr (did you mean --set optimizer.lr=...?)"),
    ("train pix2pix --max-stepz 1", "unknown option --max-stepz (did you mean '--max-steps'?)"),
    ("train pix2pics", "unknown method 'pix2pics' (did you mean 'pix2pix'?)"),
    ("train IN", "METHOD is missing: img2img train pix2pix --data IN for pairs of images"),
    ("train pix2pix pairs", "unexpected argument: pairs (did you mean --data pairs?)"),
    (
        "train pix2pix discriminator.ndf=8",
        "unexpected argument: discriminator.ndf=8 (did you mean --set discriminator.ndf=8?)",
    ),
    ("train pix2pix --config IN", "cannot read IN: it is a folder, not a YAML file"),
    ("bench INN", "INN: no such file or folder (did you mean 'IN'?)"),
    ("data check a b", "unexpected argument: a b (did you mean --data-a a --data-b b?)"),
    (
        "train pix2pix --resume runs/x",
        "to resume a run, name only the run: img2img train --resume runs/x",
    ),
    (
        "train pix2pix --resume",
        "--resume runs/pix2pix: not a run folder, because runs/pix2pix/config.yaml does not exist",
    ),
    ("train --resume INN", "INN/config.yaml does not exist (did you mean 'IN'?)"),
    ("translate -m INN -i IN -o o", "INN: no such file or folder (did you mean 'IN'?)"),
    ("translate -m IN -i IN -o o", "IN: no model here"),
    ("report INN", "INN: not a run folder, because it has no config.yaml (did you mean 'IN'?)"),
    ("data check --data INN", "INN: no such folder (did you mean 'IN'?)"),
    ("train pix2pix --batch-size x", "train: --batch-size: Input should be a valid integer"),
    ("train pix2pix --max-steps 0", "--max-steps: Input should be greater than or equal to 1"),
    ("train pix2pix --data-a A", "--data-b is missing"),
    ("train pix2pix --data-b B", "--data-a is missing"),
    (
        "train pix2pix --config pix2pix-icon.yaml",
        "cannot read pix2pix-icon.yaml: no such file (did you mean 'pix2pix-icons.yaml'?)",
    ),
    ("train pix2pix --config mein.yaml", "no such file (did you mean 'mine.yaml'?)"),
    (
        "train pix2pix --set augment.geometry=HorizontalFlip",
        "augment: unknown key (did you mean 'data.augment'?)",
    ),
    (
        "train pix2pix --set data.augment.geometry=HorizontalFlip",
        "data.augment.geometry: Input should be a valid list; write it as [{name: HorizontalFlip}]",
    ),
    ("train pix2pix --set lr=1", "lr: unknown key (did you mean 'optimizer.lr'?)"),
    ("translate", "--model: missing: A run folder, a model file"),
    (
        "translate RUN IN OUT",
        "each option needs its name: img2img translate --model RUN --input IN --output OUT",
    ),
    (
        "translate RUN --input IN --output OUT",
        "each option needs its name: img2img translate --model RUN --input IN --output OUT",
    ),
    (
        "translate -m RUN -i p/1.jpg p/2.jpg p/3.jpg -o OUT",
        "-i takes one value, but was given p/1.jpg, p/2.jpg, p/3.jpg (3). Quote a pattern, so"
        " that the shell does not expand it: -i 'p/*.jpg'",
    ),
    (
        "translate --model RUN --output OUT --input 1.jpg 2.png",
        "--input takes one value, but was given 1.jpg, 2.png (2). Quote a pattern, so that"
        " the shell does not expand it: --input '*'",
    ),
    (
        "video assemble IN --output o.mp4 --like v.mp4 --start 00:00:01:12",
        "--start: '00:00:01:12' ends in a frame number, but a fraction of a second is needed;"
        " at 25 frames per second that is 00:00:01.48",
    ),
    ("report a b", "img2img report: unexpected argument: b; see img2img report -h"),
]


@pytest.mark.parametrize(("line", "told"), ANSWERS)
def test_what_would_be_right_is_said(
    line: str, told: str, img2img: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("")
    Path("IN").mkdir()
    outcome = img2img(*line.split())
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert told in outcome.err
    assert outcome.err.count("\n") == 1


# Every option and argument that takes a path: a command line up to it.
PATHS = [
    "train pix2pix --data",
    "train pix2pix --data-a",
    "train pix2pix --config",
    "train pix2pix --output",
    "train pix2pix --init-from",
    "train --resume",
    "train pix2pix --set data.root=",
    "translate -m m -i i -o",
    "translate -m m -o o -i",
    "translate -i i -o o --model=",
    "evaluate",
    "evaluate a b --csv",
    "bench",
    "import",
    "info",
    "export m --output=",
    "doctor",
    "report",
    "compare a b --data",
    "data check --data",
    "data preview --output",
    "video assemble in --output",
    "demo -o",
]


@pytest.mark.parametrize("line", PATHS)
@pytest.mark.parametrize("address", ["s3://bucket/out", "https://x.org/a.jpg", "file:///a"])
def test_addresses_are_no_paths(
    line: str, address: str, img2img: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = f"{line}{address}" if line.endswith("=") else f"{line} {address}"
    outcome = img2img(*text.split())
    assert outcome.status == 2
    assert f"{address}: this is an address, but a path on this machine is needed" in outcome.err
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("key", ["root", "root_a", "holdout"])
def test_addresses_in_a_file_are_no_paths(key: str, img2img: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"data: {{{key}: 's3://bucket/pairs'}}")
    outcome = img2img("train", "pix2pix", "--config", file)
    assert outcome.status == 2
    assert f"data.{key}: " in outcome.err
    assert "an address, but a path on this machine is needed" in outcome.err


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", ALL)
def test_help_breaks_no_word_and_shows_no_types_of_flags(
    name: str, width: int, img2img: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(columns: int) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        text = img2img(*name.split()[1:], "--help").out
        assert isinstance(text, str)
        return text

    text = shown(width)
    assert "bool" not in text
    assert " range>" not in text
    assert [len(line) for line in text.splitlines() if len(line) > width and "  " in line[2:]] == []
    for word in re.findall(r"--[\w-]+|<\S+>", shown(400)):
        assert re.search(rf"{re.escape(word)}(?![\w-])", text), word
