"""ONNX Runtime."""

import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from img2img.engine.backends.base import BACKENDS, Backend
from img2img.engine.backends.file import Run, RuntimeFile, one_line
from img2img.engine.file_checks import check_onnx, onnx_metadata
from img2img.engine.onnx_export import missing_packages, to_onnx
from img2img.errors import ConfigError, ModelFileError
from img2img.networks import Generator
from img2img.runtime.devices import PrecisionName


@BACKENDS.register("onnx")
class OnnxRuntimeBackend(Backend):
    """ONNX Runtime on the CPU, in float32."""

    @classmethod
    def missing(cls) -> str | None:
        return missing_packages("onnx", "onnxruntime", "onnx", "onnxscript")

    def __init__(
        self, generator: Generator, device: torch.device, precision: PrecisionName
    ) -> None:
        if reason := self.missing():
            raise ConfigError(f"backend onnx: {reason}")
        if device.type != "cpu":
            raise ConfigError(f"backend onnx: runs on the CPU, not on {device}; use `device=cpu`")
        if precision != "fp32":
            raise ConfigError(
                f"backend onnx: computes in fp32, not {precision}; use `precision=fp32`"
            )
        self._session = _session(to_onnx(generator))

    def run(self, x: Tensor) -> Tensor:
        (y,) = self._session.run(["output"], {"input": x.numpy()})
        return torch.from_numpy(y)


class OnnxFile(RuntimeFile):
    """An ONNX model, for ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        import onnx

        self._model = path.read_bytes()
        self.checksum = zlib.crc32(self._model)
        try:
            model = onnx.load_model_from_string(self._model)
        except Exception as error:  # protobuf's, which has several implementations
            raise ModelFileError.of(path, f"not a readable ONNX model: {one_line(error)}") from None
        check_onnx(path, model)
        types = [value.type.tensor_type.elem_type for value in model.graph.input]
        self.takes_uint8 = types == [onnx.TensorProto.UINT8]

    @staticmethod
    def files(path: Path) -> list[Path]:
        return [path]

    @staticmethod
    def metadata(path: Path, key: str) -> str | None:
        return onnx_metadata(path, key)

    @staticmethod
    def missing() -> str | None:
        return missing_packages("onnx", "onnxruntime", "onnx")

    def compile(self) -> Run:
        session = _session(self._model)
        (name,) = (value.name for value in session.get_inputs())
        return lambda x: session.run(None, {name: x})[0]


def _session(model: bytes) -> Any:
    """A serialized model, ready to run; safe to use from several threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Both would keep memory for every size ever seen.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # errors are raised anyway
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
