"""OpenVINO."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from img2img.engine.backends.openvino import openvino_package
from img2img.engine.exported import METADATA_KEY, Description
from img2img.engine.onnx_export import missing_packages, to_onnx
from img2img.export.base import FORMATS, Format
from img2img.export.onnx import run_exported
from img2img.networks import Generator


@FORMATS.register("openvino")
class OpenVinoFormat(Format):
    """An `.xml` file, with the weights in a `.bin` file next to it, for OpenVINO."""

    suffix = ".xml"
    other_suffixes = (".bin",)

    @classmethod
    def missing(cls) -> str | None:
        return missing_packages("openvino", "openvino", "onnx", "onnxscript")

    def write(self, path: Path, generator: Generator, description: Description) -> None:
        openvino = openvino_package()
        pixels = description.spec.value_range if description.pixels else None
        model = openvino.Core().read_model(
            to_onnx(generator, pixels=pixels, fixed=description.fixed)
        )
        model.set_rt_info(description.model_dump_json(), [METADATA_KEY])
        try:
            openvino.save_model(model, path, compress_to_fp16=description.half)
        except RuntimeError as error:
            if "iostream" in str(error):  # all that it says about a full disk
                raise OSError("the disk is full or cannot be written to") from error
            raise

    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        return run_exported(path)
