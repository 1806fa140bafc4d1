"""A generator as an ONNX model, for runtimes other than PyTorch."""

import copy
import importlib.util
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.export import Dim

from img2img.errors import ConfigError
from img2img.networks import Generator
from img2img.networks.norms import ImageStatistics, NormLayer

# The oldest that the exporter of torch writes without converting back from a newer one.
OPSET = 18
# An ONNX model is one protobuf message, which cannot be larger.
MAX_BYTES = 2**31 - 1


def missing_packages(extra: str, *modules: str) -> str | None:
    """Which of these modules are not installed, and the extra that has them; None: none."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return None
    return f"{', '.join(missing)} not installed: pip install 'img2img-gan[{extra}]'"


def to_onnx(
    generator: Generator,
    *,
    dtype: torch.dtype = torch.float32,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The generator as a serialized ONNX model, weights and all.

    Its `input` and `output` are float32 [N, C, H, W] in [-1, 1] with N, H and W free, H and W
    multiples of `generator.size_multiple`.

    Args:
        generator: set up for inference, on the CPU; it is left as it is.
        dtype: of the weights, and of all between input and output. By the standard ONNX has no
            convolutions in bfloat16, but OpenVINO takes them.
        metadata: texts for the model to carry.

    Raises:
        ConfigError: a package is missing, dropout is on, or the model would be too large.
    """
    if reason := missing_packages("onnx", "onnx", "onnxscript"):
        raise ConfigError(f"ONNX: {reason}")
    if any(isinstance(module, nn.Dropout) and module.training for module in generator.modules()):
        raise ConfigError(
            "this model keeps dropout on, which other runtimes leave out; only PyTorch runs it"
        )
    if dtype.itemsize * sum(weight.numel() for weight in generator.parameters()) > MAX_BYTES:
        raise ConfigError("the model has more than 2 GB of weights, too many for an ONNX model")
    network = _Exportable(generator, dtype)
    # What is traced must not be one of anything that could be more, such as the pixels of the
    # innermost map: one is taken to be always one.
    multiple = generator.size_multiple
    tiles = -(-max(generator.min_size, 16) // multiple) + 1
    example = torch.zeros(2, _in_channels(generator), tiles * multiple, (tiles + 1) * multiple)
    axes = {0: Dim("batch"), 2: multiple * Dim("rows"), 3: multiple * Dim("columns")}
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


class _Exportable(nn.Module):
    """A copy of a generator that exports to few operators; float32 in and out."""

    def __init__(self, generator: Generator, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.generator = copy.deepcopy(generator).to(dtype)
        for layer in self.generator.modules():
            own = isinstance(layer, NormLayer) and layer.running_mean is None
            if own or isinstance(getattr(layer, "source", None), ImageStatistics):
                layer.source = _OneOperator()  # type: ignore[assignment]
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.generator(x.to(self.dtype))
        return y.float()


class _OneOperator:
    """`ImageStatistics` as the operator that ONNX has for it.

    A group_norm becomes six, between which runtimes go through memory.
    """

    def normalize(self, x: Tensor, layer: NormLayer) -> Tensor:
        # Not F.instance_norm, which refuses maps of one pixel.
        return torch.instance_norm(
            x, layer.weight, layer.bias, None, None, True, 0.0, layer.eps, False
        )


def _in_channels(generator: Generator) -> int:
    return next(m.in_channels for m in generator.modules() if isinstance(m, nn.Conv2d))
