"""Processes that work together, as `torchrun` or `accelerate launch` starts them.

A launcher gives each process its number in environment variables. Without a launcher there is a
single process, and everything here costs nothing.
"""

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from img2img.errors import ConfigError, ProcessLost, counted

# The others wait while the first process does something alone, such as measuring.
TIMEOUT = timedelta(hours=2)
# Numbers to a message, about: few messages, and little copied at once.
BLOCK = 1 << 23

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The number of this process, and communication with the others.

    All processes must call the methods in the same order. A method raises ProcessLost if a process
    has ended, or does not call it within the timeout.

    Attributes:
        rank: the number of this process, from 0.
        count: the number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, all of the same type, by their means over all processes."""
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
        """The values of all processes, in order of their numbers."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        with _reaching_all():
            dist.all_gather_object(values, value)
        return values

    def to_first(self, value: T) -> list[T]:
        """The same for the first process only; the others get an empty list."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        with _reaching_all():
            dist.gather_object(value, values if self.first else None)
        return values if self.first else []

    def from_first(self, value: T) -> T:
        """The value of the first process."""
        if self.count == 1:
            return value
        values: list[Any] = [value]
        with _reaching_all():
            dist.broadcast_object_list(values)
        first: T = values[0]
        return first

    def largest(self, number: int) -> int:
        """The largest value of all processes."""
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
    """Join the processes that a launcher has started, if any, within this context.

    Args:
        device_type: `cuda` gives each process of a machine a GPU of its own.
        timeout: how long processes wait for each other.

    Raises:
        ConfigError: there are more processes than GPUs, or the launcher's variables are wrong.
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
                f"at least {local + 1} processes on a machine with {counted(there, 'GPU')}: start"
                " one process per GPU"
            )
        torch.cuda.set_device(local if there > 1 else 0)  # a scheduler may show each its own
    # Imported while a group exists, its functions would keep that group as their default argument,
    # and threads of the group that run at the interpreter's end abort the process.
    importlib.import_module("torch.distributed.nn.functional")
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
        raise ConfigError(f"{name} is not set, although WORLD_SIZE is: the launcher must set both")
    try:
        return int(value)
    except ValueError:
        raise ConfigError(f"{name}={value}: the launcher must set this to a whole number") from None


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
