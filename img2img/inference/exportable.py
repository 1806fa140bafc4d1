"""A generator in the form that other formats are made from."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from img2img.errors import ConfigError
from img2img.networks import Generator
from img2img.networks.norms import ImageStatistics, NormLayer

ValueRange = tuple[float, float]
"""What black and white are as numbers."""


class Exportable(nn.Module):
    """A copy of a generator that exports to few operators.

    It takes and gives float32 [N, C, H, W] as the generator does; or uint8 [N, H, W, C], rounded to
    the nearest.

    Args:
        generator: set up for inference, on the CPU; it is left as it is.
        dtype: of the weights, and of all between input and output.
        pixels: uint8 in and out, with what black and white are to the generator; None: floats.

    Raises:
        ConfigError: dropout is on.
    """

    def __init__(
        self,
        generator: Generator,
        dtype: torch.dtype = torch.float32,
        pixels: ValueRange | None = None,
    ) -> None:
        super().__init__()
        if any(isinstance(layer, nn.Dropout) and layer.training for layer in generator.modules()):
            raise ConfigError(
                "this model keeps dropout on, which other runtimes leave out; only PyTorch runs it"
            )
        self.dtype, self.pixels = dtype, pixels
        self.generator = copy.deepcopy(generator).to(dtype)
        for layer in self.generator.modules():
            own = isinstance(layer, NormLayer) and layer.running_mean is None
            if own or isinstance(getattr(layer, "source", None), ImageStatistics):
                layer.source = _OneOperator()  # type: ignore[assignment]
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        if self.pixels is None:
            return self._translated(x)
        black, white = self.pixels
        # Contiguous, or the size of a batch would be among what tracing takes for settled.
        levels = x.permute(0, 3, 1, 2).float().contiguous()
        y = self._translated(levels * ((white - black) / 255) + black)
        levels = ((y - black) * (255 / (white - black))).round().clamp(0, 255)
        return levels.to(torch.uint8).permute(0, 2, 3, 1)

    def _translated(self, x: Tensor) -> Tensor:
        y: Tensor = self.generator(x.to(self.dtype))
        return y.float()

    def example(self) -> tuple[Tensor, dict[int, Any]]:
        """An input to trace with, and the axes of it whose length is free."""
        # What is traced must not be one of anything that could be more, such as the pixels of the
        # innermost map: one is taken to be always one.
        multiple = self.generator.size_multiple
        tiles = -(-max(self.generator.min_size, 16) // multiple) + 1
        height, width = tiles * multiple, (tiles + 1) * multiple
        channels = next(m.in_channels for m in self.modules() if isinstance(m, nn.Conv2d))
        batch, rows, columns = Dim("batch"), multiple * Dim("rows"), multiple * Dim("columns")
        if self.pixels is None:
            return torch.zeros(2, channels, height, width), {0: batch, 2: rows, 3: columns}
        example = torch.zeros(2, height, width, channels, dtype=torch.uint8)
        return example, {0: batch, 1: rows, 2: columns}


class _OneOperator:
    """`ImageStatistics` as the operator that ONNX has for it.

    A group_norm becomes six, between which runtimes go through memory.
    """

    def normalize(self, x: Tensor, layer: NormLayer) -> Tensor:
        # Not F.instance_norm, which refuses maps of one pixel.
        return torch.instance_norm(
            x, layer.weight, layer.bias, None, None, True, 0.0, layer.eps, False
        )
