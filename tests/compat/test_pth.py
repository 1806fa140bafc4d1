"""Files of PyTorch are read without running what is in them, and hostile ones are refused."""

import argparse
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from img2img.compat.collection import import_files
from img2img.compat.pth import read_pth
from img2img.errors import ModelFileError
from tests.compat.published import Resnet

Command = Callable[..., Any]


class Bomb:
    """What pickle would run when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


def rezipped(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))


def make(kind: str, folder: Path) -> Path:
    path, good = folder / f"{kind}.pth", folder / "good.pth"
    torch.save({"a": torch.zeros(1000)}, good)
    if kind == "code":
        torch.save({"a": torch.zeros(2), "b": Bomb(folder / "RAN")}, path)
    elif kind == "code, legacy":
        torch.save({"a": Bomb(folder / "RAN")}, path, _use_new_zipfile_serialization=False)
    elif kind == "bare pickle":
        path.write_bytes(pickle.dumps(Bomb(folder / "RAN")))
    elif kind == "settings":
        torch.save({"opt": argparse.Namespace(lr=1), "a": torch.zeros(2)}, path)
    elif kind == "whole module":
        torch.save(nn.Conv2d(1, 1, 1), path)
    elif kind == "zip bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb/data.pkl", pickle.dumps({}))
            archive.writestr("bomb/data/0", bytes(50_000_000))
    elif kind == "tensor of nothing":
        torch.save({"a": torch.zeros(1).expand(100_000, 100_000)}, path)
    elif kind == "more than stored":
        rezipped(good, path, lambda _, data: data.replace(b"M\xe8\x03", b"J\x00\x00\x00\x10"))
    elif kind == "cut off":
        path.write_bytes(good.read_bytes()[:2000])
    elif kind == "legacy, cut off":
        torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "other archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/b.txt", "text")
    elif kind == "memory":
        path.write_bytes(b"\x80\x02cbuiltins\nbytearray\nJ\x00\xf1Se\x85R.")
    elif kind == "endless":
        tree: dict[str, Any] = {}
        for _ in range(10):
            tree = dict.fromkeys(map(str, range(40)), tree)
        torch.save(tree, path)
    elif kind == "sparse":
        torch.save({"a": torch.eye(3).to_sparse()}, path)
    elif kind == "list":
        torch.save([torch.zeros(2)], path)
    else:
        path.write_bytes({"empty": b"", "text": b"hello", "not a pickle": b"\x80abc"}[kind])
    return path


KINDS = {
    "code": "posix.system",
    "code, legacy": "posix.system",
    "bare pickle": "nothing in it was run",
    "settings": "argparse.Namespace",
    "whole module": "torch.nn.modules.conv.Conv2d",
    "zip bomb": "would unpack to",
    "tensor of nothing": "more numbers than are stored",
    "more than stored": "damaged",
    "cut off": "damaged",
    "legacy, cut off": "damaged",
    "other archive": "not of weights",
    "memory": "no weights need",
    "sparse": "not plain arrays",
    "list": "holds a list",
    "empty": "neither",
    "text": "neither",
    "not a pickle": "damaged",
}


@pytest.mark.parametrize(("kind", "words"), KINDS.items())
def test_refused(tmp_path: Path, kind: str, words: str) -> None:
    path = make(kind, tmp_path)
    with pytest.raises(ModelFileError) as caught:
        read_pth(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert words in message, message
    assert not (tmp_path / "RAN").exists()
    # torch's own words advise to switch its protection off.
    assert "weights_only" not in message


def test_a_dictionary_that_is_in_itself_many_times(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no tensors"):
        import_files([make("endless", tmp_path)])


def test_the_code_would_have_run(tmp_path: Path) -> None:
    """So that the test above can fail."""
    torch.load(make("code", tmp_path), weights_only=False)
    assert (tmp_path / "RAN").exists()


@pytest.mark.parametrize("command", ["import", "info", "translate", "train"])
@pytest.mark.parametrize("kind", ["code", "zip bomb", "cut off", "classifier", "shape"])
def test_commands(
    tmp_path: Path, img2img: Command, tiny_pairs: Path, command: str, kind: str
) -> None:
    path = tmp_path / "x.pth"
    if kind == "classifier":
        torch.save({"conv1.weight": torch.zeros(8, 3, 7, 7), "fc.bias": torch.zeros(9)}, path)
    elif kind == "shape":
        torch.save(Resnet().state_dict() | {"model.7.weight": torch.zeros(2, 2, 3, 3)}, path)
    else:
        make(kind, tmp_path).rename(path)
    lines = {
        "import": ["import", str(path), "--output", str(tmp_path / "m.safetensors")],
        "info": ["info", str(path)],
        "translate": ["translate", "--model", str(path), "--input", str(tiny_pairs)],
        "train": ["train", "pix2pix", "--data", str(tiny_pairs), "--init-from", str(path)],
    }
    extra = ["--output", str(tmp_path / "out")] if command in ("translate", "train") else []
    outcome = img2img(*lines[command], *extra)
    assert outcome.status == 2, outcome.out
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1, outcome.err
    assert "x.pth" in outcome.err
    assert not (tmp_path / "RAN").exists()
    assert not (tmp_path / "m.safetensors").exists()
