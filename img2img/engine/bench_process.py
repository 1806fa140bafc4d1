"""Measuring backends in a separate process, which can be killed: a compiler may take forever."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from img2img.config import Direction
from img2img.engine.bench import Measurement
from img2img.engine.translator import Translator
from img2img.errors import ConfigError, Img2ImgError
from img2img.images import Picture


def bench_apart(
    model: Path,
    picture: Picture,
    batch: int,
    *,
    backend: str | None = None,
    device: str = "auto",
    direction: Direction | None = None,
    wait: float = 60.0,
) -> Iterator[Measurement]:
    """Like `Translator.bench`, but drops backends that crash or are not ready in time.

    Args:
        wait: seconds that a backend may take to get ready.

    Raises:
        Img2ImgError: the model cannot be opened, or the picture cannot be translated.
    """
    seen: set[str] = set()
    finished = False
    while not finished:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("spawn").Process(
            target=_measure, args=(theirs, model, picture, batch, backend, device, direction, seen)
        )
        child.start()
        theirs.close()
        last: Measurement | None = None
        try:
            while True:
                preparing = last is not None and last.preparing is None and not last.ended
                if not ours.poll(wait if preparing else None):
                    reason = f"not ready after {wait:g} s; `wait` allows more time"
                    break
                message = ours.recv()
                if isinstance(message, Img2ImgError):
                    raise message
                if message is None:
                    finished = True
                    break
                last = message
                seen = seen | {last.backend}
                yield last
        except EOFError:
            child.join()
            reason = f"its process ended with status {child.exitcode}"
            if last is None:
                raise ConfigError(f"bench: {reason}") from None
        finally:
            _end(child)
        if not finished and last is not None and not last.ended:
            yield replace(last, missing=reason)


def _measure(
    results: Connection,
    model: Path,
    picture: Picture,
    batch: int,
    backend: str | None,
    device: str,
    direction: Direction | None,
    skip: set[str],
) -> None:
    """Send each measurement as it becomes known, then None; or an error that prevents them all."""
    if hasattr(os, "setsid"):
        os.setsid()  # so that compilers started by this process end with it
    try:
        translator = Translator.load(
            model, device=device, direction=direction, backend="eager", scale="native"
        )
        for measurement in translator.bench(picture, batch, backend, skip):
            results.send(measurement)
        results.send(None)
    except Img2ImgError as error:
        results.send(error)


def _end(child: SpawnProcess) -> None:
    if hasattr(os, "killpg") and child.pid:
        with suppress(OSError):  # no process group yet, or not any more
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.join()
