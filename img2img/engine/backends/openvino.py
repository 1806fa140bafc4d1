"""OpenVINO."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import torch
from torch import Tensor

from img2img.engine.backends.base import BACKENDS, Backend, wants_batches
from img2img.engine.onnx_export import missing_packages, to_onnx
from img2img.errors import ConfigError
from img2img.networks import Generator
from img2img.runtime.scoped import hidden_module


@BACKENDS.register("openvino")
class OpenVinoBackend(Backend):
    """OpenVINO on the CPU, in float32 or bfloat16.

    One compiled model takes all sizes. One a size would be up to 8 % faster, but each new size
    would cost a compilation, and its own copy of the weights.
    """

    @classmethod
    def missing(cls) -> str | None:
        return missing_packages("openvino", "openvino", "onnx", "onnxscript")

    def __init__(
        self, generator: Generator, device: torch.device, precision: Literal["fp32", "bf16", "fp16"]
    ) -> None:
        if reason := self.missing():
            raise ConfigError(f"backend openvino: {reason}")
        if device.type != "cpu":
            raise ConfigError(
                f"backend openvino: runs on the CPU, not on {device}; use --device cpu"
            )
        core = openvino_package().Core()
        able = {"fp32", "bf16"} if _computes_bfloat16(core) else {"fp32"}
        if precision not in able:
            raise ConfigError(
                f"backend openvino: cannot compute in {precision} on this CPU; it can in"
                f" {', '.join(sorted(able))}"
            )
        self._in_batches = wants_batches(generator)
        # A float32 network with a hint of bfloat16 would leave all of a U-Net's transposed
        # convolutions in float32, as what stands between the last convolution and the output.
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        model = core.read_model(to_onnx(generator, dtype=dtype))
        self._model = compiled(core, model, "bf16" if precision == "bf16" else "f32")

    def run(self, x: Tensor) -> Tensor:
        parts = [x] if self._in_batches else x.chunk(len(x))
        results = [self._model(part.contiguous().numpy())[0] for part in parts]
        return torch.cat([torch.from_numpy(result) for result in results])


def compiled(core: Any, model: Any, precision: Literal["f32", "bf16"]) -> Any:
    """A model, ready to run on the CPU; from one thread at a time."""
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        # Two processes of one thread would both be pinned to the first core.
        "ENABLE_CPU_PINNING": False,
    }
    return _aside(core.compile_model, model, "CPU", settings)


def _aside(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives that loads OpenVINO's part for CPUs, in a thread of its own.

    It gives the thread that loads it another stack for signals, and frees that at the end: the next
    Ctrl-C would crash the process if that thread were the main one.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call, *arguments).result()


def openvino_package() -> Any:
    """The package, whose import would otherwise report itself to its maker over the network."""
    with hidden_module("openvino_telemetry"):
        import openvino

    return openvino


def _computes_bfloat16(core: Any) -> bool:
    return "BF16" in _aside(core.get_property, "CPU", "OPTIMIZATION_CAPABILITIES")
