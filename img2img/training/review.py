"""Looking at what generators make: held-out measures, sample sheets, signs of their health."""

from collections.abc import Mapping

from img2img.config import RunConfig
from img2img.errors import ImageError
from img2img.models.spec import ModelSpec
from img2img.networks import Generator
from img2img.runs.history import BASELINE, TARGETS, VAL
from img2img.runs.store import Store
from img2img.training.events import Observer, Progress
from img2img.training.held_out import HeldOut
from img2img.training.probe import Probe
from img2img.training.standing import Standing


class Review:
    """Shows generators held-out images, and tells an observer what comes of it.

    Args:
        held_out: judges generators on held-out images.
        probe: looks at what they make of some images; None: nobody does.
        standing: what has been the best.
        store: where the best goes.
    """

    def __init__(
        self,
        config: RunConfig,
        held_out: HeldOut,
        probe: Probe | None,
        standing: Standing,
        store: Store,
        observer: Observer,
    ) -> None:
        self.held_out = held_out
        self.probe = probe
        self._samples = config.samples.count
        self._standing = standing
        self._store = store
        self._observer = observer

    def measure(
        self,
        generators: Mapping[str, Generator],
        specs: Mapping[str, ModelSpec],
        progress: Progress,
    ) -> ImageError | None:
        """Take the measures, and keep the best generators; gives what kept it from that."""
        try:
            measures = self.held_out.measures(generators)
        except ImageError as error:
            self._observer.noticed(f"nothing was measured: {error}")
            return error
        best = self._standing.take(measures, progress.step)
        if measures:
            told = {f"{VAL}{k}": v for k, v in measures.items()}
            told |= {f"{BASELINE}{k}": v for k, v in self.held_out.baseline.items()}
            told |= {f"{TARGETS}{k}": v for k, v in self.held_out.spans.items()}
            self._observer.measured(progress, told)
        if plateau := self._standing.plateau(progress.step, progress.total_steps):
            self._observer.noticed(plateau)
        if best:
            self._store.save_best(specs, generators)
        return None

    def sample(self, generators: Mapping[str, Generator], progress: Progress) -> None:
        """Draw a sheet of translations."""
        try:
            sheet = self.held_out.sheet(generators, self._samples)
        except ImageError as error:
            self._observer.noticed(f"no samples were drawn: {error}")
            return
        if sheet is not None:
            self._observer.sampled(progress, sheet)

    def look(self, generators: Mapping[str, Generator], progress: Progress) -> None:
        """Look for signs in translations."""
        if self.probe is None:
            return
        try:
            signs = self.probe.signs(generators)
        except ImageError as error:
            self._observer.noticed(f"translations were not looked at: {error}")
            return
        self._observer.examined(progress, {f"signs/{k}": v for k, v in signs.items()})
