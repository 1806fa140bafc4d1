"""The events of a run, and the interface of observers."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from img2img.images import Picture
from img2img.runs.facts import RunFacts
from img2img.runs.log import BASELINE, DIAGNOSTICS, DIVERGED, TARGETS, VAL


@dataclass(frozen=True)
class Progress:
    """How far a run is, and how fast it goes."""

    step: int
    total_steps: int | None
    images: int
    images_per_epoch: int
    seconds: float
    """Training time over all sessions of the run."""
    images_per_second: float
    """The speed of the last steps of this session."""
    waiting: float
    """The share of time spent waiting for images since the last line of the log."""
    lr: float

    @property
    def epoch(self) -> float:
        """The number of epochs completed so far; it has a fractional part."""
        return self.images / self.images_per_epoch


@dataclass(frozen=True)
class Measures:
    """Measures of held-out images, by name; two-way models also have `l1_AtoB` and `l1_BtoA`."""

    values: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    """The same measures of the untouched inputs instead of translations."""
    spans: Mapping[str, float] = field(default_factory=dict)
    """The share of the range that the targets span, as a scale for `l1`; see `HeldOut.spans`."""
    unit: float | None = None
    """What `l1` is multiplied by to be in the numbers of the files; None: it cannot be."""


@dataclass(frozen=True)
class Observation:
    """What was observed at one step of a run; each part may be missing."""

    progress: Progress
    losses: Mapping[str, float] = field(default_factory=dict)
    """Losses and scores by tag, such as `G/l1`: means since the last line of the log."""
    measures: Measures = field(default_factory=Measures)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    """Numbers that show the generators' health; see `doctor.diagnostics`."""
    diverged: str | None = None
    """Names the number that is not finite and ends the run."""

    def scalars(self) -> dict[str, float]:
        """All numbers by their tags in the log."""
        return {
            **self.losses,
            **{f"{VAL}{name}": value for name, value in self.measures.values.items()},
            **{f"{BASELINE}{name}": value for name, value in self.measures.baseline.items()},
            **{f"{TARGETS}{name}": value for name, value in self.measures.spans.items()},
            **{f"{DIAGNOSTICS}{name}": value for name, value in self.diagnostics.items()},
        }

    def line(self) -> dict[str, Any]:
        """The observation as a line of the log."""
        progress = self.progress
        line = {"step": progress.step, "images": progress.images, "epoch": progress.epoch}
        if self.losses:
            line |= {
                "images_per_second": round(progress.images_per_second, 3),
                "seconds": round(progress.seconds, 3),
                "waiting": round(progress.waiting, 4),
                "lr": progress.lr,
            }
        return line | self.scalars() | ({DIVERGED: self.diverged} if self.diverged else {})


@dataclass(frozen=True)
class Summary:
    """The outcome of a run."""

    output: Path
    steps: int
    images: int
    seconds: float
    images_per_second: float
    device: str
    precision: str
    measures: Measures
    """The last that were taken."""
    stopped_early: bool
    """Whether the run was ended by early stopping (`metrics.patience`)."""


class Observer:
    """Observes a run. Override the events of interest; the others do nothing."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """The run cannot start yet; `what` says what is being done."""

    def started(self, facts: RunFacts) -> None:
        """Before the first step of this session."""

    def stepped(self, progress: Progress) -> None:
        """A step was made. It is called after every step, so it must be fast."""

    def observed(self, observation: Observation) -> None:
        """Losses, measures or diagnostics are available."""

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        """A sheet of held-out translations was drawn."""

    def saved(self, progress: Progress, path: Path) -> None:
        """A training state was saved."""

    def noticed(self, message: str) -> None:
        """There is something that the user should know."""

    def ended(self, summary: Summary) -> None:
        """The run has reached its end."""

    def closed(self) -> None:
        """The session is over, whether or not the run is finished."""


def _to_each(event: str) -> Any:
    def tell(self: "Observers", *arguments: Any) -> None:
        for observer in self.observers:
            getattr(observer, event)(*arguments)

    return tell


class Observers(Observer):
    """Several observers as one: each gets every event, in order.

    Attributes:
        observers: those that get the events.
    """

    def __init__(self) -> None:
        self.observers: list[Observer] = []

    preparing = _to_each("preparing")
    started = _to_each("started")
    stepped = _to_each("stepped")
    observed = _to_each("observed")
    sampled = _to_each("sampled")
    saved = _to_each("saved")
    noticed = _to_each("noticed")
    ended = _to_each("ended")

    def closed(self) -> None:
        with ExitStack() as stack:  # all of them, even if one fails
            for observer in reversed(self.observers):
                stack.callback(observer.closed)
