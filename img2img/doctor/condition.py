"""What can be wrong with a training, and how a run is examined for it.

A condition's rule reads the history of a run and says what speaks for it, or that nothing does. It
asks for something that lasts: a short time means little, for GANs are restless. The thresholds are
the arguments of each class.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from img2img.config import RunConfig
from img2img.doctor import trends
from img2img.doctor.proposals import Proposal
from img2img.registry import Registry
from img2img.runs.history import RunHistory, Series

# Lines of losses between two examinations, at least.
EVERY = 10


@dataclass(frozen=True)
class Evidence:
    """What speaks for a condition.

    Attributes:
        text: one phrase with the numbers.
        values: the numbers by name.
        tags: the series that they are from.
        since: the first step of what was judged.
        strength: more where it is worse; to be compared within a condition.
        fatal: whether other conditions mean nothing beside it.
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
    """Evidence from some series, each as far as it was looked at."""
    tags = tuple(each.tag for each in series)
    since = int(min(each.steps[0] for each in series))
    return Evidence(text, values, tags, since, strength, fatal)


@dataclass(frozen=True)
class Finding:
    """A condition that was found.

    Attributes:
        evidence: of when it was worst, of the times it was found.
        proposals: for the settings that the run has now.
        first: the step at which it was found, of those that were examined.
        worst: the step that the evidence is of.
        last: the last step at which it was found.
        now: whether it is still there: found in one of the last two rounds, or hidden by what is
            fatal.
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
    """Something that can be wrong. The first line of the docstring says what it is."""

    @abstractmethod
    def look(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        """What speaks for it; None where nothing does, or too little is known."""

    @abstractmethod
    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        """What may help, the most likely first."""


CONDITIONS = Registry[Condition]("condition")


def examine(history: RunHistory, config: RunConfig) -> list[Finding]:
    """Every condition that a run shows as it stands; a fatal one stands alone."""
    found = []
    for part in CONDITIONS:
        condition = part.factory()
        evidence = condition.look(history, config)
        if evidence is not None:
            helpful = tuple(each for each in condition.remedies(config) if each is not None)
            step = history.step
            found.append(Finding(part.name, part.summary, evidence, helpful, step, step, step))
    fatal = [finding for finding in found if finding.evidence.fatal]
    return fatal or found


class Rounds:
    """When a run is examined: the same while it trains and when it is over.

    Every `EVERY` lines of losses and every look at pictures; of long runs, when there are 2 % more.
    """

    def __init__(self) -> None:
        self._losses = 0
        self._probes = 0

    def due(self, history: RunHistory) -> bool:
        """Whether it is time, after one more line."""
        losses, probes = history.losses - self._losses, history.probes - self._probes
        enough = losses >= max(EVERY, self._losses / trends.POINTS)
        if not enough and probes < max(1, self._probes / trends.POINTS):
            return False
        self._losses, self._probes = history.losses, history.probes
        return True


def follow(lines: Sequence[Mapping[str, Any]], config: RunConfig) -> list[Finding]:
    """Every condition that a run has shown along its way, as one would see who had watched.

    Args:
        lines: see `RunHistory`.
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
