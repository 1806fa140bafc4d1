"""What the loop tells those who watch it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from img2img.images import Picture
from img2img.runs.log import Change


@dataclass(frozen=True)
class RunFacts:
    """What is known before the first step."""

    output: Path
    method: str
    device: str
    precision: str
    images: str
    """What was found to train on and to hold out, and where, in words."""
    batches: str
    """How many images a step takes, and how, in words."""
    load_size: tuple[int, int] | None
    """(height, width) in pixels, as `crop_size`; None where images are left as they are."""
    crop_size: tuple[int, int]
    parameters: Mapping[str, int]
    """By network name."""
    step: int
    """Where the run starts: 0, or the step it is resumed at."""
    total_steps: int | None
    """None when the length is in minutes and not yet measured."""
    minutes: float | None
    seconds: float
    """Spent training before, by a run that is resumed."""
    step_seconds: float
    """How long one step took in a trial."""
    memory_bytes: int | None
    """Peak memory of a trial step and what the optimizers will add; None if unknown here."""
    disk_bytes: int
    """What models and states will take at the most."""
    free_disk_bytes: int
    held_out: Sequence[str] = ()
    """The files that are held out; see `training.data_of`."""
    left_out: Sequence[str] = ()
    """Those that cannot be used (`data.skip_bad`)."""
    changes: Sequence[Change] = ()
    """Settings that differ from those that a resumed run was started with."""
    values: str = ""
    """What the values in the files of both domains are, in words."""


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
class Summary:
    """What came of a run."""

    output: Path
    steps: int
    images: int
    seconds: float
    images_per_second: float
    device: str
    precision: str
    measures: Mapping[str, float]
    """The last held-out measures, by name."""
    baseline: Mapping[str, float]
    """What the untouched inputs have in place of translations, by the same names."""
    spans: Mapping[str, float]
    """What the held-out targets span, to read `l1` beside; see `HeldOut.spans`."""


class Observer:
    """Watches a run. Every event may be left unheard."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """`what` is going on before the run can start."""

    def started(self, facts: RunFacts) -> None:
        """Before the first step of this session."""

    def stepped(self, progress: Progress) -> None:
        """After every step; should cost next to nothing."""

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Losses and scores by tag, averaged since the last time."""

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        """Held-out measures by tag, `val/l1`; the untouched inputs' is `baseline/l1`.

        `targets/span` is what the targets span; see `HeldOut.spans`.
        """

    def examined(self, progress: Progress, signs: Mapping[str, float]) -> None:
        """Signs of the generators' health by tag; see `doctor.signs`."""

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        """A sheet of held-out translations."""

    def saved(self, progress: Progress, path: Path) -> None:
        """A training state is on the disk."""

    def noticed(self, message: str) -> None:
        """Something a person should know."""

    def diverged(self, progress: Progress, reason: str) -> None:
        """A number is not finite, and the run ends for it."""

    def ended(self, summary: Summary) -> None:
        """The run has reached its length."""

    def closed(self) -> None:
        """The session is over, however it ended."""


class Observers(Observer):
    """Several observers as one: each is told everything, in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = list(observers)

    def preparing(self, what: str, done: int, total: int) -> None:
        for observer in self._observers:
            observer.preparing(what, done, total)

    def started(self, facts: RunFacts) -> None:
        for observer in self._observers:
            observer.started(facts)

    def stepped(self, progress: Progress) -> None:
        for observer in self._observers:
            observer.stepped(progress)

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        for observer in self._observers:
            observer.logged(progress, values)

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        for observer in self._observers:
            observer.measured(progress, values)

    def examined(self, progress: Progress, signs: Mapping[str, float]) -> None:
        for observer in self._observers:
            observer.examined(progress, signs)

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        for observer in self._observers:
            observer.sampled(progress, sheet)

    def saved(self, progress: Progress, path: Path) -> None:
        for observer in self._observers:
            observer.saved(progress, path)

    def noticed(self, message: str) -> None:
        for observer in self._observers:
            observer.noticed(message)

    def diverged(self, progress: Progress, reason: str) -> None:
        for observer in self._observers:
            observer.diverged(progress, reason)

    def ended(self, summary: Summary) -> None:
        for observer in self._observers:
            observer.ended(summary)

    def closed(self) -> None:
        with ExitStack() as stack:  # all of them, also where one fails
            for observer in reversed(self._observers):
                stack.callback(observer.closed)
