"""Pictures that are large against memory are decoded one at a time, by all who load."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
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
    """Whose turn it is, among the threads of a process or among processes.

    Attributes:
        lock: held by whoever is at a large picture; processes that load are given one of theirs.
    """

    def __init__(self) -> None:
        self.lock: AbstractContextManager[Any] = threading.Lock()

    @cached_property
    def large(self) -> int:
        """Bytes of decoded pixels up to which all may load at once: in half of what is free.

        Asked for once in a process: to find out what is free takes time.
        """
        loaders = min(_LOADERS, os.cpu_count() or 1)
        return free_memory(torch.device("cpu")) // 2 // _PEAK // loaders

    @contextmanager
    def at(self, item: Item) -> Iterator[None]:
        """While the item is read, and until no more of it is left than is kept of every one."""
        if sum(map(_held, {source.path for source in item.files})) <= self.large:
            yield
        else:
            with self.lock:
                yield


def _held(path: Path) -> int:
    """Bytes of decoded pixels; 0 where that cannot be said, which reading will explain."""
    try:
        return measure(path, first=True).held
    except ImageError:
        return 0


TURNS = Turns()
