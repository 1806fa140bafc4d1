"""Stopping a run before its end: by Ctrl-C, another signal, or a time limit."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from img2img.errors import TrainingInterrupted, TrainingStopped
from img2img.runtime.signals import STOPPING

# The second of these acts at once; schedulers repeat the others of their own accord.
_BY_HAND = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """A request to stop, which the loop checks between steps.

    Args:
        minutes: stop after this many minutes, but not before a step has been made; None: never.

    Attributes:
        stepped: whether a step has been made. Until then there is nothing to save, so a run that is
            resumed repeatedly would never get anywhere.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self._error: type[TrainingStopped] | None = None
        self._reason = "another process"  # unless this one is asked
        self.stepped = False

    def ask(self, reason: str, error: type[TrainingStopped] = TrainingStopped) -> None:
        self._error, self._reason = error, reason

    def asked(self) -> bool:
        late = self._deadline is not None and time.monotonic() >= self._deadline
        if late and self.stepped:
            self.ask("`stop_after`")
        return self._error is not None

    def error(self, what_now: str, folder: Path) -> TrainingStopped:
        """The error that ends the run; its class says what kind of stop it is."""
        kind = self._error or TrainingStopped
        return kind(f"stopped by {self._reason}; {what_now}", path=folder)


@contextmanager
def stop_on_signals(stop: StopRequest) -> Iterator[None]:
    """Turn Ctrl-C and the signals in `STOPPING` into requests to stop.

    A second Ctrl-C or SIGTERM acts at once, as usual. Signals that the process ignored from the
    start, such as SIGHUP under `nohup`, stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, _: FrameType | None) -> None:
        caught = signal.Signals(number)
        if caught == signal.SIGINT:
            stop.ask("Ctrl-C", TrainingInterrupted)
        else:
            stop.ask(caught.name)
        if caught in _BY_HAND:
            signal.signal(caught, before[caught])

    for caught in (signal.SIGINT, *STOPPING):
        # A shell makes background jobs ignore Ctrl-C, but `kill -INT` by hand must still work.
        if caught in _BY_HAND or signal.getsignal(caught) == signal.SIG_DFL:
            before[caught] = signal.signal(caught, handle)
    try:
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)
