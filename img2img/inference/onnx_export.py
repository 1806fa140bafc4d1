"""A generator as an ONNX model, for runtimes other than PyTorch."""

import importlib.util
import logging
from collections.abc import Mapping

import torch

from img2img.errors import ConfigError
from img2img.inference.exportable import Exportable, ValueRange
from img2img.installation import install_extra
from img2img.networks import Generator

# The oldest that the exporter of torch writes without converting back from a newer one.
OPSET = 18
# An ONNX model is one protobuf message, which cannot be larger.
MAX_BYTES = 2**31 - 1


def missing_packages(extra: str, *modules: str) -> str | None:
    """Which of these modules are not installed, and the extra that has them; None: none."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return None
    return f"{', '.join(missing)} not installed: {install_extra(extra)}"


def to_onnx(
    generator: Generator,
    *,
    dtype: torch.dtype = torch.float32,
    pixels: ValueRange | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The generator as a serialized ONNX model, weights and all.

    Its `input` and `output` are those of `Exportable`, with N, H and W free, H and W multiples of
    `generator.size_multiple`.

    Args:
        generator: set up for inference, on the CPU; it is left as it is.
        dtype: of the weights, and of all between input and output. By the standard ONNX has no
            convolutions in bfloat16, but OpenVINO takes them.
        pixels: uint8 in and out, with what black and white are to the generator; None: floats.
        metadata: texts for the model to carry.

    Raises:
        ConfigError: a package is missing, dropout is on, or the model would be too large.
    """
    if reason := missing_packages("onnx", "onnx", "onnxscript"):
        raise ConfigError(f"ONNX: {reason}")
    if dtype.itemsize * sum(weight.numel() for weight in generator.parameters()) > MAX_BYTES:
        raise ConfigError("the model has more than 2 GB of weights, too many for an ONNX model")
    # It warns of each operator of torchvision where that is not installed; none is in here.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    network = Exportable(generator, dtype, pixels)
    example, axes = network.example()
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=["input"],
        output_names=["output"],
        dynamic_shapes=(axes,),
    )
    assert program is not None
    program.model.metadata_props.update(metadata or {})
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # where in which file of this machine it came from
    model: bytes = program.model_proto.SerializeToString()
    return model
