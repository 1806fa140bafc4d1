"""The processes that work on one thing together, as `torchrun` or `accelerate launch` start them.

A launcher tells each process its number by environment variables; without one there is a single
process, and everything here costs nothing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from img2img.errors import ConfigError, ProcessLost

# The others wait while the first process does something alone, such as measuring.
TIMEOUT = timedelta(hours=2)
# Numbers to a message, about: few messages, and little copied at once.
BLOCK = 1 << 23

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """Which of the processes this is, and the communication between them.

    Every method but the properties must be called by all of them, in the same order. Each raises
    ProcessLost where one of them has ended, or does not come for `TIMEOUT`.

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
            with _reaching_all():
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
        values: list[Any] = [None] * self.count
        with _reaching_all():
            dist.all_gather_object(values, value)
        return values

    def to_first(self, value: T) -> list[T]:
        """As `gather`, for the first process alone; an empty list in the others."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        with _reaching_all():
            dist.gather_object(value, values if self.first else None)
        return values if self.first else []

    def from_first(self, value: T) -> T:
        """The first process's value."""
        if self.count == 1:
            return value
        values: list[Any] = [value]
        with _reaching_all():
            dist.broadcast_object_list(values)
        first: T = values[0]
        return first

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers."""
        if self.count == 1:
            return number
        # On the CPU, where it makes no GPU wait.
        largest = torch.tensor(number)
        with _reaching_all():
            dist.all_reduce(largest, dist.ReduceOp.MAX)
        return int(largest)


ALONE = Processes()


@contextmanager
def joined(device_type: str, timeout: timedelta = TIMEOUT) -> Iterator[Processes]:
    """Join the processes that a launcher has started, if one has, while this context lasts.

    Args:
        device_type: `cuda` gives each process of a machine a GPU of its own.
        timeout: how long they wait for each other.

    Raises:
        ConfigError: there are more processes than GPUs, or the launcher's variables do not fit.
    """
    count = _variable("WORLD_SIZE", 1)
    if count == 1:
        yield ALONE
        return
    rank, local = _variable("RANK"), _variable("LOCAL_RANK")
    if device_type == "cuda":
        there = torch.cuda.device_count()
        if 1 < there <= local:
            raise ConfigError(
                f"{local + 1} processes or more on a machine with {there} GPUs: start one process"
                " per GPU"
            )
        torch.cuda.set_device(local if there > 1 else 0)  # a scheduler may show each its own
    try:
        backend = "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"
        dist.init_process_group(backend, rank=rank, world_size=count, timeout=timeout)
    except (ValueError, dist.DistError) as error:
        raise ConfigError(f"the {count} processes cannot find each other: {error}") from None
    try:
        yield Processes(rank, count)
    except ProcessLost:
        raise  # the group is left as it is: ending it would wait for the lost process
    except BaseException:
        dist.destroy_process_group()
        raise
    dist.destroy_process_group()


@contextmanager
def _reaching_all() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of which the backends' errors are
        raise ProcessLost("another process has ended, or cannot be reached") from error


def _variable(name: str, default: int | None = None) -> int:
    value = os.environ.get(name, default)
    if value is None:
        raise ConfigError(f"{name} is not set, although WORLD_SIZE is: the launcher should do both")
    try:
        return int(value)
    except ValueError:
        raise ConfigError(f"{name}={value}: the launcher should set a number") from None


def _blocks(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    block: list[Tensor] = []
    size = 0
    for tensor in tensors:
        block.append(tensor)
        size += tensor.numel()
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block
