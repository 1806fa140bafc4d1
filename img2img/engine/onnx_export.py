"""A generator as an ONNX model, for runtimes other than PyTorch."""

import importlib.util
import logging
from collections.abc import Mapping
from typing import Any

import torch

from img2img.engine.exportable import Exportable, Fixed, ValueRange
from img2img.errors import ConfigError, shortened
from img2img.networks import Generator
from img2img.runtime.installation import install_extra
from img2img.runtime.scoped import Held

# The oldest that the exporter of torch writes; older ones are made of it.
OPSET = 18
OLDEST_OPSET = 11
# An ONNX model is one protobuf message, which cannot be larger.
MAX_BYTES = 2**31 - 1
# It warns of each operator of torchvision where that is not installed; none is in here.
_LOGGER = logging.getLogger("torch.onnx._internal.exporter._registration")
_TORCHVISION_UNMISSED = Held(lambda: _LOGGER.level, _LOGGER.setLevel, logging.ERROR)


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
    fixed: Fixed | None = None,
    opset: int = OPSET,
) -> bytes:
    """The generator as a serialized ONNX model, weights and all.

    Its `input` and `output` are those of `Exportable`, with N, H and W free but for what is fixed,
    H and W multiples of `generator.size_multiple`.

    Args:
        generator: set up for inference, on the CPU; it is left as it is.
        dtype: of the weights, and of all between input and output. By the standard ONNX has no
            convolutions in bfloat16, but OpenVINO takes them.
        pixels: uint8 in and out, with what black and white are to the generator; None: floats.
        metadata: texts for the model to carry.
        fixed: what of the input has one length only.
        opset: version of the operators, from 11 on.

    Raises:
        ConfigError: a package is missing, dropout is on, the model would be too large, or there is
            no such version.
    """
    if reason := missing_packages("onnx", "onnx", "onnxscript"):
        raise ConfigError(f"ONNX: {reason}")
    if dtype.itemsize * sum(weight.numel() for weight in generator.parameters()) > MAX_BYTES:
        raise ConfigError("the model has more than 2 GB of weights, too many for an ONNX model")
    network = Exportable(generator, dtype, pixels)
    example, axes = network.example(fixed or Fixed())
    with _TORCHVISION_UNMISSED:
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=max(opset, OPSET),
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=(axes,),
        )
    assert program is not None
    program.model.metadata_props.update(metadata or {})
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # where in which file of this machine it came from
    model = program.model_proto
    if opset < OPSET:
        _lower(model, opset)
    serialized: bytes = model.SerializeToString()
    return serialized


def check_opset(opset: int) -> None:
    """Refuse versions of the operators that cannot be written.

    Raises:
        ConfigError: it is one.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ConfigError(f"opset: {opset}: there are {OLDEST_OPSET} to {newest}")


def _lower(model: Any, opset: int) -> None:
    """Have a model say the same in older operators.

    Those that are used differ in settings only that came later, and are left at what was before.

    Raises:
        ConfigError: one differs in more.
    """
    import onnx

    for node in model.graph.node:
        old = onnx.defs.get_schema(node.op_type, opset, node.domain)
        new = onnx.defs.get_schema(node.op_type, OPSET, node.domain)
        later = [each for each in node.attribute if each.name not in old.attributes]
        if any(each != new.attributes[each.name].default_value for each in later):
            raise ConfigError(f"opset: {opset}: {node.op_type} has no {later[0].name} there")
        for each in later:
            node.attribute.remove(each)
    (imported,) = model.opset_import
    imported.version = opset
    model.ir_version = min(model.ir_version, onnx.helper.find_min_ir_version_for([imported]))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # protobuf's, onnx's
        why = shortened(" ".join(str(error).split()), 150)
        raise ConfigError(f"opset: {opset}: this model cannot be exported with it: {why}") from None
