"""Eager PyTorch with faster convolutions."""

import torch
from torch import Tensor

from img2img.engine.backends.base import BACKENDS
from img2img.engine.backends.eager import Eager
from img2img.engine.convolutions import nnpack_is_here, use_nnpack
from img2img.errors import ConfigError
from img2img.networks import Generator
from img2img.runtime.devices import PrecisionName


@BACKENDS.register("winograd")
class Winograd(Eager):
    """PyTorch in float32 on the CPU, with Winograd and Fourier convolutions where they are faster.

    Layers of each size are timed once on a machine, for a few hundred milliseconds.
    """

    @classmethod
    def missing(cls) -> str | None:
        return None if nnpack_is_here() else "this build of PyTorch has no NNPACK"

    def __init__(
        self, generator: Generator, device: torch.device, precision: PrecisionName
    ) -> None:
        if device.type != "cpu":
            raise ConfigError(
                f"backend winograd: runs on the CPU, not on {device}; use `device=cpu`"
            )
        if precision != "fp32":
            raise ConfigError(
                f"backend winograd: computes in fp32, not {precision}; use `precision=fp32`"
            )
        super().__init__(generator, device, precision)
        self.network.to(memory_format=torch.contiguous_format)
        use_nnpack(self.network)

    def run(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        if len(x) > 1 and self._apart and torch.get_num_threads() == 1:
            # The maps of one image stay in the caches; those of a batch do not.
            return torch.cat([self._forward(image) for image in x.chunk(len(x))])
        return super().run(x)
