"""Evaluates generators during training: held-out measures, sample sheets, health probes."""

from collections.abc import Mapping

from torch import nn

from img2img.errors import ImageError
from img2img.models.spec import ModelSpec
from img2img.training.best import BestTracker
from img2img.training.events import Measures, Observation, Progress
from img2img.training.health_probe import HealthProbe
from img2img.training.held_out import HeldOut
from img2img.training.session import Session


class Review:
    """Evaluates generators, and reports the results to an observer.

    Args:
        held_out: evaluates generators on held-out images.
        probe: checks a few translations for faults; None: no probes.
        tracker: tracks the best model so far.
        session: its run folder gets the best model; its observer gets the results.
        rows: number of images in a sample sheet.
    """

    def __init__(
        self,
        held_out: HeldOut,
        probe: HealthProbe | None,
        tracker: BestTracker,
        session: Session,
        rows: int,
    ) -> None:
        self.held_out = held_out
        self.probe = probe
        self._rows = rows
        self._tracker = tracker
        self._directory, self._observer = session.directory, session.observer

    @property
    def measures(self) -> Measures:
        """The measures of the last evaluation."""
        taken = self._tracker.measures
        return Measures(taken, self.held_out.baseline, self.held_out.spans, self.held_out.unit)

    def measure(
        self,
        generators: Mapping[str, nn.Module],
        specs: Mapping[str, ModelSpec],
        progress: Progress,
    ) -> ImageError | None:
        """Measure and save the best generators; return the error that prevented it, if any."""
        try:
            measures = self.held_out.measures(generators)
        except ImageError as error:
            self._observer.noticed(f"held-out images were not evaluated: {error}")
            return error
        best = self._tracker.update(measures, progress.step)
        if measures:
            self._observer.observed(Observation(progress, measures=self.measures))
        if plateau := self._tracker.plateau(progress.step, progress.total_steps):
            self._observer.noticed(plateau)
        if best:
            self._directory.save_best(specs, generators)
        return None

    def sample(self, generators: Mapping[str, nn.Module], progress: Progress) -> None:
        """Draw a sample sheet."""
        try:
            sheet = self.held_out.sheet(generators, self._rows)
        except ImageError as error:
            self._observer.noticed(f"no sample sheet was drawn: {error}")
            return
        if sheet is not None:
            self._observer.sampled(progress, sheet)

    def check_health(self, generators: Mapping[str, nn.Module], progress: Progress) -> None:
        """Probe the health of the generators."""
        if self.probe is None:
            return
        try:
            found = self.probe.diagnostics(generators)
        except ImageError as error:
            self._observer.noticed(f"no health probe was made: {error}")
            return
        self._observer.observed(Observation(progress, diagnostics=found))
