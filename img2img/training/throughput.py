"""How long a run has taken, how fast it goes, and how much of that is waiting for images."""

import time
from collections import deque

# Steps over which speed is averaged.
AVERAGED_STEPS = 50


class Throughput:
    """A run's clock. Times are in seconds."""

    def __init__(self) -> None:
        self.seconds_before = 0.0
        """Spent by earlier sessions of the run."""
        self.ticks: deque[float] = deque(maxlen=AVERAGED_STEPS + 1)
        """When this session began and its last steps ended."""
        self._began: float | None = None
        self._waited = 0.0
        self._marked = 0.0

    def begin(self) -> None:
        """A session begins."""
        self._began = time.monotonic()
        self.ticks.append(self._began)
        self.mark()

    def tick(self) -> None:
        """A step has ended."""
        self.ticks.append(time.monotonic())

    def wait(self, seconds: float) -> None:
        """So long nothing was done but wait for images."""
        self._waited += seconds

    @property
    def seconds(self) -> float:
        """Spent over all sessions."""
        now = 0.0 if self._began is None else time.monotonic() - self._began
        return self.seconds_before + now

    @property
    def steps_per_second(self) -> float:
        """Over the last steps of this session."""
        return (len(self.ticks) - 1) / max(self.ticks[-1] - self.ticks[0], 1e-9)

    @property
    def waiting(self) -> float:
        """The share of the time since `mark` that went into waiting for images."""
        return self._waited / max(time.monotonic() - self._marked, 1e-9)

    def mark(self) -> None:
        """Measure `waiting` from here on."""
        self._waited, self._marked = 0.0, time.monotonic()
