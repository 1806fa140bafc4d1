"""Hints to install something name a command that works where the program is."""

import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from img2img.runtime.installation import install, install_extra

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("extra", ["onnx", "openvino", "metrics", "wandb"])
def test_an_extra_is_what_it_is_made_of(extra: str) -> None:
    """A Python, and packages that every index has; not this distribution, which none may have."""
    python, *words = shlex.split(install_extra(extra))
    assert (python, words[:3]) == (sys.executable, ["-m", "pip", "install"])
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = tree["project"]["optional-dependencies"][extra]
    # The comparisons of a version may be written in another order.
    assert {*map(sorted_text, words[3:])} == {*map(sorted_text, wanted)}


def sorted_text(text: str) -> str:
    return "".join(sorted(text))


def test_without_pip_uv_is_told_which_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distributions", lambda name: [])
    told = ["uv", "pip", "install", "--python", sys.executable, "triton"]
    assert install(["triton"]) == shlex.join(told)


def test_run_from_its_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    told = [sys.executable, "-m", "pip", "install", "-e", f"{ROOT}[onnx]"]
    assert install_extra("onnx") == shlex.join(told)
