"""What the Tab key offers: methods, configurations, runs and models."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

OFFERED = [
    ("train p", {"pix2pix"}),
    ("train ", {"cyclegan", "pix2pix", "runs/mine"}),
    ("train --resume runs/", {"runs/mine"}),
    ("train pix2pix --config pix2pix-", {"pix2pix-icons.yaml", "pix2pix-modern.yaml"}),
    ("train pix2pix --config own", {"own.yaml"}),
    ("translate --model ru", {"runs/mine"}),
    ("translate -m runs/", {"runs/mine", "runs/mine/model.safetensors"}),
    ("translate -m ic", {"icons.onnx"}),
    ("info ru", {"runs/mine"}),
    ("bench ru", {"runs/mine"}),
    ("export ru", {"runs/mine"}),
    ("doctor ru", {"runs/mine"}),
    ("report ru", {"runs/mine"}),
    ("compare runs/mine ru", {"runs/mine"}),
    ("evaluate --model ru", {"runs/mine"}),
    ("list gen", {"generators"}),
    ("translate --backend o", {"onnx", "openvino"}),
    ("translate --precision b", {"bf16"}),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    for path in (run / "config.yaml", run / "model.safetensors", run / "losses.png"):
        path.touch()
    for name in ("own.yaml", "icons.onnx", "photo.jpg"):
        (tmp_path / name).touch()


@pytest.mark.parametrize(("line", "offered"), OFFERED)
@pytest.mark.usefixtures("folder")
def test_what_is_offered(
    line: str, offered: set[str], img2img: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"img2img {line}"
    monkeypatch.setenv("_IMG2IMG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    found = set(img2img().out.split())
    assert found >= offered
    assert not found & {"photo.jpg", "runs/mine/losses.png"}


def test_nothing_large_is_waited_for(tmp_path: Path) -> None:
    code = """
import atexit, sys
slow = {"torch", "albumentations", "img2img.config", "numpy", "cv2", "PIL", "matplotlib"}
atexit.register(lambda: print("waited for:", *slow & set(sys.modules)))
from img2img.cli.app import main
main()
"""
    asked = {"COMP_WORDS": "img2img train ", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,  # elsewhere there may be runs, which complete it, too
        env={**os.environ, **asked, "_IMG2IMG_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["cyclegan", "pix2pix", "waited", "for:"], done.stderr
