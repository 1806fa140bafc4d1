"""Conditions: faults of a training run, and how a run is examined for them.

A condition reads the history of a run and returns the evidence for a fault, or None. A fault must
persist, because the numbers of a GAN are noisy. The thresholds are the arguments of each class.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from img2img.config import RunConfig
from img2img.doctor import trends
from img2img.doctor.proposals import Proposal, Remedy
from img2img.registry import Registry
from img2img.runs.history import RunHistory, Series

# Lines of losses between two examinations, at least.
EVERY = 10


@dataclass(frozen=True)
class Evidence:
    """The evidence for a condition.

    Attributes:
        text: a phrase that states the numbers.
        values: the numbers by name.
        tags: the tags of the series that show it.
        since: the first step of the part that was examined.
        strength: higher is worse; only comparable within one condition.
        fatal: whether it makes all other conditions meaningless.
    """

    text: str
    values: dict[str, float]
    tags: tuple[str, ...]
    since: int
    strength: float
    fatal: bool = False


def judged(
    text: str, values: dict[str, float], strength: float, *series: Series, fatal: bool = False
) -> Evidence:
    """Evidence from the parts of series that were examined."""
    tags = tuple(each.tag for each in series)
    since = int(min(each.steps[0] for each in series))
    return Evidence(text, values, tags, since, strength, fatal)


@dataclass(frozen=True)
class Finding:
    """A condition that was found in a run.

    Attributes:
        evidence: the evidence at the worst step.
        proposals: remedies, given the present settings of the run.
        first: the step at which it was first found.
        worst: the step at which the evidence was strongest.
        last: the last step at which it was found.
        now: whether it is still present: found in one of the last two rounds, or hidden by a fatal
            condition.
    """

    name: str
    summary: str
    evidence: Evidence
    proposals: tuple[Proposal, ...]
    first: int
    worst: int
    last: int
    now: bool = True


class Condition(ABC):
    """A fault of a run. The first line of each class's docstring is shown to the user."""

    remedies: ClassVar[Sequence[Remedy]]
    """Remedies, the most promising first."""

    @abstractmethod
    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        """The evidence for the fault; None if there is none, or too little is known."""


CONDITIONS = Registry[Condition]("condition")


def examine(history: RunHistory, config: RunConfig) -> list[Finding]:
    """The conditions that a run shows now. A fatal condition hides the others."""
    found = []
    for part in CONDITIONS:
        condition = part.factory()
        evidence = condition.detect(history, config)
        if evidence is not None:
            helpful = tuple(made for each in condition.remedies if (made := each(config)))
            step = history.step
            found.append(Finding(part.name, part.summary, evidence, helpful, step, step, step))
    fatal = [finding for finding in found if finding.evidence.fatal]
    return fatal or found


class Rounds:
    """Decides when to examine a run: at the same steps during training and afterwards.

    That is after every `EVERY` lines of losses and every health probe; in long runs, after 2 %
    more.
    """

    def __init__(self) -> None:
        self._losses = 0
        self._probes = 0

    def due(self, history: RunHistory) -> bool:
        """Whether an examination is due after this line."""
        losses, probes = history.losses - self._losses, history.probes - self._probes
        enough = losses >= max(EVERY, self._losses / trends.POINTS)
        if not enough and probes < max(1, self._probes / trends.POINTS):
            return False
        self._losses, self._probes = history.losses, history.probes
        return True


def follow(lines: Sequence[Mapping[str, Any]], config: RunConfig) -> list[Finding]:
    """All conditions that a run has shown at any time, as the live doctor would have found them.

    Args:
        lines: the lines of the log; see `RunHistory`.
    """
    lines = trends.comparable(lines)
    history, rounds = RunHistory(), Rounds()
    found: dict[str, Finding] = {}
    there: list[set[str]] = [set(), set()]
    for number, line in enumerate(lines, start=1):
        history.add(line)
        if rounds.due(history) or number == len(lines):
            findings = examine(history, config)
            hidden = there[-1] if any(each.evidence.fatal for each in findings) else set()
            there = [there[-1], {each.name for each in findings} | hidden]
            for now in findings:
                before = found.get(now.name, now)
                worse = max(now, before, key=lambda finding: finding.evidence.strength)
                found[now.name] = replace(worse, first=before.first, last=now.last)
    told = [replace(each, now=each.name in set.union(*there)) for each in found.values()]
    return sorted(told, key=lambda finding: not finding.evidence.fatal)
