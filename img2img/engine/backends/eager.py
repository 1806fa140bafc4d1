"""Eager PyTorch."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from img2img.engine.backends.base import BACKENDS, Backend, wants_batches
from img2img.engine.folding import inference_copy
from img2img.networks import Generator
from img2img.runtime.devices import DTYPES, PrecisionName
from img2img.runtime.scoped import TemporarySetting


def _allow_tf32(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = allowed


_WITHOUT_TF32 = TemporarySetting(lambda: torch.backends.cudnn.allow_tf32, _allow_tf32, False)


@BACKENDS.register("eager")
class Eager(Backend):
    """PyTorch, layer by layer; starts at once."""

    def __init__(
        self, generator: Generator, device: torch.device, precision: PrecisionName
    ) -> None:
        self.dtype = DTYPES[precision]
        # By default, convolutions in float32 may round their inputs to 10 bits (TF32). The results
        # that others are compared with must be exact.
        exact = precision == "fp32" and device.type == "cuda"
        self._exact: AbstractContextManager[None] = _WITHOUT_TF32 if exact else nullcontext()
        self.network = inference_copy(generator, device, self.dtype)
        # On a CPU, one image per core is faster than all cores on each layer of one image: cores
        # need not wait for each other, and each keeps its own maps in its cache.
        self._apart = device.type == "cpu" and not wants_batches(generator)

    def run(self, x: Tensor) -> Tensor:
        cores = torch.get_num_threads()
        workers = min(len(x), cores) if self._apart else 1
        if workers == 1:
            return self._forward(x)
        try:
            threads = cores // workers
            with ThreadPoolExecutor(
                workers, initializer=torch.set_num_threads, initargs=(threads,)
            ) as pool:
                return torch.cat(list(pool.map(self._forward, x.chunk(len(x)))))
        finally:
            # What the threads set is partly global.
            torch.set_num_threads(cores)

    @torch.inference_mode()
    def _forward(self, x: Tensor) -> Tensor:
        with self._exact:
            y: Tensor = self.network(x.to(self.dtype))
        return y.float()
