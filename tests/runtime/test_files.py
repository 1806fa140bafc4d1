"""Atomic writes: all or nothing."""

import stat
from pathlib import Path

import pytest

from img2img.errors import StorageError
from img2img.runtime.files import LONGEST_LINE, atomic_write, json_lines, parse_json, write_text


def test_takes_the_place_of_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    write_text(target, "first")
    write_text(target, "second")
    assert target.read_text() == "second"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_text(target, "old")
    with pytest.raises(StorageError, match=r"file\.txt: No space left"):
        fill_the_disk(target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def fill_the_disk(target: Path) -> None:
    with atomic_write(target) as temporary:
        temporary.write_text("half of the n")
        raise OSError(28, "No space left on device")


def test_other_errors_pass_and_clean_up_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), atomic_write(tmp_path / "file.txt"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        write_text(tmp_path / "file" / "below.txt", "text")


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    write_text(tmp_path / "ours", "text")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


# Texts that are no JSON, or none that Python takes.
NO_JSON = [
    b"{",
    b"\0\0",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 5000,
    b"nothing",
]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: repr(text[:6]))
def test_what_is_no_json_is_one_kind_of_error(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(text)
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"[1]\n" + text + b'\n{"a": 2}\n')
    assert [*json_lines(path)] == [[1], None, {"a": 2}]


def test_a_line_without_end_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"\0" * (3 * LONGEST_LINE // 2) + b"\n1\n")
    assert [*json_lines(path)] == [None, None, 1]
