"""Files of PyTorch are read without running what is in them, and hostile ones are refused."""

import argparse
import datetime
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from img2img.archives.pth import read_pth
from img2img.errors import ModelFileError
from img2img.models.compat.collection import import_files
from tests.archives.test_bombs import archive_of
from tests.models.compat.published import Resnet, trained

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
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps({"a": 1}))
    elif kind == "bare pickle":
        path.write_bytes(pickle.dumps(Bomb(folder / "RAN")))
    elif kind == "whole module":
        torch.save(nn.Conv2d(1, 1, 1), path)
    elif kind == "zip bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb/data.pkl", pickle.dumps({}))
            archive.writestr("bomb/data/0", bytes(50_000_000))
    elif kind == "tensors of nothing":
        with torch.device("meta"):
            shapes = {key: tensor.shape for key, tensor in Resnet(ngf=2000).state_dict().items()}
        torch.save({key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}, path)
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
    elif kind == "sparse tensor":
        torch.save({"a": torch.eye(3).to_sparse()}, path)
    elif kind == "other byte order":
        rezipped(good, path, lambda name, data: b"big" if name.endswith("byteorder") else data)
    elif kind == "program":
        torch.jit.save(torch.jit.script(nn.Conv2d(1, 1, 1)), path)
    elif kind == "legacy, of the future":
        path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(9999, 2))
    elif kind == "legacy, without its last numbers":
        torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "moved":
        path.write_bytes(
            good.read_bytes()[:4] + good.read_bytes()[4:].replace(b"PK\3\4", b"PK\3\5")
        )
    elif kind == "large description":
        path.write_bytes(archive_of(bytes(2**25 + 1)))
    elif kind == "large directory":
        comment = bytes(zipfile.ZIP_MAX_COMMENT)
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(130):
                entry = zipfile.ZipInfo(str(number))
                entry.comment = comment
                archive.writestr(entry, b"")
    elif kind == "list":
        torch.save([torch.zeros(2)], path)
    else:
        path.write_bytes({"empty": b"", "text": b"hello", "not a pickle": b"\x80abc"}[kind])
    return path


KINDS = {
    "code": "posix.system",
    "code, legacy": "posix.system",
    "bare pickle": "posix.system",
    "plain pickle": "something other than weights; nothing in it was run",
    "whole module": "torch.nn.modules.conv.Conv2d",
    "zip bomb": "would unpack to",
    "tensors of nothing": "more numbers than the file stores",
    "more than stored": "damaged",
    "cut off": "damaged",
    "legacy, cut off": "damaged",
    "other archive": "holds no weights",
    "memory": "builtins.bytearray, which weights never need",
    "sparse tensor": "torch._utils._rebuild_sparse_tensor",
    "list": "holds a list",
    "other byte order": "written on a machine with a different byte order",
    "program": "a TorchScript program, not weights",
    "legacy, of the future": "written by an unknown version of PyTorch",
    "legacy, without its last numbers": "truncated: it ends before its tensors do",
    "moved": "an entry of the archive is not where it should be",
    "large description": "the description of its weights is too large",
    "large directory": "its directory is too large for a file of weights",
    "empty": "not a readable safetensors file",
    "text": "not a readable safetensors file",
    "not a pickle": "damaged",
}


@pytest.mark.parametrize(("kind", "words"), KINDS.items())
def test_refused(tmp_path: Path, kind: str, words: str) -> None:
    path = make(kind, tmp_path)
    with pytest.raises(ModelFileError) as caught:
        import_files([path])
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert words in message.removeprefix(f"{path}: "), message
    assert not (tmp_path / "RAN").exists()
    # torch's own words advise to switch its protection off.
    assert "weights_only" not in message


def storage(kind: str = "Float", key: bytes = b"X\1\0\0\0000", numbers: bytes = b"K\2") -> bytes:
    """The program that names a storage, of two numbers."""
    module = f"ctorch\n{kind}Storage\n".encode()
    return b"(X\7\0\0\0storage" + module + key + b"X\3\0\0\0cpu" + numbers + b"tQ"


def array(
    of: bytes, offset: bytes = b"K\0", shape: bytes = b"K\2", strides: bytes = b"K\1"
) -> bytes:
    """The program that names a part of a storage, as `{"a": ...}`."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return b"}U\1a" + rebuild + of + offset + b"(" + shape + b"t(" + strides + b"t\x89NtRs"


PICKLES = {
    "text for a storage": (b"Pname\n", "it uses the pickle operation PERSID"),
    "too long": (b"N0" * 300_000, "the description of its weights is too long"),
    "too much memory": (b"\x8e" + (2**40).to_bytes(8, "little"), "takes too much memory"),
    "no size": (array(storage(numbers=b"N")), "a storage without a size"),
    "no key": (array(storage(key=b"K\0")), "a call without a valid name"),
    "no name": (b"K\0K\0\x93", "a call without a valid name"),
    "two types": (array(storage()) + b"0" + array(storage("Int")), "of two different types"),
    "no plain numbers": (
        array(storage("QInt8")),
        "a QInt8Storage, which does not hold plain numbers",
    ),
    "negative": (array(storage(), offset=b"J\xff\xff\xff\xff"), "an array without a shape"),
    "axes": (array(storage(), strides=b"K\1K\1"), "an array without a shape"),
    "beyond": (array(storage(), shape=b"K\3"), "a tensor reaches beyond the stored data"),
    "of nothing": (array(b"N"), "a (an array that refers to no storage) could only be rebuilt"),
    "a part": (array(storage(numbers=b"K\2(K\1t")), "(an array that refers to no storage)"),
    "a result called": (b"}U\1aNN\x85Rs", "a (the result of a call) could only be rebuilt"),
    "as Python 2 did": (b"}U\1a(cown\nOptions\nos", "a (own.Options) could only be rebuilt"),
}


@pytest.mark.parametrize(("program", "words"), PICKLES.values(), ids=PICKLES)
def test_descriptions_that_torch_does_not_write(tmp_path: Path, program: bytes, words: str) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(archive_of(b"\x80\x02" + program + b"."))
    with pytest.raises(ModelFileError) as caught:
        import_files([path])
    assert words in str(caught.value).removeprefix(f"{path}: ")


def test_a_dictionary_that_is_in_itself_many_times(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no tensors"):
        import_files([make("endless", tmp_path)])


def test_the_code_would_have_run(tmp_path: Path) -> None:
    """So that the test above can fail."""
    torch.load(make("code", tmp_path), weights_only=False)
    assert (tmp_path / "RAN").exists()


class Options(argparse.Namespace):
    """Of a class that no other program knows."""


def test_what_is_no_weights_is_left_out(tmp_path: Path, img2img: Command) -> None:
    """Options, scores and an optimizer, as trainings of others leave them beside their weights."""
    network = trained(Resnet())
    optimizer = torch.optim.Adam(network.parameters())
    torch.autograd.backward([p.sum() for p in network.parameters()])
    optimizer.step()
    content = {
        "state_dict": network.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "rate": 1e-4,
        "best": np.float64(0.25),
        "curve": np.arange(4.0),
        "history": [{"loss": np.float32(1)}] * 3,
        "opt": argparse.Namespace(lr=1, gpu_ids=[0], root=Path("x"), shape=torch.Size([1, 2])),
        "own": Options(name="x"),
        "hyper_parameters": OrderedDict(dtype=torch.float32, device=torch.device("cpu")),
        "when": datetime.datetime(2020, 1, 1),
        "random": np.random.default_rng(0).bit_generator.state,
        "bytes": b"abc",
        ("a", "key"): {1, 2},
    }
    for legacy in (False, True):
        path = tmp_path / "net.pth"
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        imported = import_files([path])
        state = imported.model.tensors["G"]
        assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
        (note,) = imported.notes
        assert "left out" in note
        assert "best (numpy._core.multiarray.scalar)" in note
        assert img2img("info", path).status == 0


def test_views_and_shared_storages(tmp_path: Path) -> None:
    grid = torch.arange(24.0).view(4, 6)
    content = {"part": grid[1:3, ::2], "turned": grid.t(), "none": torch.zeros(0, 3)}
    content |= {"half": torch.ones(3).half(), "whole": torch.arange(3), "one": torch.tensor(2.5)}
    content["again"] = content["part"]
    for legacy in (False, True):
        torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
        found = read_pth(tmp_path / "x.pth").tree
        assert found.keys() == content.keys()
        for key, tensor in content.items():
            assert found[key].dtype == tensor.dtype
            assert torch.equal(found[key], tensor)


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


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.filterwarnings(
    "ignore::torch.serialization.SourceChangeWarning", "ignore::UserWarning"
)
def test_a_whole_network_is_named(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "net.pth"
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelFileError, match=r"holds torch\.nn\.modules\.linear\.Linear, which"):
        read_pth(path)
