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
from img2img.runtime.scoped import TemporarySetting

# The oldest version that torch's exporter writes; older ones are converted from it.
OPSET = 18
OLDEST_OPSET = 11
# An ONNX model is one protobuf message, which cannot be larger.
MAX_BYTES = 2**31 - 1
# Without torchvision, the exporter warns about each of its operators, none of which is used here.
_LOGGER = logging.getLogger("torch.onnx._internal.exporter._registration")
_TORCHVISION_UNMISSED = TemporarySetting(lambda: _LOGGER.level, _LOGGER.setLevel, logging.ERROR)


def missing_packages(extra: str, *modules: str) -> str | None:
    """Which of these modules are not installed and how to get them; None if all are."""
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
    """The generator as a serialized ONNX model, including its weights.

    Its `input` and `output` are those of `Exportable`. Unless fixed, N, H and W are free; H and W
    must be multiples of `generator.size_multiple`.

    Args:
        generator: set up for inference, on the CPU; it is not changed.
        dtype: type of the weights and of everything between input and output. The ONNX standard
            has no convolutions in bfloat16, but OpenVINO accepts them.
        pixels: makes input and output uint8; the generator's numbers for black and white. None:
            floats.
        metadata: texts to store in the model.
        fixed: the batch and image size to fix.
        opset: version of the operator set, 11 or newer.

    Raises:
        ConfigError: a package is missing, dropout is on, the model would be too large, or the
            operator set cannot express it.
    """
    if reason := missing_packages("onnx", "onnx", "onnxscript"):
        raise ConfigError(f"ONNX: {reason}")
    if dtype.itemsize * sum(weight.numel() for weight in generator.parameters()) > MAX_BYTES:
        raise ConfigError("the model has more than 2 GB of weights, which is too much for ONNX")
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
        node.metadata_props.clear()  # which contain paths of this machine
    model = program.model_proto
    if opset < OPSET:
        _lower(model, opset)
    serialized: bytes = model.SerializeToString()
    return serialized


def check_opset(opset: int) -> None:
    """Refuse operator set versions that cannot be written.

    Raises:
        ConfigError: this version cannot be written.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ConfigError(f"`opset`: {opset} is not between {OLDEST_OPSET} and {newest}")


def _lower(model: Any, opset: int) -> None:
    """Rewrite a model with older operators.

    Those used here differ only in newer attributes, which can be dropped at their default values.

    Raises:
        ConfigError: an operator differs in more than that.
    """
    import onnx

    for node in model.graph.node:
        old = onnx.defs.get_schema(node.op_type, opset, node.domain)
        new = onnx.defs.get_schema(node.op_type, OPSET, node.domain)
        later = [each for each in node.attribute if each.name not in old.attributes]
        if any(each != new.attributes[each.name].default_value for each in later):
            raise ConfigError(
                f"`opset`: {opset} is too old for this model: its {node.op_type} has no"
                f" {later[0].name}"
            )
        for each in later:
            node.attribute.remove(each)
    (imported,) = model.opset_import
    imported.version = opset
    model.ir_version = min(model.ir_version, onnx.helper.find_min_ir_version_for([imported]))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # protobuf's, onnx's
        why = shortened(" ".join(str(error).split()), 150)
        raise ConfigError(f"`opset`: {opset} cannot express this model: {why}") from None
