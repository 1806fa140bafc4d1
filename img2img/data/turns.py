"""Ensures that pictures that are large compared with memory are decoded one at a time."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch

from img2img.data.sources import Item
from img2img.errors import ImageError
from img2img.images import measure
from img2img.runtime.devices import free_memory

# Bytes at the peak to a byte of decoded pixels, while a picture is read and resized.
_PEAK = 3
# Most that load at the same time, threads or processes, where there are as many cores.
_LOADERS = 8


class Turns:
    """Takes turns among threads, or among processes that load.

    Attributes:
        lock: held while a large picture is decoded; loading processes share one.
    """

    def __init__(self) -> None:
        self.lock: AbstractContextManager[Any] = threading.Lock()

    @cached_property
    def large(self) -> int:
        """Bytes of decoded pixels up to which all may load at once, in half of free memory.

        Computed once in a process, because measuring free memory takes time.
        """
        loaders = min(_LOADERS, os.cpu_count() or 1)
        return free_memory(torch.device("cpu")) // 2 // _PEAK // loaders

    @contextmanager
    def at(self, item: Item) -> Iterator[None]:
        """Hold the turn while the item is read, if it is large."""
        if sum(map(_held, {source.path for source in item.files})) <= self.large:
            yield
        else:
            with self.lock:
                yield


@lru_cache(1 << 16)  # a set is read many times
def _held(path: Path) -> int:
    """Bytes of decoded pixels; 0 if the file cannot be read, which decoding will report."""
    try:
        return measure(path, first=True).held
    except ImageError:
        return 0


TURNS = Turns()
