"""The events of a run, and the interface of those who observe them."""

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
    """Where the run is."""

    step: int
    total_steps: int | None
    images: int
    images_per_epoch: int
    seconds: float
    """Time spent training, over all sessions of the run."""
    images_per_second: float
    """Over the last steps of this session."""
    waiting: float
    """The share of the time since the last line of the log that went into waiting for images."""
    lr: float

    @property
    def epoch(self) -> float:
        """Epochs done."""
        return self.images / self.images_per_epoch


@dataclass(frozen=True)
class Measures:
    """Measures of held-out images, by name; of a two-way model also `l1_AtoB`, `l1_BtoA`."""

    values: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    """Of the untouched inputs in place of translations, by the same names."""
    spans: Mapping[str, float] = field(default_factory=dict)
    """The part of the range that targets span, to read `l1` beside; see `HeldOut.spans`."""


@dataclass(frozen=True)
class Observation:
    """What was observed of a run at one step; each part may be missing."""

    progress: Progress
    losses: Mapping[str, float] = field(default_factory=dict)
    """Losses and scores by tag, `G/l1`, averaged since the last time."""
    measures: Measures = field(default_factory=Measures)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    """The generators' health; see `doctor.diagnostics`."""
    diverged: str | None = None
    """The number that is not finite, for which the run ends."""

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
        """It as a line of the log."""
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
    """What came of a run."""

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
    """Whether it has ended for lack of improvement (`metrics.patience`)."""


class Observer:
    """Observes a run. Every event may be left unheard, and none depends on other observers."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """`what` is going on before the run can start."""

    def started(self, facts: RunFacts) -> None:
        """Before the first step of this session."""

    def stepped(self, progress: Progress) -> None:
        """After every step; should cost next to nothing."""

    def observed(self, observation: Observation) -> None:
        """Losses, measures or diagnostics."""

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        """A sheet of held-out translations."""

    def saved(self, progress: Progress, path: Path) -> None:
        """A training state is on the disk."""

    def noticed(self, message: str) -> None:
        """Something a person should know."""

    def ended(self, summary: Summary) -> None:
        """The run has reached its end."""

    def closed(self) -> None:
        """The session is over, however it ended."""


def _to_each(event: str) -> Any:
    def tell(self: "Observers", *arguments: Any) -> None:
        for observer in self.observers:
            getattr(observer, event)(*arguments)

    return tell


class Observers(Observer):
    """Several observers as one: each gets every event, in order.

    Attributes:
        observers: who they are.
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
