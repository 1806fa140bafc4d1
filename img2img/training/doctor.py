"""The doctor at the bedside: says while a run goes on what is wrong with it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from img2img.config import RunConfig
from img2img.doctor import Rounds, RunHistory, examine
from img2img.doctor.trends import comparable
from img2img.runs.log import read_log
from img2img.training.events import Observer, Progress, RunFacts


class Doctor(Observer):
    """Reads the log as it grows, and gives a line to each condition that it finds.

    A condition is named again only in a later epoch, and when the run has twice as many: no flood.

    Args:
        metrics: the log of the run, for what was before it was resumed.
        say: told of what is found.
    """

    def __init__(self, config: RunConfig, metrics: Path, say: Callable[[str], None]) -> None:
        self._config = config
        self._metrics = metrics
        self._say = say
        self._history = RunHistory()
        self._rounds = Rounds()
        self._named: dict[str, int] = {}
        """The epoch, from 0, in which a condition was last named."""

    def started(self, facts: RunFacts) -> None:
        self._history, self._rounds = RunHistory(), Rounds()
        for line in comparable(read_log(self._metrics)):
            if line["step"] <= facts.step:
                self._history.add(line)
                self._rounds.due(self._history)

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        self._hear(progress, values)

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        self._hear(progress, values)

    def examined(self, progress: Progress, signs: Mapping[str, float]) -> None:
        self._hear(progress, signs)

    def _hear(self, progress: Progress, values: Mapping[str, float]) -> None:
        where = {"step": progress.step, "images": progress.images, "epoch": progress.epoch}
        self._history.add({**where, **values})
        if self._rounds.due(self._history):
            self._examine(progress)

    def _examine(self, progress: Progress) -> None:
        epoch = int(progress.epoch)
        for finding in examine(self._history, self._config):
            before = self._named.get(finding.name)
            if before is None or epoch >= max(before + 1, 2 * before):
                self._named[finding.name] = epoch
                remedy = f"; perhaps {finding.proposals[0].flags}" if finding.proposals else ""
                self._say(
                    f"step {progress.step}: {finding.name}: {finding.evidence.text}{remedy}"
                    " (img2img doctor says more)"
                )
