"""Changes process-wide settings of other libraries only temporarily."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Any


class TemporarySetting:
    """Gives a process-wide setting a value within a context, and then restores it.

    Several threads may be inside at once: the last to leave restores the setting.

    Args:
        read: returns the setting.
        write: sets it.
        value: the temporary value.
    """

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], object], value: Any) -> None:
        self._read, self._write, self._value = read, write, value
        self._lock = Lock()
        self._inside = 0
        self._before: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = self._read()
                self._write(self._value)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._write(self._before)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables within a context, unless they are set already."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def hidden_module(name: str) -> Iterator[None]:
    """Make a module that is not imported yet look as if it were not installed."""
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[name]
