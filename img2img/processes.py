"""The processes that work on one thing together, as `torchrun` or `accelerate launch` start them.

A launcher tells each process its number by environment variables; without one there is a single
process, and everything here costs nothing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from img2img.errors import ConfigError

# What only the first process does, such as measuring, must not seem a failure to the others.
TIMEOUT = timedelta(hours=2)
# Numbers to a message, about: few messages, and little copied at once.
BLOCK = 1 << 23

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """Which process this is, and what all of them do together.

    Every method but the properties must be called by all of them, in the same order.

    Attributes:
        rank: this process's number, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and talks to people."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type by their means over all processes."""
        if self.count == 1:
            return
        for block in _blocks(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in block])
            dist.all_reduce(flat)
            flat /= self.count
            start = 0
            for tensor in block:
                tensor.copy_(flat[start : start + tensor.numel()].view(tensor.shape))
                start += tensor.numel()

    def gather(self, value: T) -> list[T]:
        """The value of each process, in order of their numbers."""
        if self.count == 1:
            return [value]
        values: list[T | None] = [None] * self.count
        dist.all_gather_object(values, value)
        return [found for found in values if found is not None]

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers."""
        if self.count == 1:
            return number
        # On the CPU, where it makes no GPU wait.
        largest = torch.tensor(number)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        return int(largest)


ALONE = Processes()


@contextmanager
def joined(device_type: str) -> Iterator[Processes]:
    """Join the processes that a launcher has started, if one has, while this context lasts.

    Args:
        device_type: `cuda` gives each process of a machine a GPU of its own.

    Raises:
        ConfigError: there are more processes than GPUs, or the launcher's variables do not fit.
    """
    count = _variable("WORLD_SIZE", 1)
    if count == 1:
        yield ALONE
        return
    rank, local = _variable("RANK", 0), _variable("LOCAL_RANK", 0)
    if device_type == "cuda":
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"{local + 1} processes or more on a machine with {torch.cuda.device_count()} GPUs:"
                " start one a GPU (--nproc-per-node)"
            )
        torch.cuda.set_device(local)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo", timeout=TIMEOUT
    )
    try:
        yield Processes(rank, count)
    finally:
        dist.destroy_process_group()


def _variable(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name, default))
    except ValueError:
        raise ConfigError(f"{name}={os.environ[name]}: the launcher should set a number") from None


def _blocks(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    block: list[Tensor] = []
    for tensor in tensors:
        block.append(tensor)
        if sum(each.numel() for each in block) >= BLOCK:
            yield block
            block = []
    if block:
        yield block
