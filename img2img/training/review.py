"""Evaluating generators along the way: held-out measures, sample sheets, health probes."""

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
    """Evaluates generators, and tells an observer the outcome.

    Args:
        held_out: measures generators on held-out images.
        probe: looks for faults in a few translations; None: no probes.
        tracker: knows the best so far.
        session: where the best model is saved, and who is told.
        rows: images in a sample sheet.
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
        """The last measures that were taken."""
        taken = self._tracker.measures
        return Measures(taken, self.held_out.baseline, self.held_out.spans)

    def measure(
        self,
        generators: Mapping[str, nn.Module],
        specs: Mapping[str, ModelSpec],
        progress: Progress,
    ) -> ImageError | None:
        """Take the measures, and save the best generators; returns the error that prevented it."""
        try:
            measures = self.held_out.measures(generators)
        except ImageError as error:
            self._observer.noticed(f"nothing was measured: {error}")
            return error
        best = self._tracker.take(measures, progress.step)
        if measures:
            self._observer.observed(Observation(progress, measures=self.measures))
        if plateau := self._tracker.plateau(progress.step, progress.total_steps):
            self._observer.noticed(plateau)
        if best:
            self._directory.save_best(specs, generators)
        return None

    def sample(self, generators: Mapping[str, nn.Module], progress: Progress) -> None:
        """Draw a sheet of translations."""
        try:
            sheet = self.held_out.sheet(generators, self._rows)
        except ImageError as error:
            self._observer.noticed(f"no samples were drawn: {error}")
            return
        if sheet is not None:
            self._observer.sampled(progress, sheet)

    def look(self, generators: Mapping[str, nn.Module], progress: Progress) -> None:
        """Probe the health of the generators."""
        if self.probe is None:
            return
        try:
            found = self.probe.diagnostics(generators)
        except ImageError as error:
            self._observer.noticed(f"translations were not probed: {error}")
            return
        self._observer.observed(Observation(progress, diagnostics=found))
