"""Looking at what generators make: held-out measures, sample sheets, signs of their health."""

from collections.abc import Mapping

from torch import nn

from img2img.config import RunConfig
from img2img.errors import ImageError
from img2img.models.spec import ModelSpec
from img2img.runs.directory import RunDirectory
from img2img.runs.log import BASELINE, DIAGNOSTICS, TARGETS, VAL
from img2img.training.best import BestTracker
from img2img.training.events import Observer, Progress
from img2img.training.health_probe import HealthProbe
from img2img.training.held_out import HeldOut


class Review:
    """Shows generators held-out images, and tells an observer what comes of it.

    Args:
        held_out: judges generators on held-out images.
        probe: looks at what they make of some images; None: nobody does.
        tracker: what has been the best.
        directory: where the best goes.
    """

    def __init__(
        self,
        config: RunConfig,
        held_out: HeldOut,
        probe: HealthProbe | None,
        tracker: BestTracker,
        directory: RunDirectory,
        observer: Observer,
    ) -> None:
        self.held_out = held_out
        self.probe = probe
        self._samples = config.samples.count
        self._tracker = tracker
        self._directory = directory
        self._observer = observer

    def measure(
        self,
        generators: Mapping[str, nn.Module],
        specs: Mapping[str, ModelSpec],
        progress: Progress,
    ) -> ImageError | None:
        """Take the measures, and keep the best generators; gives what kept it from that."""
        try:
            measures = self.held_out.measures(generators)
        except ImageError as error:
            self._observer.noticed(f"nothing was measured: {error}")
            return error
        best = self._tracker.take(measures, progress.step)
        if measures:
            told = {f"{VAL}{k}": v for k, v in measures.items()}
            told |= {f"{BASELINE}{k}": v for k, v in self.held_out.baseline.items()}
            told |= {f"{TARGETS}{k}": v for k, v in self.held_out.spans.items()}
            self._observer.measured(progress, told)
        if plateau := self._tracker.plateau(progress.step, progress.total_steps):
            self._observer.noticed(plateau)
        if best:
            self._directory.save_best(specs, generators)
        return None

    def sample(self, generators: Mapping[str, nn.Module], progress: Progress) -> None:
        """Draw a sheet of translations."""
        try:
            sheet = self.held_out.sheet(generators, self._samples)
        except ImageError as error:
            self._observer.noticed(f"no samples were drawn: {error}")
            return
        if sheet is not None:
            self._observer.sampled(progress, sheet)

    def look(self, generators: Mapping[str, nn.Module], progress: Progress) -> None:
        """Look for signs in translations."""
        if self.probe is None:
            return
        try:
            found = self.probe.diagnostics(generators)
        except ImageError as error:
            self._observer.noticed(f"translations were not looked at: {error}")
            return
        self._observer.examined(progress, {f"{DIAGNOSTICS}{k}": v for k, v in found.items()})
