"""Whether the critic and the generator are a match for each other."""

import math
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from img2img.config import Component, RunConfig
from img2img.doctor import proposals, trends
from img2img.doctor.condition import CONDITIONS, Condition, Evidence, judged
from img2img.doctor.proposals import Proposal
from img2img.losses import OBJECTIVES
from img2img.runs.history import RunHistory, Series

# The least of lines in which swings are looked for, where there are many.
WINDOW = 30
# Images that a mean of losses is of, at least, where one value is to say something.
IMAGES = 8


class Levels(NamedTuple):
    """What losses mean by an objective."""

    d: float
    """The critic's where it takes all images for the same: the best that it can do by chance."""
    g: float
    """The generator's at that."""
    floor: float
    """The critic's where it is sure and right: the least there is, or nearly."""

    @classmethod
    def of(cls, config: RunConfig) -> "Levels":
        return _levels(config.objective.model_dump_json())


@cache
@torch.no_grad()
def _levels(objective: str) -> Levels:
    built = OBJECTIVES.build(Component.model_validate_json(objective), "objective")
    # With logits near 0 first, where all are as good.
    guesses = torch.tensor(sorted(range(-80, 81), key=abs))[:, None] / 40
    losses = built.d_loss(guesses, guesses)
    best = int(losses.argmin())
    real, fake = torch.cartesian_prod(torch.linspace(-16, 16, 65), torch.linspace(-16, 16, 65)).T
    floor = built.d_loss(real[:, None], fake[:, None]).min().item()
    # Without the sign that a zero may have.
    return Levels(
        losses[best].item() + 0.0, built.g_loss(guesses, guesses)[best].item() + 0.0, floor
    )


@CONDITIONS.register("critic-too-strong")
class CriticTooStrong(Condition):
    """The critic tells every translation from real images, and the generator gets no better.

    A critic that is nearly always right is usual, above all one that sees the input too: it is
    wrong only where the generator has nothing from it.

    Args:
        accuracy: share of places where the real image has the higher logit, from which on.
        loss: how far the critic's loss is above the least there is, over that by chance, down
            from which on;
        growth: or, for objectives whose losses have no floor, of the gap between the logits.
        better: what the distance of translations has come down to over the last quarter of the
            run, from which on they get no better; held-out ones if there are any.
    """

    def __init__(
        self,
        *,
        accuracy: float = 0.99,
        loss: float = 0.03,
        growth: float = 4.0,
        better: float = 0.98,
    ) -> None:
        self.accuracy = accuracy
        self.loss = loss
        self.growth = growth
        self.better = better

    def look(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        levels = Levels.of(config)
        for ending in history.suffixes("D/adv"):
            d, g = history[f"D/adv{ending}"], history[f"G/adv{ending}"]
            accuracy = history[f"D/accuracy{ending}"]
            if not (trends.long_enough(d) and trends.long_enough(g)):
                continue
            values = {"D": trends.recent(d).mean, "G": trends.recent(g).mean}
            gaps = _gap(history, ending)
            text = (
                f"D/adv{ending} is {values['D']:.3g} and G/adv{ending} {values['G']:.3g} (by chance"
                f" {levels.d:.3g} and {levels.g:.3g})"
            )
            growth = 0.0
            if gaps is not None:
                values["gap"] = gaps[1]
                text += f", the logits are {gaps[1]:.3g} apart"
                growth = gaps[1] / max(gaps[0], 1e-6)
            above, chance = values["D"] - levels.floor, levels.d - levels.floor
            won = above < self.loss * chance if levels.d > 0 else growth > self.growth
            if trends.long_enough(accuracy):
                values["accuracy"] = trends.recent(accuracy).mean
                text = f"D/accuracy{ending} is {values['accuracy']:.3f}, {text}"
                won = won and values["accuracy"] >= self.accuracy
            if not won:
                continue
            stuck = self._stuck(history, trends.recent(d))
            if stuck is not None:
                shown = [trends.recent(series) for series in (d, g, accuracy) if len(series)]
                strength = chance / max(above, 1e-9) if levels.d > 0 else growth
                return judged(text + stuck, values, strength, *shown)
        return None

    def _stuck(self, history: RunHistory, now: Series) -> str | None:
        """What says that the generator gets no better; None if it does."""
        for tag in ("diagnostics/held_out_l1", "diagnostics/train_l1"):
            looks = history[tag]
            lately = looks.since(int(now.steps[0]))
            if len(looks) > 1 and len(lately):
                # One alone is held against the one before.
                first = (lately if len(lately) > 1 else looks.last(2)).values[0]
                if lately.values[-1] < self.better * first:
                    return None
                return f"; {tag} is {lately.values[-1]:.3g}, and was {first:.3g}"
        told = [tag for tag in history.tags("G/") if trends.is_reconstruction(tag)]
        for tag in told:
            recent = trends.recent(history[tag])
            before = history[tag].before(recent).last(len(recent))
            if len(before) and recent.mean < self.better * before.mean:
                return None
        return f"; {', '.join(told)} get no less" if told else ""

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.slower_critic(config)
        yield proposals.r1(config)
        yield proposals.diffaugment(config)


@CONDITIONS.register("critic-too-weak")
class CriticTooWeak(Condition):
    """The critic cannot tell translations from real images, and teaches nothing.

    Args:
        accuracy: how far from one half the share of places may be that it tells right.
        loss: how far from chance its loss may be, as a share of that.
        lines: of the log that this must have lasted for, and a quarter of the run.
        most: how far the share of places may be from one half over five lines, and how far it may
            swing: where it goes from one side to the other, the critic is no weak one.
    """

    def __init__(
        self,
        *,
        accuracy: float = 0.03,
        loss: float = 0.03,
        lines: int = 20,
        most: float = 0.25,
    ) -> None:
        self.accuracy = accuracy
        self.loss = loss
        self.lines = lines
        self.most = most

    def look(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        even = Levels.of(config).d
        if trends.warming_up(history, config.schedule):
            return None
        for ending in history.suffixes("D/accuracy"):
            accuracy, loss = history[f"D/accuracy{ending}"], history[f"D/adv{ending}"]
            if len(accuracy) < self.lines or len(loss) < self.lines:
                continue
            lines = max(self.lines, len(trends.recent(accuracy)))
            share, value = accuracy.last(lines).mean, loss.last(lines).mean
            off = abs(share - 0.5)
            if np.abs(trends.smooth(accuracy.last(lines), 5) - 0.5).max() > self.most:
                continue
            if any(_turns(part, 2 * self.most) > 1 for part in _stretches(accuracy)):
                continue
            if off <= self.accuracy and abs(value - even) <= self.loss * (even or 1):
                return judged(
                    f"D/accuracy{ending} is {share:.3f} (0.5 is chance), and D/adv{ending}"
                    f" {value:.3g} ({even:.3g} is chance), for {lines} lines of the log",
                    {"accuracy": share, "loss": value, "even": even},
                    -off,
                    accuracy.last(lines),
                    loss.last(lines),
                )
        return None

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.faster_critic(config)
        yield proposals.unclipped(config)


@CONDITIONS.register("oscillation")
class Oscillation(Condition):
    """Critic and generator overtake each other in turns.

    Args:
        accuracy: how far the share of places that the critic tells right goes up or down in one
            go;
        swing: or an adversarial loss, where it has but one sign, as a share of its mean;
        low: or, from what share of that by chance to more than chance, and back, the critic's.
        turns: how often in the last half of the run, the last quarter, and so on.
    """

    def __init__(
        self, *, accuracy: float = 0.5, swing: float = 1.0, low: float = 0.15, turns: int = 5
    ) -> None:
        self.accuracy = accuracy
        self.swing = swing
        self.low = low
        self.turns = turns

    def look(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        return self._swings(history) or self._extremes(history, Levels.of(config))

    def _swings(self, history: RunHistory) -> Evidence | None:
        for tag in history.tags("D/accuracy") + history.tags("G/adv") + history.tags("D/adv"):
            for part in _stretches(history[tag]):
                if tag.startswith("D/accuracy"):
                    least, by = self.accuracy, f"{self.accuracy:g}"
                elif part.values.min() >= 0:
                    least, by = self.swing * part.mean, f"its mean of {part.mean:.3g}"
                else:  # the mean of what has both signs says nothing
                    continue
                turns = _turns(part, least)
                if turns >= self.turns:
                    return _in_turns(part, f"up or down by {by}", turns)
        return None

    def _extremes(self, history: RunHistory, levels: Levels) -> Evidence | None:
        """Of a critic whose loss has a floor: sure and right, worse than chance, and so on."""
        low = levels.floor + self.low * (levels.d - levels.floor)
        for tag in history.tags("D/adv") if levels.d > 0 else ():
            series = history[tag]
            # Fewer images are easy or hard by chance.
            lines = max(1, math.ceil(IMAGES * history.losses / max(1, history.images)))
            count = len(series) // lines
            if count <= self.turns:
                continue
            most = min(2 * WINDOW, max(2 * trends.MIN_LINES, count // 2), count)
            part = series.last(lines * most)
            values = part.values.reshape(-1, lines).mean(1)
            sides = np.sign(values - levels.d) + np.sign(values - low)
            crossed = int(np.count_nonzero(np.diff(sides[sides != 0])))
            if crossed >= self.turns:
                text = f"from less than {low:.3g} to more than by chance, {levels.d:.3g}, or back,"
                return _in_turns(part, text, crossed)
        return None

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.slower(config, times=2)
        yield proposals.average(config)
        yield proposals.r1(config)


def _gap(history: RunHistory, ending: str) -> tuple[float, float] | None:
    """How far the mean logits of real and fake images were apart, and are."""
    real, fake = history[f"D/real{ending}"], history[f"D/fake{ending}"]
    now = [trends.recent(series) for series in (real, fake)]
    before = [series.before(part) for series, part in zip((real, fake), now, strict=True)]
    if not all(map(len, before)):
        return None
    return before[0].median - before[1].median, now[0].median - now[1].median


def _stretches(series: Series) -> Iterator[Series]:
    """In what swings are looked for, slow and quick ones: the last half, quarter, and so on."""
    length = max(2 * trends.MIN_LINES, len(series) // 2)
    while len(series) >= length >= 2 * trends.MIN_LINES:
        yield trends.binned(series.last(length))
        length = length // 2 if length >= 2 * WINDOW else 0


def _turns(series: Series, least: float) -> int:
    """How often values go up or down by `least` and more before they turn, beyond chance."""
    values = trends.smooth(series, 3).tolist()
    # Three deviations of a difference between means of three.
    least = max(least, 3 * np.sqrt(2 / 3) * trends.noise(series))
    turns, going = 0, 0
    low = high = values[0]
    for value in values[1:]:
        low, high = min(low, value), max(high, value)
        if going >= 0 and high - value >= least > 0:
            turns, going, low = turns + 1, -1, value
        elif going <= 0 and value - low >= least > 0:
            turns, going, high = turns + 1, 1, value
    return turns


def _in_turns(series: Series, text: str, turns: int) -> Evidence:
    return judged(
        f"{series.tag} went {text} {turns} times since step {series.steps[0]}",
        {"turns": turns},
        turns,
        series,
    )
