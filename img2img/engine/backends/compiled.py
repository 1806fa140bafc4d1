"""PyTorch, compiled for this machine."""

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

# Each shape takes half a minute to compile; more of them run eagerly.
MAX_SHAPES = 4


@BACKENDS.register("compile")
class Compiled(Backend):
    """torch.compile: takes 10 to 60 seconds to compile for each image size, then runs faster.

    On a CPU it needs a C++ compiler, on a GPU Triton. The first few sizes are compiled; others run
    eagerly.
    """

    def __init__(
        self, generator: Generator, device: torch.device, precision: PrecisionName
    ) -> None:
        self._eager = Eager(generator, device, precision)
        self._sizes: dict[torch.Size, int] = {}
        """The compiled batch size for each image shape."""
        options = (
            # Weights become constants, laid out once for the kernels.
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
        # A smaller batch would be compiled again, so fill it up with copies.
        whole = -(-len(x) // size) * size
        batches = _filled(x.to(self._eager.dtype), whole).chunk(whole // size)
        # With CUDA graphs the next call overwrites the output of this one.
        outputs = [self._compiled(batch).float().clone() for batch in batches]
        self._sizes[x.shape[1:]] = size  # only now, as it did fit into memory
        return torch.cat(outputs)[: len(x)]


def _filled(x: Tensor, size: int) -> Tensor:
    missing = size - len(x)
    return x if missing == 0 else torch.cat([x, x[-1:].expand(missing, -1, -1, -1)])
