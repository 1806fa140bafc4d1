"""Tables of pairs, as people and spreadsheets write them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from img2img.config import DataConfig
from img2img.data.pair_list import write_pairs
from img2img.data.paired import PairedData
from img2img.errors import DataError

MakeImage = Callable[..., Path]


@pytest.fixture
def folders(tmp_path: Path, make_image: MakeImage) -> Path:
    """Two folders whose names have nothing in common, and an image each without a partner."""
    for number, (A, B) in enumerate((("x", "p"), ("y", "q"), ("café", "r"), ("left", "over"))):
        make_image(f"A/{A}.png", seed=number)
        make_image(f"B/deep/{B}.jpg", seed=number)
    return tmp_path


def found(root: Path, **data: object) -> PairedData:
    settings = {"root": root, "pairs": root / "pairs.csv", "holdout": "none", **data}
    return PairedData.find(DataConfig.model_validate(settings), 0)


def names(data: PairedData) -> list[tuple[str, str]]:
    return [(pair.A.path.name, pair.B.path.name) for pair in data.train]


ROWS = [("x.png", "q.jpg"), ("y.png", "p.jpg"), ("café.png", "r.jpg")]


@pytest.mark.parametrize(
    "text",
    [
        "A,B\nx.png,deep/q.jpg\ny.png,deep/p.jpg\ncafé.png,deep/r.jpg\n",
        "x.png;deep/q.jpg\r\n\r\ny.png;deep/p.jpg\r\ncafe\u0301.png;deep/r.jpg",
        "a\tb\nA/x.png\tB/deep/q.jpg\nA/y.png\tB/deep/p.jpg\nA/café.png\tB/deep/r.jpg",
        '\ufeff"A","B"\n"x.png","deep/q.jpg"\n ./y.png , deep/../deep/p.jpg\ncafé.png,deep/r.jpg',
    ],
    ids=["as written", "semicolons", "from the root", "quoted"],
)
def test_pairs_of_a_table(folders: Path, text: str) -> None:
    (folders / "pairs.csv").write_text(text, encoding="utf-8", newline="")
    data = found(folders)
    assert names(data) == ROWS
    assert data.problems == []
    assert [*data.notices()] == ["left out, not listed in data.pairs: 2 images"]


def test_what_is_written_is_read(folders: Path) -> None:
    pairs = [(folders / "A/x.png", folders / "B/deep/q.jpg")]
    write_pairs(folders / "pairs.csv", pairs, folders, folders)
    assert (folders / "pairs.csv").read_text() == "A,B\nA/x.png,B/deep/q.jpg\n"
    assert names(found(folders)) == [("x.png", "q.jpg")]


def test_a_table_of_several_splits(tmp_path: Path, make_image: MakeImage) -> None:
    for split in ("train", "val"):
        make_image(f"{split}/A/{split}-1.png")
        make_image(f"{split}/B/{split}-2.png")
    rows = [f"{split}/A/{split}-1.png,{split}/B/{split}-2.png" for split in ("train", "val")]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    data = found(tmp_path, holdout="auto")
    assert names(data) == [("train-1.png", "train-2.png")]
    assert [pair.A.path.name for pair in data.held_out] == ["val-1.png"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x.png,nothing.png", ("row 1", "'nothing.png'", "no such file")),
        ("A,B\nx.png,deep/p.jpg\nx.png,deep/q.jpg", ("row 3", "x.png", "already in row 2")),
        ("x.png,deep/p.jpg\ny.png,deep/p.jpg", ("row 2", "p.jpg", "already in row 1")),
        ("x.png\n", ("row 1 has 1 column,",)),
        ("x.png,deep/p.jpg,0.5\n", ("row 1 has 3 columns",)),
        ("x.png,\n", ("row 1", "''", "no such file")),
        ("x.png,A/y.png\n", ("row 1", "A/y.png is not in")),
        ("A,B\n", ("no row lists a file",)),
        ("", ("no row lists a file",)),
        (b"\xff\xfe\x00", ("not UTF-8 text",)),
        ("x" * 200_000 + ",y", ("not a table of comma-separated values", "field limit")),
        (None, ("No such file",)),
    ],
)
def test_a_table_that_is_wrong(
    folders: Path, text: str | bytes | None, words: tuple[str, ...]
) -> None:
    if text is not None:
        content = text.encode() if isinstance(text, str) else text
        (folders / "pairs.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        found(folders)
    for word in ("pairs.csv", *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_halves_are_not_listed(tmp_path: Path, make_both: MakeImage) -> None:
    make_both("1.png")
    (tmp_path / "pairs.csv").write_text("1.png,1.png")
    with pytest.raises(DataError, match="no list of pairs is needed"):
        found(tmp_path)
