"""Where output goes: files in other encodings, pipes that nobody reads, streams that are closed."""

import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from img2img import cli
from img2img.cli.app import main
from img2img.cli.lasting import lasting_output
from img2img.cli.output import console

Command = Callable[..., Any]


def run_into(stdout: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of the console script with that standard output."""
    monkeypatch.setattr(sys, "argv", ["img2img", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_names_in_any_script_go_into_any_encoding(
    encoding: str, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("模").symlink_to(tiny_run)
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding)
    assert run_into(stream, monkeypatch, "info", "模") == 0
    stream.flush()
    shown = "模".encode(encoding, errors="backslashreplace")
    assert written.getvalue().startswith(shown + b": written by img2img")


def test_names_that_are_no_text_at_all(
    img2img: Command, train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "caf\udce9"  # bytes that are not UTF-8
    odd.symlink_to(tiny_pairs)
    assert train(tmp_path / "run", "--data", odd, "--max-steps", 1).status == 0
    given = ["--model", tmp_path / "run", "--input", odd / "A", "--output", tmp_path / "r\udce9"]
    assert img2img("translate", *given, "--gallery").status == 0
    refused = train(tmp_path / "run\udce9", "--data", tiny_pairs, "--max-steps", 1)
    assert refused.status == 2  # rather than where the weights are saved
    assert f"--output {tmp_path}/run\\udce9: the name is not valid UTF-8;" in refused.err


def test_training_goes_on_where_nobody_reads(
    tmp_path: Path, tiny: list[str], tiny_pairs: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "img2img", "train", "pix2pix", *tiny, "--max-steps", "2"]
    done = subprocess.run(
        [*command, "--data", tiny_pairs, "--output", tmp_path / "run"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_without_a_standard_output(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_into(None, monkeypatch, "info", tiny_run) == 0


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_work_goes_on_when_nobody_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, name, stream)
        with lasting_output():
            for _ in range(3):
                print("x" * 100_000, file=getattr(sys, name), flush=True)
            assert not getattr(sys, name).isatty()
        assert getattr(sys, name) is stream


def test_warnings_of_img2img_are_notes_and_others_are_as_usual(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with warnings.catch_warnings(record=True) as others:
        assert run_into(sys.stdout, monkeypatch, "--version") == 0
        warnings.simplefilter("always")
        own = str(Path(cli.__file__).parents[1] / "features" / "weights.py")
        for category, path in ((UserWarning, own), (UserWarning, "x.py"), (RuntimeWarning, own)):
            warnings.warn_explicit("fetching [weights]", category, path, 7)
    assert capfd.readouterr().err == "note: fetching [weights]\n"
    assert [(each.category, each.filename) for each in others] == [
        (UserWarning, "x.py"),
        (RuntimeWarning, own),
    ]


def test_a_table_that_nobody_reads_to_its_end_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "quiet", False)  # which stays as it is set
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        assert run_into(stream, monkeypatch, "list", "generators") == 0
