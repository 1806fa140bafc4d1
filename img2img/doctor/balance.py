"""Conditions that concern the balance between critic and generator."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from img2img.config import Component, RunConfig
from img2img.doctor import proposals, trends
from img2img.doctor.condition import CONDITIONS, Condition, Evidence, judged
from img2img.losses import OBJECTIVES
from img2img.runs.history import RunHistory, Series

# The fewest lines in which swings are looked for, if there are many.
WINDOW = 30
# A mean of losses over fewer images says little.
IMAGES = 8


class ReferenceLosses(NamedTuple):
    """Reference values for the losses of an objective."""

    d: float
    """The critic's loss at chance: the best possible if it rates all images alike."""
    g: float
    """The generator's loss at chance."""
    floor: float
    """The critic's loss if it is certain and right, which is nearly the lowest possible."""

    @classmethod
    def of(cls, objective: Component) -> "ReferenceLosses":
        return _levels(objective.model_dump_json())


@cache
@torch.no_grad()
def _levels(objective: str) -> ReferenceLosses:
    built = OBJECTIVES.build(Component.model_validate_json(objective), "objective")
    # Logits near 0 first: they are chosen where all are equally good.
    guesses = torch.tensor(sorted(range(-80, 81), key=abs))[:, None] / 40
    losses = built.d_loss(guesses, guesses)
    best = int(losses.argmin())
    real, fake = torch.cartesian_prod(torch.linspace(-16, 16, 65), torch.linspace(-16, 16, 65)).T
    floor = built.d_loss(real[:, None], fake[:, None]).min().item()
    # Without the sign that a zero may have.
    return ReferenceLosses(
        losses[best].item() + 0.0, built.g_loss(guesses, guesses)[best].item() + 0.0, floor
    )


@CONDITIONS.register("critic-too-strong")
@dataclass(frozen=True, kw_only=True)
class CriticTooStrong(Condition):
    """The critic recognises every translation, and the generator no longer improves.

    A critic that is nearly always right is common, especially if it also sees the input. It is a
    fault only if the generator does not improve.

    Args:
        accuracy: share of places where the real image has the higher logit; a higher share is a
            fault if
        loss: the critic's loss is lower than this (0 is its floor, 1 is chance),
        growth: or, for objectives without a floor, the gap between the logits has grown by this
            factor,
        better: and the L1 of translations (held-out ones, if there are any) has not improved by
            this factor over the last quarter of the run.
    """

    accuracy: float = 0.99
    loss: float = 0.03
    growth: float = 4.0
    better: float = 0.98
    remedies = (proposals.slower_critic, proposals.r1, proposals.diffaugment)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        levels = ReferenceLosses.of(config.objective)
        for ending in history.suffixes("D/adv"):
            d, g = history[f"D/adv{ending}"], history[f"G/adv{ending}"]
            accuracy = history[f"D/accuracy{ending}"]
            if not (trends.long_enough(d) and trends.long_enough(g)):
                continue
            values = {"D": trends.recent(d).mean, "G": trends.recent(g).mean}
            gaps = _gap(history, ending)
            text = (
                f"D/adv{ending} is {values['D']:.3g} and G/adv{ending} {values['G']:.3g} (at"
                f" chance: {levels.d:.3g} and {levels.g:.3g})"
            )
            growth = 0.0
            if gaps is not None:
                values["gap"] = gaps[1]
                text += f", and the logits are {gaps[1]:.3g} apart"
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
        """The evidence that the generator is not improving; None if it is."""
        for tag in ("diagnostics/held_out_l1", "diagnostics/train_l1"):
            looks = history[tag]
            lately = looks.since(int(now.steps[0]))
            if len(looks) > 1 and len(lately):
                # A single one is compared with the one before.
                first = (lately if len(lately) > 1 else looks.last(2)).values[0]
                if lately.values[-1] < self.better * first:
                    return None
                return f"; {tag} was {first:.3g}, and is now {lately.values[-1]:.3g}"
        told = [tag for tag in history.tags("G/") if trends.is_reconstruction(tag)]
        for tag in told:
            recent = trends.recent(history[tag])
            before = history[tag].before(recent).last(len(recent))
            if len(before) and recent.mean < self.better * before.mean:
                return None
        return f"; {', '.join(told)} do not decrease" if told else ""


@CONDITIONS.register("critic-too-weak")
@dataclass(frozen=True, kw_only=True)
class CriticTooWeak(Condition):
    """The critic cannot tell translations from real images, so the generator cannot learn from it.

    Args:
        accuracy: it is a fault if its share of correct places is this close to one half,
        loss: and its loss is this close to chance, relative to chance,
        lines: for at least this many lines of the log, and for a quarter of the run,
        most: unless the share differs from one half by more than this over five lines, or swings by
            more: then the critic is not weak.
    """

    accuracy: float = 0.03
    loss: float = 0.03
    lines: int = 20
    most: float = 0.25
    remedies = (proposals.faster_critic, proposals.unclipped)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        even = ReferenceLosses.of(config.objective).d
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
                    f"D/accuracy{ending} is {share:.3f} (0.5 at chance) and D/adv{ending} is"
                    f" {value:.3g} ({even:.3g} at chance), over {lines} lines of the log",
                    {"accuracy": share, "loss": value, "even": even},
                    -off,
                    accuracy.last(lines),
                    loss.last(lines),
                )
        return None


@CONDITIONS.register("oscillation")
@dataclass(frozen=True, kw_only=True)
class Oscillation(Condition):
    """Critic and generator keep overtaking each other.

    Args:
        accuracy: a swing is a rise or fall of the critic's share of correct places by this much,
        swing: or of an adversarial loss that does not change sign by this share of its mean,
        low: or of the critic's loss from below this share of chance to above chance, or back.
        turns: this many swings in the last half of the run, its last quarter and so on are a fault.
    """

    accuracy: float = 0.5
    swing: float = 1.0
    low: float = 0.15
    turns: int = 5
    remedies = (proposals.slightly_slower, proposals.average, proposals.r1)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        return self._swings(history) or self._extremes(
            history, ReferenceLosses.of(config.objective)
        )

    def _swings(self, history: RunHistory) -> Evidence | None:
        for tag in history.tags("D/accuracy") + history.tags("G/adv") + history.tags("D/adv"):
            for part in _stretches(history[tag]):
                if tag.startswith("D/accuracy"):
                    least, by = self.accuracy, f"{self.accuracy:g}"
                elif part.values.min() >= 0:
                    least, by = self.swing * part.mean, f"its mean of {part.mean:.3g}"
                else:  # the mean of a loss with both signs says nothing
                    continue
                turns = _turns(part, least)
                if turns >= self.turns:
                    return _in_turns(part, f"swung up or down by {by}", turns)
        return None

    def _extremes(self, history: RunHistory, levels: ReferenceLosses) -> Evidence | None:
        """A critic's swings from certain and right to worse than chance, if its loss has a
        floor."""
        low = levels.floor + self.low * (levels.d - levels.floor)
        for tag in history.tags("D/adv") if levels.d > 0 else ():
            series = history[tag]
            # Fewer images may all be easy, or all be hard.
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
                text = f"crossed from below {low:.3g} to above chance ({levels.d:.3g}) or back"
                return _in_turns(part, text, crossed)
        return None


def _gap(history: RunHistory, ending: str) -> tuple[float, float] | None:
    """The gap between the mean logits of real and fake images, earlier and now."""
    real, fake = history[f"D/real{ending}"], history[f"D/fake{ending}"]
    now = [trends.recent(series) for series in (real, fake)]
    before = [series.before(part) for series, part in zip((real, fake), now, strict=True)]
    if not all(map(len, before)):
        return None
    return before[0].median - before[1].median, now[0].median - now[1].median


def _stretches(series: Series) -> Iterator[Series]:
    """The parts of a series in which to look for swings: the last half, quarter, and so on."""
    length = max(2 * trends.MIN_LINES, len(series) // 2)
    while len(series) >= length >= 2 * trends.MIN_LINES:
        yield trends.binned(series.last(length))
        length = length // 2 if length >= 2 * WINDOW else 0


def _turns(series: Series, least: float) -> int:
    """How often values rise or fall by at least `least`, beyond noise, before they turn."""
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
        f"{series.tag} {text} {turns} times since step {series.steps[0]}",
        {"turns": turns},
        turns,
        series,
    )
