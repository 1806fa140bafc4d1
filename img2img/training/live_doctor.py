"""The live doctor: says while a run goes on what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

from img2img.config import RunConfig
from img2img.doctor import Rounds, RunHistory, examine
from img2img.doctor.trends import comparable
from img2img.runs.facts import RunFacts
from img2img.runs.log import lines_until
from img2img.training.events import Observation, Observer


class LiveDoctor(Observer):
    """Examines the history of a run as it grows, and gives a line to each condition that it finds.

    A condition is named again only in a later epoch, and when the run has twice as many: no flood.

    Args:
        log: of the run, for what was before it was resumed.
        notify: called with each line.
    """

    def __init__(self, config: RunConfig, log: Path, notify: Callable[[str], None]) -> None:
        self._config = config
        self._log = log
        self._notify = notify
        self._history = RunHistory()
        self._rounds = Rounds()
        self._named: dict[str, int] = {}
        """The epoch, from 0, in which a condition was last named."""

    def started(self, facts: RunFacts) -> None:
        self._history, self._rounds = RunHistory(), Rounds()
        for line in comparable(lines_until(self._log, facts.step, facts.changes)):
            self._history.add(line)
            self._rounds.due(self._history)

    def observed(self, observation: Observation) -> None:
        if observation.diverged is not None:
            return  # the error that ends the run says so
        self._history.add(observation.line())
        if self._rounds.due(self._history):
            self._examine(observation.progress.step, int(observation.progress.epoch))

    def _examine(self, step: int, epoch: int) -> None:
        for finding in examine(self._history, self._config):
            before = self._named.get(finding.name)
            if before is None or epoch >= max(before + 1, 2 * before):
                self._named[finding.name] = epoch
                changes = finding.proposals[0].assignments if finding.proposals else []
                remedy = f"; try {' '.join(f'`{each}`' for each in changes)}" if changes else ""
                self._notify(f"step {step}: {finding.name}: {finding.evidence.text}{remedy}")
