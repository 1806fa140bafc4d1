"""ONNX."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from img2img.engine.exported import METADATA_KEY, Description, open_exported
from img2img.engine.onnx_export import OPSET, missing_packages, to_onnx
from img2img.export.base import FORMATS, Format
from img2img.networks import Generator


def run_exported(path: Path) -> Callable[[Tensor], Tensor]:
    """An exported model, run as `translate` does."""
    _, file = open_exported(path)
    run = file.compile()
    return lambda x: torch.from_numpy(run(x.numpy()))


@FORMATS.register("onnx")
class OnnxFormat(Format):
    """One `.onnx` file, for ONNX Runtime and most other runtimes."""

    suffix = ".onnx"
    opset = OPSET

    @classmethod
    def missing(cls) -> str | None:
        return missing_packages("onnx", "onnxruntime", "onnx", "onnxscript")

    def write(self, path: Path, generator: Generator, description: Description) -> None:
        model = to_onnx(
            generator,
            dtype=torch.float16 if description.half else torch.float32,
            pixels=description.spec.value_range if description.pixels else None,
            metadata={METADATA_KEY: description.model_dump_json()},
            fixed=description.fixed,
            opset=self.opset,
        )
        path.write_bytes(model)

    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        return run_exported(path)
