"""The live doctor: warns of problems while a run trains."""

from collections.abc import Callable
from pathlib import Path

from img2img.config import RunConfig
from img2img.doctor import Rounds, RunHistory, examine
from img2img.doctor.trends import comparable
from img2img.runs.facts import RunFacts
from img2img.runs.log import lines_until
from img2img.training.events import Observation, Observer


class LiveDoctor(Observer):
    """Examines the history of a run as it grows, and reports each condition in one line.

    To avoid a flood, a condition is reported again only after the number of epochs has doubled.

    Args:
        log: the log of the run, for its history before it was resumed.
        notify: called with each line.
    """

    def __init__(self, config: RunConfig, log: Path, notify: Callable[[str], None]) -> None:
        self._config = config
        self._log = log
        self._notify = notify
        self._history = RunHistory()
        self._rounds = Rounds()
        self._named: dict[str, int] = {}
        """By condition, the epoch (from 0) in which it was last reported."""

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
