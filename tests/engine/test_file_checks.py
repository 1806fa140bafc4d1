"""Exported files that claim more than their network has are refused before a runtime reads them."""

import os
from pathlib import Path

import onnx
import pytest
from onnx import helper

from img2img import export_model
from img2img.engine import exported
from img2img.engine.exported import open_exported
from img2img.errors import ModelFileError

HUGE = 3 * 2**30


@pytest.fixture
def no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*arguments: object) -> None:
        raise AssertionError("it was read")

    for runtime in exported.RUNTIMES.values():
        monkeypatch.setattr(runtime, "__init__", read)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> bytes:
    target = tmp_path_factory.mktemp("exported") / "net.onnx"
    return export_model(tiny_run, target, size=(64, 64)).files[0].read_bytes()


def padded(path: Path, content: bytes) -> Path:
    """With gigabytes of nothing behind it, in a field that no reader knows."""
    with path.open("wb") as file:
        file.write(content)
        length = HUGE - len(content) - 7
        file.write(bytes([0x82, 0x7D]))  # field 2000, of bytes
        while length > 0x7F:
            file.write(bytes([length & 0x7F | 0x80]))
            length >>= 7
        file.write(bytes([length]))
        file.truncate(HUGE)
    return path


@pytest.mark.usefixtures("no_runtime")
class TestNotRead:
    def test_onnx(self, tmp_path: Path, onnx_file: bytes) -> None:
        for content, words in (
            (onnx_file, "3072 MB, but its network has"),
            (b"", "not exported by img2img"),
        ):
            with pytest.raises(ModelFileError, match=words):
                open_exported(padded(tmp_path / "x.onnx", content))
        nothing = tmp_path / "nothing.onnx"
        nothing.touch()
        os.truncate(nothing, HUGE)
        with pytest.raises(ModelFileError, match="not a readable ONNX model"):
            open_exported(nothing)

    def test_openvino(self, tmp_path: Path, tiny_run: Path) -> None:
        text = exported.Description(
            generator="G", pixels=False, half=False, spec=_spec(tiny_run)
        ).model_dump_json()
        path, quoted = tmp_path / "x.xml", text.replace('"', "&quot;")
        weights = path.with_suffix(".bin")
        weights.touch()
        laughs = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
        for content, words in (
            (f"<!DOCTYPE net [<!ENTITY a0 'ha'>{laughs}]><net>&a9;</net>", "it defines entities"),
            ("<net>" * 100_000, "not a readable OpenVINO model"),
            ("<net></net>", "not exported by img2img"),
        ):
            path.write_text(content)
            with pytest.raises(ModelFileError, match=words):
                open_exported(path)
        path.write_text(f'<net><rt_info><img2img value="{quoted}"/></rt_info></net>')
        os.truncate(weights, HUGE)
        with pytest.raises(ModelFileError, match="3072 MB, but its network has"):
            open_exported(path)
        os.truncate(path, HUGE)
        with pytest.raises(ModelFileError, match="too large for an OpenVINO model"):
            open_exported(path)


def _spec(run: Path) -> object:
    from img2img import load_model

    return load_model(run).specs["G"]


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Loop"])
def test_operators_that_make_much_of_nothing(
    tmp_path: Path, onnx_file: bytes, operator: str
) -> None:
    model = onnx.load_model_from_string(onnx_file)
    model.graph.node.append(helper.make_node(operator, ["x"], ["y"]))
    path = tmp_path / "x.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match=f"never exports: {operator}"):
        open_exported(path)
    path.write_bytes(onnx_file)
    open_exported(path)
