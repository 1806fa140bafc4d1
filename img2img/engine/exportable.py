"""A generator in the form that exports are made from."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from img2img.errors import ConfigError
from img2img.networks import Generator
from img2img.networks.norms import ImageStatistics, NormLayer

ValueRange = tuple[float, float]
"""The numbers that stand for black and white."""


@dataclass(frozen=True)
class Fixed:
    """The batch and image size that an export is fixed to; None: any."""

    batch: int | None = None
    size: tuple[int, int] | None = None
    """Height and width in pixels."""

    def check(self, multiple: int, least: int) -> None:
        """Refuse sizes that a generator cannot take.

        Raises:
            ConfigError: a side is not a multiple of `multiple`, or is less than `least`.
        """
        if self.batch is not None and self.batch < 1:
            raise ConfigError(f"`batch`: {self.batch} is less than 1")
        if any(side % multiple or side < least for side in self.size or ()):
            height, width = self.size or (0, 0)
            raise ConfigError(
                f"`size`: {width}x{height} does not fit this model: width and height must be"
                f" multiples of {multiple} and at least {least}"
            )


class Exportable(nn.Module):
    """A copy of a generator that exports to few operators.

    Input and output are float32 [N, C, H, W], like the generator's, or uint8 [N, H, W, C], rounded
    to the nearest.

    Args:
        generator: set up for inference, on the CPU; it is not changed.
        dtype: type of the weights and of everything between input and output.
        pixels: makes input and output uint8; the generator's numbers for black and white. None:
            floats.

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
                "this model keeps dropout on, which other runtimes remove, so it cannot be exported"
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
        # Contiguous, because otherwise tracing would fix the batch size.
        levels = x.permute(0, 3, 1, 2).float().contiguous()
        y = self._translated(levels * ((white - black) / 255) + black)
        levels = ((y - black) * (255 / (white - black))).round().clamp(0, 255)
        return levels.to(torch.uint8).permute(0, 2, 3, 1)

    def _translated(self, x: Tensor) -> Tensor:
        y: Tensor = self.generator(x.to(self.dtype))
        return y.float()

    def example(self, fixed: Fixed) -> tuple[Tensor, dict[int, Any]]:
        """An input to trace with, and those of its axes whose length is free."""
        # No axis of any map may have length 1, such as the innermost map's: tracing would take it
        # to be 1 always.
        multiple = self.generator.size_multiple
        tiles = -(-max(self.generator.min_size, 16) // multiple) + 1
        height, width = fixed.size or (tiles * multiple, (tiles + 1) * multiple)
        channels = next(m.in_channels for m in self.modules() if isinstance(m, nn.Conv2d))
        shape = [fixed.batch or 2, channels, height, width]
        free = {0: Dim("batch")} if fixed.batch is None else {}
        if fixed.size is None:
            free |= {2: multiple * Dim("rows"), 3: multiple * Dim("columns")}
        if self.pixels is None:
            return torch.zeros(shape), free
        axes = {0: 0, 2: 1, 3: 2}
        example = torch.zeros(shape, dtype=torch.uint8).movedim(1, -1).contiguous()
        return example, {axes[axis]: length for axis, length in free.items()}


class _OneOperator:
    """`ImageStatistics` as the one operator that ONNX has for it.

    A group_norm would become six operators, between which runtimes go through memory.
    """

    def normalize(self, x: Tensor, layer: NormLayer) -> Tensor:
        # Not F.instance_norm, which refuses maps of a single pixel.
        return torch.instance_norm(
            x, layer.weight, layer.bias, None, None, True, 0.0, layer.eps, False
        )
