"""Measuring how fast each backend is on this machine."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from threading import Event, Thread
from typing import Self

import numpy as np
import psutil
import torch
from torch import Tensor

from img2img.engine.backends import Backend, backend_class
from img2img.engine.backends.eager import Eager
from img2img.engine.runner import Deviation
from img2img.images import Picture, of_depth, resized
from img2img.networks import Generator
from img2img.runtime.devices import (
    PrecisionName,
    give_back_freed_memory,
    resolve_precision,
    synchronize,
)

# Maximum number of timed runs, and the seconds after which no further run starts.
_RUNS, _SECONDS = 10, 4.0
# Seconds between two looks at the memory in use.
_INTERVAL = 0.002


@dataclass(frozen=True)
class Measurement:
    """One backend in one precision, as far as it has been measured.

    Attributes:
        device: the device it computes on.
        preparing: seconds until its first result.
        alone: seconds per image, one at a time.
        together: seconds per image, in a batch.
        memory: bytes for its weights and the maps of a batch, at their peak; of the GPU, if it
            computes there.
        difference: how far its results are from eager float32.
        missing: why it could not be measured.
    """

    backend: str
    precision: PrecisionName
    device: str
    preparing: float | None = None
    alone: float | None = None
    together: float | None = None
    memory: int | None = None
    difference: Deviation | None = None
    missing: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it is measured, or cannot be."""
        return self.missing is not None or self.alone is not None


def bench(
    generator: Generator, device: torch.device, x: Tensor, backends: Sequence[str]
) -> Iterator[Measurement]:
    """Measure backends in float32 and in the device's fastest precision.

    Yields:
        Each measurement when it starts, when the backend is ready, and when it ends.

    Args:
        generator: set up for inference, in float32.
        x: a batch [N, C, H, W] in [-1, 1] on the device, of a size that the generator accepts.
    """
    exact = Eager(generator, device, "fp32").run(x)
    precisions = dict.fromkeys(["fp32", resolve_precision("auto", device)])
    for name in backends:
        for precision in precisions:
            found = Measurement(name, precision, str(device))
            yield found
            if missing := backend_class(name).missing():
                yield replace(found, missing=missing)
                continue
            backend = None  # the one before gives its memory back
            start = time.perf_counter()
            try:
                with _Peak(device) as peak:
                    backend = backend_class(name)(generator, device, precision)
                    y = backend.run(x)
                    synchronize(device)
                difference = Deviation.between(y, exact)
                preparing = time.perf_counter() - start
                found = replace(found, preparing=preparing, memory=peak.bytes)
                yield found
                together = _seconds(backend, x, device) / len(x)
                # A new instance, because some backends keep the first batch's size.
                backend = backend_class(name)(generator, device, precision)
                alone = _seconds(backend, x[:1], device)
            except Exception as error:  # whatever a compiler or runtime raises
                reason = str(error).strip().partition("\n")[0]
                yield replace(found, missing=reason)
                continue
            yield replace(found, alone=alone, together=together, difference=difference)


def noise(side: int, channels: int = 3) -> Picture:
    """A square picture of soft noise, always the same: RGB of 8 bits, or other channels."""
    coarse = np.random.default_rng(0).integers(0, 256, (16, 16, channels), dtype=np.uint8)
    pixels = resized(coarse, (side, side))
    if channels == 3:
        return Picture(pixels)
    return Picture(of_depth(pixels, np.float32), normalized=True)


class _Peak:
    """Measures by how many bytes the memory in use grows within a context, at most."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.bytes = 0

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            give_back_freed_memory()
        self._before = self._most = self._now()
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._most = max(self._most, self._now())
        if self._device.type == "cuda":
            self._most = torch.cuda.max_memory_allocated(self._device)
        self.bytes = self._most - self._before

    def _now(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device)
        resident: int = psutil.Process().memory_info().rss
        return resident

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL):
            self._most = max(self._most, self._now())


def _seconds(backend: Backend, x: Tensor, device: torch.device) -> float:
    """Median time of several runs, after one that does not count."""
    backend.run(x)
    seconds: list[float] = []
    while len(seconds) < _RUNS and sum(seconds) < _SECONDS:
        synchronize(device)
        start = time.perf_counter()
        backend.run(x)
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return median(seconds)
