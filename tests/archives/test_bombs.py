"""Files that claim far more than they are cost no more than they are to be refused."""

import io
import pickle
import pickletools
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

HUGE = 3 * 2**30
# Above what importing torch takes, in MB.
MOST_MEMORY = 300

# Reads each file, and tells how much memory the process had at its peak before and after.
READ = """
import resource, sys
from pathlib import Path
from img2img.models.checkpoint import load_model, load_state
from img2img.errors import ModelFileError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def refused(load, path):
    try:
        load(path)
    except ModelFileError as error:
        return str(error)
    raise SystemExit(f"{path} was read")

refused(load_model, Path("nothing"))
before = peak()
for name in sys.argv[1:]:
    load = load_state if name.endswith("state.safetensors") else load_model
    print(refused(load, Path(name)), "|", peak() - before)
"""


class Encoded:
    def __init__(self, depth: int, codec: str) -> None:
        self.depth, self.codec = depth, codec

    def __reduce__(self) -> tuple[Any, ...]:
        import _codecs

        if not self.depth:
            return _codecs.encode, ("a" * 64, "latin1")
        return _codecs.encode, (Encoded(self.depth - 1, self.codec), self.codec)


def archive_of(pickled: bytes) -> bytes:
    """A file of `torch.save` around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x/data.pkl", pickled)
        archive.writestr("x/data/0", bytes(64))
        archive.writestr("x/version", b"3\n")
    return buffer.getvalue()


def sparse(path: Path, beginning: bytes) -> Path:
    with path.open("wb") as file:
        file.write(beginning)
        file.truncate(HUGE)
    return path


def header(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def pickles() -> Iterator[tuple[str, bytes]]:
    """Programs that ask for memory or time."""
    yield "hex", pickle.dumps(Encoded(24, "hex"), protocol=2)
    yield "punycode", pickle.dumps(Encoded(12, "punycode"), protocol=2)
    yield "bytearray", b"\x80\x02cbuiltins\nbytearray\nJ\x00\xf1Se\x85R."
    yield "bytes", b"\x80\x04\x8e" + struct.pack("<Q", HUGE) + b"x."
    yield "text", b"\x80\x04\x8d" + struct.pack("<Q", HUGE) + b"x."
    yield "long", b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x."
    yield "digits", b"\x80\x02I" + b"9" * 2**20 + b"\n."
    yield "no line", b"\x80\x02c" + b"a" * 2**20
    yield "memo", b"\x80\x02Nr\xff\xff\xff\x7f."
    yield "operations", b"\x80\x02" + b"N" * 2**24 + b"."
    yield "dictionaries", b"\x80\x02" + b"}" * 2**24 + b"."
    yield "deep", b"\x80\x02" + b"]" * 400_000 + b"a" * 399_999 + b"."
    yield "tuples", b"\x80\x02)" + b"2\x86" * 100_000 + b"."
    yield "hashed", b"\x80\x02})" + b"2\x86" * 60 + b"Ns."
    ordered = b"ccollections\nOrderedDict\nq\x00"
    yield "ordered", b"\x80\x02" + ordered + b"0(" + b"h\x00)R" * 200_000 + b"l."
    pairs = b"(" + b"(K\x01K\x02t" * 50_000 + b"lq\x01"
    yield "copies", b"\x80\x02" + ordered + b"0" + pairs + b"h\x00h\x01\x85R" * 50_000 + b"."
    shape = b"(" + b"K\x02" * 100_000 + b"tq\x01"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\nq\x02"
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    )
    storage += b"J\xff\xff\xff\x7ftQq\x03"
    many = b"(" + b"N" * 150_000 + b"tq\x010"
    yield "arguments", b"\x80\x02" + ordered + b"0" + many + b"h\x00h\x01R0" * 60_000 + b"}."
    identity = storage.removesuffix(b"tQq\x03") + b"N" * 150_000 + b"tq\x010"
    yield "identity", b"\x80\x02" + identity + b"h\x01Q0" * 80_000 + b"}."
    call = b"h\x02(h\x03K\x00h\x01h\x01\x89NtR"
    yield "axes", b"\x80\x02" + shape + rebuild + storage + call * 10_000 + b"."


def files(folder: Path) -> Iterator[Path]:
    for name, program in pickles():
        path = folder / f"{name}-archive.pth"
        path.write_bytes(archive_of(program))
        yield path
        if name in ("hex", "bytes", "no line"):
            path = folder / f"{name}.pth"
            path.write_bytes(program)
            yield path
    tensor = b'"dtype":"F32","shape":[805306368],"data_offsets":[0,3221225472]}'
    strange = header(b'{"a":{' + tensor + b"}")
    path = sparse(folder / "strange.safetensors", strange)
    with path.open("r+b") as file:
        file.truncate(len(strange) + HUGE)
    yield path
    for kind in ("model", "state"):
        named = (
            b'{"__metadata__":{"img2img":"{\\"kind\\":\\"%s\\",\\"format_version\\":2'
            % kind.encode()
        )
        named += b',\\"generators\\":{},\\"tree\\":1}"},"G.a":{' + tensor + b"}"
        path = sparse(folder / f"{kind}.safetensors", header(named))
        with path.open("r+b") as file:
            file.truncate(len(header(named)) + HUGE)
        yield path
    yield sparse(folder / "header.safetensors", struct.pack("<Q", HUGE - 8) + b"{")
    long = folder / "metadata.safetensors"
    save_file({"a": torch.zeros(1)}, long, metadata={"img2img": "[" * 2**25})
    yield long
    yield sparse(folder / "nothing.pth", b"\x80\x02")
    yield sparse(folder / "line.pth", b"\x80\x02c")
    yield sparse(folder / "string.pth", b"\x80\x02S'")
    torch.save({"a": torch.zeros(2)}, folder / "good.pth", _use_new_zipfile_serialization=False)
    good = (folder / "good.pth").read_bytes()
    # A tensor, and its storage, of 3 GB instead of two numbers.
    count = b"J" + struct.pack("<i", 0x2C000000)
    many = good.replace(b"K\x02N", count + b"N").replace(b"K\x02\x85q", count + b"\x85q")
    yield sparse(folder / "legacy.pth", many[:-16] + struct.pack("<q", 0x2C000000))
    with zipfile.ZipFile(folder / "deflated.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}, 2))
        archive.writestr("x/data/0", bytes(100_000_000))
    yield folder / "deflated.pth"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, HUGE - 1000, 100, 0)
    path = sparse(folder / "directory.pth", b"PK\x03\x04")
    with path.open("r+b") as file:
        file.seek(HUGE - len(end))
        file.write(end)
    yield path


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX resources")
def test_all(tmp_path: Path) -> None:
    paths = [*files(tmp_path)]
    command = [sys.executable, "-c", READ, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(paths)
    for path, line in zip(paths, lines, strict=True):
        assert line.startswith(f"{path}: "), line
        assert len(line) < len(str(path)) + 400
        assert int(line.rpartition("|")[2]) < MOST_MEMORY, line


def test_they_are_programs() -> None:
    """So that they are refused for what they do, not for being none."""
    for name, program in pickles():
        # Cut off, which is for the reader to see too late; or the same millions of times.
        if name in ("no line", "digits", "bytes", "text", "long"):
            continue
        most = 1000 if name in ("operations", "dictionaries") else None
        assert sum(1 for _ in islice(pickletools.genops(program), most)) > 3, name


@pytest.mark.parametrize("name", ["hex.pth", "one-axis.safetensors", "header.safetensors"])
def test_the_command_line_refuses_what_cannot_be_a_model_without_torch(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name == "hex.pth":
        path.write_bytes(pickle.dumps(Encoded(24, "hex"), protocol=2))
    elif name == "one-axis.safetensors":
        save_file({"a": torch.zeros(9)}, path)
    else:
        sparse(path, struct.pack("<Q", HUGE))
    for command in (["info", path], ["translate", "-m", path, "-i", "a.png", "-o", "b.png"]):
        words = [sys.executable, "-X", "importtime", "-m", "img2img", *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2
        assert f"error: {path}" in done.stderr
        assert " torch\n" not in done.stderr
