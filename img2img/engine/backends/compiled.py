"""PyTorch compiled for the machine at hand."""

import importlib.util
import os
import shutil
import sys

import torch
from torch import Tensor

from img2img.engine.backends.base import BACKENDS, Backend
from img2img.engine.backends.eager import Eager
from img2img.networks import Generator
from img2img.runtime.devices import PrecisionName
from img2img.runtime.installation import install

# Each shape costs half a minute; beyond these, eager is the better deal.
MAX_SHAPES = 4


@BACKENDS.register("compile")
class Compiled(Backend):
    """torch.compile: takes 10 to 60 seconds to compile for each image size, then runs faster.

    A CPU needs a C++ compiler, a GPU Triton and CUDA graphs. The first few sizes are compiled;
    others run eagerly.
    """

    def __init__(
        self, generator: Generator, device: torch.device, precision: PrecisionName
    ) -> None:
        self._eager = Eager(generator, device, precision)
        self._sizes: dict[torch.Size, int] = {}
        """Images in a batch that was compiled, by the shape of an image."""
        options = (
            # Weights become constants, laid out once as the kernels want them.
            {"options": {"freezing": True}} if device.type == "cpu" else {"mode": "reduce-overhead"}
        )
        self._compiled = torch.compile(self._eager.network, dynamic=False, **options)

    @classmethod
    def missing(cls) -> str | None:
        if torch.cuda.is_available():
            there = importlib.util.find_spec("triton")
            return None if there else f"triton not installed: {install(['triton'])}"
        names = ["cl"] if sys.platform == "win32" else ["g++", "clang++", "c++"]
        found = any(shutil.which(name) for name in [os.environ.get("CXX", names[0]), *names])
        return None if found else "no C++ compiler found, such as g++"

    @torch.no_grad()  # freezing does not work in inference mode
    def run(self, x: Tensor) -> Tensor:
        if x.shape[1:] not in self._sizes and len(self._sizes) == MAX_SHAPES:
            return self._eager.run(x)
        size = self._sizes.get(x.shape[1:], len(x))
        # A smaller batch would be compiled anew: fill it with repetitions.
        whole = -(-len(x) // size) * size
        batches = _filled(x.to(self._eager.dtype), whole).chunk(whole // size)
        # With CUDA graphs the next call overwrites what this one gave.
        outputs = [self._compiled(batch).float().clone() for batch in batches]
        self._sizes[x.shape[1:]] = size  # now that it did fit into memory
        return torch.cat(outputs)[: len(x)]


def _filled(x: Tensor, size: int) -> Tensor:
    missing = size - len(x)
    return x if missing == 0 else torch.cat([x, x[-1:].expand(missing, -1, -1, -1)])
