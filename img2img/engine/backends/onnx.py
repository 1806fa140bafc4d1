"""ONNX Runtime."""

from typing import Any, Literal

import torch
from torch import Tensor

from img2img.engine.backends.base import BACKENDS, Backend
from img2img.engine.onnx_export import missing_packages, to_onnx
from img2img.errors import ConfigError
from img2img.networks import Generator


@BACKENDS.register("onnx")
class OnnxRuntimeBackend(Backend):
    """ONNX Runtime on the CPU, in float32; it has no bfloat16."""

    @classmethod
    def missing(cls) -> str | None:
        return missing_packages("onnx", "onnxruntime", "onnx", "onnxscript")

    def __init__(
        self, generator: Generator, device: torch.device, precision: Literal["fp32", "bf16", "fp16"]
    ) -> None:
        if reason := self.missing():
            raise ConfigError(f"backend onnx: {reason}")
        if device.type != "cpu":
            raise ConfigError(f"backend onnx: runs on the CPU, not on {device}; use --device cpu")
        if precision != "fp32":
            raise ConfigError(f"backend onnx: computes in fp32, not {precision}")
        self._session = onnx_session(to_onnx(generator))

    def run(self, x: Tensor) -> Tensor:
        (y,) = self._session.run(["output"], {"input": x.numpy()})
        return torch.from_numpy(y)


def onnx_session(model: bytes) -> Any:
    """A serialized model, ready to run; safe to use from several threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Both keep memory for every size that was ever seen.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # what goes wrong is raised, too
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
