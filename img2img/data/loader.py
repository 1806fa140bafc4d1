"""Loads batches of prepared samples, in a fixed order, with any number of processes."""

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from itertools import count
from threading import Timer
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, get_worker_info

from img2img.config import DataConfig
from img2img.data.samples import Batch, Sample, Samples, collate
from img2img.data.turns import TURNS
from img2img.data.workers import NO_ROOM, quiet_about_cores, supervised
from img2img.errors import ImageError, Img2ImgError, LoadingFailed
from img2img.runtime.devices import is_out_of_memory
from img2img.runtime.signals import STOPPING

# So many files in a row that cannot be read are not a few bad ones.
MOST_SKIPPED = 100
# Seconds that a worker outlives a signal to stop.
GRACE = 60.0


def batches(
    samples: Samples,
    batch_size: int,
    start: int,
    stop: int | None = None,
    *,
    share: tuple[int, int] = (0, 1),
    skip_bad: bool = False,
    workers: int = 0,
    timeout: float = 0,
    stopping: Callable[[], bool] = lambda: False,
    pin_memory: bool = False,
    start_method: str | None = None,
) -> Generator[Batch]:
    """Batches of the samples at consecutive positions.

    The batches do not depend on the number of workers. Workers end when the iterator is closed or
    deleted.

    Args:
        start: the first position.
        stop: the position before which to end, if necessary with a smaller batch; None: never.
        share: (index, count) of this process among those that share the work: it gets every
            count-th batch.
        skip_bad: replace a sample whose file cannot be read, and record this in the batch.
        workers: number of processes that load; 0: load in this process.
        timeout: seconds to wait for workers; 0: forever.
        stopping: called while waiting for workers; returns whether to give up.
        pin_memory: return batches in page-locked memory, for copying to a GPU.
        start_method: how workers are started (`fork`, `spawn`, `forkserver`); None: the platform's.

    Raises:
        LoadingFailed: a worker was killed or does not answer, or there is not enough memory.
        Img2ImgError: a sample cannot be loaded; the message names the file.
    """
    turn = multiprocessing.get_context(start_method).Lock
    with quiet_about_cores():
        loader: DataLoader[Any] = DataLoader(
            _Loaded(samples, skip_bad),  # type: ignore[arg-type]
            sampler=_Positions(batch_size, start, stop, share),
            batch_size=None,  # the positions of a batch are one item of the sampler
            collate_fn=_as_it_is,
            num_workers=workers,
            pin_memory=pin_memory and not workers,
            multiprocessing_context=start_method if workers else None,
            worker_init_fn=partial(_prepare_worker, turn()) if workers else None,
            # It draws a seed for the workers, which must not move the training's random numbers.
            generator=torch.Generator(),
        )
    if not workers:
        yield from map(_whole, loader)
        return
    found = supervised(loader, timeout=timeout, stopping=stopping, pin_memory=pin_memory)
    with closing(found):
        yield from map(_whole, found)


def resolve_workers(data: DataConfig, device_type: str) -> int:
    """The number of processes that load images.

    `auto` supplies a GPU without using every core. If training itself runs on the CPU, loading gets
    a small share of it, or none if the images are already in memory.
    """
    if data.workers != "auto":
        return data.workers
    try:
        cores = len(os.sched_getaffinity(0))  # what a container or a scheduler leaves to us
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    # A launcher says how many processes share the machine.
    cores = max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    on_cpu = 0 if data.cache == "memory" else max(1, cores // 4)
    share = {"cuda": cores, "mps": cores // 2}.get(device_type, on_cpu)
    return min(8, cores - 1, share)


class _Positions:
    """The positions of each batch, in order."""

    def __init__(
        self, batch_size: int, start: int, stop: int | None, share: tuple[int, int]
    ) -> None:
        self._batch_size, self._stop = batch_size, stop
        which, self._of = share
        self._start = start + which * batch_size

    def __iter__(self) -> Iterator[list[int]]:
        for first in count(self._start, self._of * self._batch_size):
            last = first + self._batch_size
            if self._stop is not None:
                last = min(last, self._stop)
            if last <= first:
                return
            yield list(range(first, last))


class _Loaded:
    """Loads whole batches by their positions.

    Errors of the user are returned as values: raised in a worker, they would be wrapped in its
    traceback.
    """

    def __init__(self, samples: Samples, skip_bad: bool) -> None:
        self._samples = samples
        self._skip_bad = skip_bad

    def __getitem__(self, positions: Sequence[int]) -> Batch | Img2ImgError:
        skipped: list[str] = []
        try:
            found = [self._sample(position, skipped) for position in positions]
            batch = collate(found, skipped)
            if get_worker_info() is not None:
                for tensor in batch.tensors.values():
                    # Here, where it can be told that there is no room.
                    tensor.share_memory_()  # type: ignore[no-untyped-call]
        except Img2ImgError as error:
            return error
        except Exception as error:
            if "shared memory" in str(error):
                return LoadingFailed(NO_ROOM)
            if is_out_of_memory(error):
                return LoadingFailed(f"not enough memory to load images: {_first_line(error)}")
            raise
        return batch

    def _sample(self, position: int, skipped: list[str]) -> Sample:
        """The sample at a position; a bad one is replaced by the one at that place in the next
        epoch."""
        for epochs_on in count():
            try:
                return self._samples[position + epochs_on * len(self._samples)]
            except ImageError as error:
                if not self._skip_bad or epochs_on == MOST_SKIPPED:
                    raise
                skipped.append(str(error))
        raise AssertionError("not reached")


def _whole(batch: Batch | Img2ImgError) -> Batch:
    if isinstance(batch, Img2ImgError):
        raise batch
    return batch


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _end_later(*_: object) -> None:
    """Delay the end of a worker, so that the main process can save first after the same signal."""
    timer = Timer(GRACE, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _as_it_is(batch: Any) -> Any:
    return batch


def _prepare_worker(turn: AbstractContextManager[Any], _: int) -> None:
    """Prepare a worker: ignore signals, and switch off OpenCV's threads, which do not survive a
    fork.

    Args:
        turn: the lock held by the process that reads a large picture.
    """
    TURNS.lock = turn
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end_later)
    if hasattr(signal, "SIGBUS"):  # torch would say a line about it, beside ours
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
    cv2.setNumThreads(0)
    # Remarks on damaged metadata, a line a file; damaged pixels are errors.
    warnings.filterwarnings("ignore", module=r"PIL\.")
