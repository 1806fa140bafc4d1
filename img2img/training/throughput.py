"""Training time and speed, and the share of time spent waiting for images."""

import time
from collections import deque

# Steps over which speed is averaged.
AVERAGED_STEPS = 50


class Throughput:
    """Measures training time and speed. Times are in seconds."""

    def __init__(self) -> None:
        self.seconds_before = 0.0
        """Time spent in earlier sessions of the run."""
        self.ticks: deque[float] = deque(maxlen=AVERAGED_STEPS + 1)
        """The times at which this session began and its last steps ended."""
        self._began: float | None = None
        self._waited = 0.0
        self._marked = 0.0

    def begin(self) -> None:
        """Begin a session."""
        self._began = time.monotonic()
        self.ticks.append(self._began)
        self.mark()

    def tick(self) -> None:
        """Record the end of a step."""
        self.ticks.append(time.monotonic())

    def wait(self, seconds: float) -> None:
        """Record seconds spent waiting for images."""
        self._waited += seconds

    @property
    def seconds(self) -> float:
        """Time spent in all sessions."""
        now = 0.0 if self._began is None else time.monotonic() - self._began
        return self.seconds_before + now

    @property
    def steps_per_second(self) -> float:
        """The speed of the last steps of this session."""
        return (len(self.ticks) - 1) / max(self.ticks[-1] - self.ticks[0], 1e-9)

    @property
    def waiting(self) -> float:
        """The share of time since `mark` that was spent waiting for images."""
        return self._waited / max(time.monotonic() - self._marked, 1e-9)

    def mark(self) -> None:
        """Measure `waiting` from now on."""
        self._waited, self._marked = 0.0, time.monotonic()
