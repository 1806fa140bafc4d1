"""OpenVINO."""

import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from img2img.engine.backends.base import BACKENDS, Backend, split_for
from img2img.engine.backends.file import Array, Run, RuntimeFile, one_line
from img2img.engine.file_checks import openvino_metadata
from img2img.engine.onnx_export import missing_packages, to_onnx
from img2img.errors import ConfigError, ModelFileError
from img2img.networks import Generator
from img2img.runtime.devices import PrecisionName
from img2img.runtime.scoped import hidden_module


@BACKENDS.register("openvino")
class OpenVinoBackend(Backend):
    """OpenVINO on the CPU, in float32 or bfloat16.

    A single compiled model runs all sizes. One per size would be up to 8 % faster, but each new
    size would take a compilation and another copy of the weights.
    """

    @classmethod
    def missing(cls) -> str | None:
        return missing_packages("openvino", "openvino", "onnx", "onnxscript")

    def __init__(
        self, generator: Generator, device: torch.device, precision: PrecisionName
    ) -> None:
        if reason := self.missing():
            raise ConfigError(f"backend openvino: {reason}")
        if device.type != "cpu":
            raise ConfigError(
                f"backend openvino: runs on the CPU, not on {device}; use `device=cpu`"
            )
        core = openvino_package().Core()
        able = {"fp32", "bf16"} if _computes_bfloat16(core) else {"fp32"}
        if precision not in able:
            raise ConfigError(
                f"backend openvino: cannot compute in {precision} on this CPU; use `precision`"
                f" {' or '.join(sorted(able))}"
            )
        self._generator = generator
        # Given a float32 network and a hint to use bfloat16, OpenVINO would leave all transposed
        # convolutions of a U-Net in float32, as it does with layers after the last convolution.
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        model = core.read_model(to_onnx(generator, dtype=dtype))
        self._model = _compiled(core, model, "bf16" if precision == "bf16" else "f32")

    def run(self, x: Tensor) -> Tensor:
        parts = split_for(self._generator, x)
        results = [self._model(part.contiguous().numpy())[0] for part in parts]
        return torch.cat([torch.from_numpy(result) for result in results])


class OpenVinoFile(RuntimeFile):
    """An OpenVINO model: an `.xml` file, with its weights in a `.bin` file next to it."""

    def __init__(self, path: Path) -> None:
        _, weights = self.files(path)
        openvino = openvino_package()
        self._core = openvino.Core()
        self._core.set_property({"ENABLE_MMAP": False})  # so that the files may be replaced
        self.checksum = zlib.crc32(weights.read_bytes(), zlib.crc32(path.read_bytes()))
        try:
            self._model = self._core.read_model(path, weights)
            self.takes_uint8 = self._model.input().element_type == openvino.Type.u8
        except Exception as error:
            raise ModelFileError.of(
                path, f"not a readable OpenVINO model: {one_line(error)}"
            ) from None

    @staticmethod
    def files(path: Path) -> list[Path]:
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise ModelFileError.of(path, f"its weights are missing: no {weights.name} next to it")
        return [path, weights]

    @staticmethod
    def metadata(path: Path, key: str) -> str | None:
        return openvino_metadata(path, key)

    @staticmethod
    def missing() -> str | None:
        return missing_packages("openvino", "openvino")

    def compile(self) -> Run:
        model, lock = _compiled(self._core, self._model, "f32"), threading.Lock()

        def run(x: Array) -> Array:
            with lock:
                result: Array = model(x)[0].copy()
            return result

        return run


def openvino_package() -> Any:
    """The package, imported without its telemetry."""
    with hidden_module("openvino_telemetry"):
        import openvino

    return openvino


def _compiled(core: Any, model: Any, precision: Literal["f32", "bf16"]) -> Any:
    """A model that is ready to run on the CPU, from one thread at a time."""
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        # Otherwise two single-threaded processes would both be pinned to the first core.
        "ENABLE_CPU_PINNING": False,
    }
    return _in_own_thread(core.compile_model, model, "CPU", settings)


def _in_own_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call that loads OpenVINO's CPU plugin, made in a thread of its own.

    The plugin gives the thread that loads it another stack for signals, and frees that at the end:
    the next Ctrl-C would crash the process if that thread were the main one.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call, *arguments).result()


def _computes_bfloat16(core: Any) -> bool:
    return "BF16" in _in_own_thread(core.get_property, "CPU", "OPTIMIZATION_CAPABILITIES")
