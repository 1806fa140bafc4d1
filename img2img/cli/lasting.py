"""Output that may fail, because a terminal or pipe is closed or a disk is full."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class _Lasting:
    """A text stream that discards all output after writing has failed once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._silence()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._silence()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _silence(self) -> None:
        # What it still holds would fail again when Python ends, and change the exit status.
        with suppress(OSError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Let the work in this block continue when its output can no longer be written."""
    streams = sys.stdout, sys.stderr
    lasting = [_Lasting(stream) if stream else None for stream in streams]  # None: started without
    sys.stdout, sys.stderr = lasting
    try:
        yield
    finally:
        for stream in lasting:
            if stream:
                stream.flush()
        sys.stdout, sys.stderr = streams
