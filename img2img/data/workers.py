"""Waits for the processes that load images, and notices if they have failed."""

import math
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from multiprocessing import active_children
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue
from threading import Thread, current_thread, main_thread
from typing import Any

import torch
from torch.utils.data import DataLoader

from img2img.errors import LoadingFailed

# Seconds between two looks at what is waited for.
LOOK = 1.0
# Seconds in which it may end by itself.
PATIENCE = 5.0
NO_ROOM = "shared memory is full; enlarge it (in Docker by shm-size), or set data.workers to 0"


def supervised(
    loader: DataLoader[Any], *, timeout: float, stopping: Callable[[], bool], pin_memory: bool
) -> Generator[Any]:
    """The items of a loader with workers, in order; one item is fetched ahead.

    A thread fetches them, because this can hang in ways that the loader's own timeout does not
    cover.

    Args:
        timeout: seconds to wait for an item; 0: forever.
        stopping: called while waiting; returns whether to give up.
        pin_memory: call `pin_memory` of each item, in the thread.

    Raises:
        LoadingFailed: a worker was killed or does not answer, or `stopping` returned True.
    """
    with _quiet_about_children(), quiet_about_cores():
        others = set(active_children())
        loaded = iter(loader)
        workers = [child for child in active_children() if child not in others]
    wanted: SimpleQueue[bool] = SimpleQueue()
    fetched: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()
    device = torch.cuda.current_device() if pin_memory else None
    thread = Thread(target=_fetch, args=(loaded, wanted, fetched, device), daemon=True)
    del loaded  # so that the workers end with the thread
    thread.start()
    try:
        wanted.put(True)
        while (item := _wait(fetched, workers, timeout, stopping)) is not None:
            wanted.put(True)
            yield item
    except LoadingFailed:
        _kill(workers)
        raise
    finally:
        wanted.put(False)
        thread.join(PATIENCE)
        _kill(workers)


def _fetch(
    loaded: Iterator[Any],
    wanted: "SimpleQueue[bool]",
    fetched: "SimpleQueue[tuple[Any, Exception | None]]",
    device: int | None,
) -> None:
    if device is not None:
        torch.cuda.set_device(device)  # else pinned memory is set up on another as well
    while wanted.get():
        try:
            item: Any = next(loaded, None)
            pinned = device is not None and hasattr(item, "pin_memory")
            fetched.put((item.pin_memory() if pinned else item, None))
        except Exception as error:
            fetched.put((None, error))


def _wait(
    fetched: "SimpleQueue[tuple[Any, Exception | None]]",
    workers: Sequence[BaseProcess],
    timeout: float,
    stopping: Callable[[], bool],
) -> Any:
    """Wait for the next item; None at the end."""
    # Counted and not timed: the clock goes on while the whole program is suspended.
    most = math.ceil(timeout / LOOK) if timeout else None
    for look in count(1):
        try:
            item, error = fetched.get(timeout=LOOK)
        except Empty:
            if ended := [worker for worker in workers if worker.exitcode is not None]:
                raise LoadingFailed(_why(ended[0].exitcode or 0)) from None
            if stopping():
                raise LoadingFailed("interrupted while waiting for images") from None
            if look == most:
                raise LoadingFailed(
                    f"the processes that load images have not answered for {timeout:g} s; if the"
                    " disk is that slow, raise data.timeout; data.workers=0 loads images without"
                    " such processes"
                ) from None
            continue
        if error is None:
            return item
        reason = str(error).partition("\n")[0]
        if reason.startswith("Caught "):  # by a worker: a fault of the program
            raise error
        # An end shows here a moment later, and what it was a moment after that.
        gone = wait([worker.sentinel for worker in workers], PATIENCE)
        ended = [worker for worker in workers if worker.sentinel in gone]
        for worker in ended:
            worker.join(PATIENCE)
        why = _why(ended[0].exitcode or 0) if ended else f"images cannot be loaded: {reason}"
        raise LoadingFailed(why) from error
    raise AssertionError("not reached")


def _why(status: int) -> str:
    """Explains the end of a worker, and what may help."""
    name = signal.Signals(-status).name if status < 0 else ""
    what = (
        f"a process that loads images was killed by {name}"
        if name
        else (f"a process that loads images ended with {status}")
    )
    if name == "SIGBUS":
        return f"{what}: {NO_ROOM}"
    cause = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"{what}{cause}; a lower data.workers needs less memory (0: no such processes)"


def _kill(workers: Sequence[BaseProcess]) -> None:
    """Kill workers that have not ended, so that the program does not wait for them at its end."""
    for worker in workers:
        if worker.is_alive():
            worker.kill()


@contextmanager
def quiet_about_cores() -> Iterator[None]:
    """Suppress the warning of more workers than cores, because the user has asked for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@contextmanager
def _quiet_about_children() -> Iterator[None]:
    """Leave the end of a worker to be noticed by the code that waits for it.

    torch lets SIGCHLD raise an error wherever the training is, perhaps in the middle of an update.
    """
    if not hasattr(signal, "SIGCHLD") or current_thread() is not main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
