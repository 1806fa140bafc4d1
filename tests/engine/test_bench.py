"""Backends are measured in a process of its own, and dropped where they are not ready in time."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from torch import Tensor

from img2img.engine.backends.eager import Eager
from img2img.engine.bench import noise
from img2img.engine.translator import Translator

Command = Callable[..., Any]


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no compiler to wait for")
def test_one_that_is_not_ready_in_time_is_dropped(img2img: Command, tiny_run: Path) -> None:
    before = set(psutil.Process().children(recursive=True))  # a browser of other tests, perhaps
    given = ["--backend", "compile", "--device", "cpu", "--size", 32, "--wait", 1]
    outcome = img2img("bench", tiny_run, *given, "--json")
    assert outcome.status == 0
    assert "note: compile in fp32: starting (at most 1 s)" in outcome.err
    first = json.loads(outcome.out)[0]
    assert (first["backend"], first["precision"], first["alone"]) == ("compile", "fp32", None)
    assert first["missing"] == "not ready after 1 s; `wait` allows more time"
    # Neither it nor its compilers; Python keeps a process for what spawned ones share.
    now = set(psutil.Process().children(recursive=True)) - before
    left = [" ".join(child.cmdline()) for child in now]
    assert [words for words in left if "resource_tracker" not in words] == []


def test_what_goes_on_is_said(img2img: Command, tiny_run: Path) -> None:
    outcome = img2img("bench", tiny_run, "--backend", "eager", "--device", "cpu", "--size", 32)
    assert outcome.status == 0
    told = ["eager in fp32: starting (at most 60 s", "eager in fp32: ready in"]
    for line, words in zip(outcome.err.splitlines(), told, strict=False):
        assert line.startswith(f"note: {words}")


def test_on_a_terminal_it_is_said_in_one_line(
    img2img: Command, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    outcome = img2img("bench", tiny_run, "--size", 16, "--batch", 1, "--backend", "eager")
    assert outcome.status == 0
    assert "ms alone" in outcome.out
    assert "note: " not in outcome.err


def test_mistakes_reach_the_one_who_asked(img2img: Command, tiny_run: Path, tmp_path: Path) -> None:
    for words in ([tmp_path / "none"], [tiny_run, "--backend", "nosuch"]):
        outcome = img2img("bench", *words)
        assert outcome.status == 2
        assert outcome.err.splitlines()[-1].startswith("error: ")


def test_each_is_told_as_it_becomes_known(tiny_run: Path) -> None:
    translator = Translator.load(tiny_run, device="cpu")
    left_out = {"compile", "onnx", "openvino"}
    begun, ready, ended, *_ = translator.bench(noise(32), 2, skip=left_out)
    assert (begun.preparing, begun.alone, begun.device) == (None, None, "cpu")
    assert ready.preparing is not None
    assert not ready.ended
    assert ended.ended
    assert ended.alone is not None
    assert ended.difference is not None
    assert ended.memory is not None
    assert ended.memory >= 0


@pytest.mark.parametrize(("runs", "ready"), [(1, False), (3, True)])
def test_one_that_fails_is_told_with_its_reason(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch, runs: int, ready: bool
) -> None:
    """When its first result is computed, or later."""
    calls, run = [0], Eager.run

    def failing(self: Eager, x: Tensor) -> Tensor:
        calls[0] += 1
        if calls[0] > runs:
            raise RuntimeError("no kernel\nat line 3")
        return run(self, x)

    monkeypatch.setattr(Eager, "run", failing)
    translator = Translator.load(tiny_run, device="cpu")
    found = [*translator.bench(noise(32), 2, skip={"compile", "onnx", "openvino"})]
    assert [each.ended for each in found[: 2 + ready]] == [False] * (1 + ready) + [True]
    assert (found[1 + ready].missing, found[1 + ready].alone) == ("no kernel", None)


def test_one_that_is_not_installed_is_told_what_it_needs(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    translator = Translator.load(tiny_run, device="cpu")
    begun, ended, *_ = translator.bench(noise(32), 2, "openvino")
    assert (begun.backend, begun.ended, ended.ended) == ("openvino", False, True)
    assert ended.missing is not None
    assert "openvino not installed: " in ended.missing
