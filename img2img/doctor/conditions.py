"""What can be wrong with a training: each condition with its rule, its evidence and its remedies.

A rule reads the course of a run and says what speaks for its condition, or that nothing does. It
asks for something that lasts: a short time means little, for GANs are restless. The thresholds are
the arguments of each class.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from img2img.config import RunConfig
from img2img.doctor import proposals
from img2img.doctor.course import LEAST, Course, Series
from img2img.doctor.proposals import Proposal
from img2img.losses import OBJECTIVES
from img2img.registry import Registry

# How often a run is examined along its way, when it is over.
EXAMINED = 100


@dataclass(frozen=True)
class Evidence:
    """What speaks for a condition.

    Attributes:
        text: one phrase with the numbers.
        values: the numbers by name.
        tags: the series that they are from.
        since: the first step of what was judged.
    """

    text: str
    values: dict[str, float]
    tags: tuple[str, ...]
    since: int


@dataclass(frozen=True)
class Finding:
    """A condition that was found.

    Attributes:
        first: the step at which it was found, of those that were examined.
        last: likewise the last at which it was; the evidence is of then.
    """

    name: str
    summary: str
    evidence: Evidence
    proposals: tuple[Proposal, ...]
    first: int
    last: int


class Condition(ABC):
    """Something that can be wrong. The first line of the docstring says what it is."""

    @abstractmethod
    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        """What speaks for it; None where nothing does, or too little is known."""

    @abstractmethod
    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        """What may help, the most likely first."""


CONDITIONS = Registry[Condition]("condition")


def examine(course: Course, config: RunConfig) -> list[Finding]:
    """Every condition that a run shows as it stands."""
    found = []
    for part in CONDITIONS:
        condition = part.factory()
        evidence = condition.look(course, config)
        if evidence is not None:
            helpful = tuple(each for each in condition.remedies(config) if each is not None)
            step = course.step
            found.append(Finding(part.name, part.summary, evidence, helpful, step, step))
    return found


def follow(lines: Sequence[Mapping[str, Any]], config: RunConfig) -> list[Finding]:
    """Every condition that a run has shown along its way, as one would see who had watched.

    Args:
        lines: see `Course`.
    """
    course = Course()
    found: dict[str, Finding] = {}
    every = math.ceil(len(lines) / EXAMINED)
    for number, line in enumerate(lines, start=1):
        course.add(line)
        if number % every == 0 or number == len(lines):
            for finding in examine(course, config):
                first = found.get(finding.name, finding).first
                found[finding.name] = replace(finding, first=first)
    return list(found.values())


@torch.no_grad()
def even_losses(config: RunConfig) -> tuple[float, float]:
    """The critic's and the generator's loss where the critic takes all images for the same.

    It is the best that the critic can do by chance.
    """
    objective = OBJECTIVES.build(config.objective, "objective")
    guesses = torch.linspace(-2, 2, 81)[:, None]
    losses = objective.d_loss(guesses, guesses)
    best = int(losses.argmin())
    return losses[best].item(), objective.g_loss(guesses, guesses)[best].item()


@CONDITIONS.register("non-finite")
class NonFinite(Condition):
    """Losses or gradients are infinite or not a number."""

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        if course.diverged is not None:
            return Evidence(f"it ended the run: {course.diverged}", {}, (), course.step)
        skipped = course["steps/skipped"]
        if not len(skipped):
            return None
        count, first = skipped.values[-1], int(skipped.steps[0])
        text = f"{count:.0f} of {course.step} steps were skipped"
        return Evidence(text, {"skipped": count}, (skipped.tag,), first)

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.slower(config)
        yield proposals.clipped(config)
        yield proposals.exact(config)
        yield proposals.skipping(config)


@CONDITIONS.register("diverging")
class Diverging(Condition):
    """Losses run away: the networks no longer learn from each other.

    Args:
        times: how much larger an adversarial loss has become than at the start and by chance.
        chance: the same for the critic's loss, over that by chance.
        worse: how much larger a distance to targets, or there and back, than it has been.
    """

    def __init__(self, *, times: float = 20.0, chance: float = 2.0, worse: float = 2.0) -> None:
        self.times = times
        self.chance = chance
        self.worse = worse

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        even, _ = even_losses(config)
        for tag in course.tags("D/adv") + course.tags("G/adv"):
            series = course[tag]
            if len(series) < 2 * LEAST:
                continue
            now, first = abs(series.recent.median), float(series.values[0])
            if now > self.times * max(even, 1.0, abs(first)):
                return _evidence(
                    f"{tag} is {now:.3g}, and was {first:.3g} at first",
                    {"now": now, "first": first},
                    series.recent,
                )
            if tag.startswith("D/") and even and now > self.chance * even:
                return _evidence(
                    f"{tag} is {now:.3g}, worse than by chance, {even:.3g}",
                    {"now": now, "even": even},
                    series.recent,
                )
        for tag in course.tags("G/"):
            series = course[tag]
            if not _is_loss(tag) or tag.startswith("G/adv") or not series.long_enough:
                continue
            best, now = _smooth(series).min(), series.recent.median
            if now > self.worse * best and now > 1e-3:
                return _evidence(
                    f"{tag} is {now:.3g}, and has been {best:.3g}",
                    {"now": now, "best": float(best)},
                    series.recent,
                )
        return None

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.slower(config)
        yield proposals.clipped(config)
        yield proposals.r1(config)


@CONDITIONS.register("exploding-gradients")
class ExplodingGradients(Condition):
    """Gradients grow by orders of magnitude.

    Args:
        times: how much longer they have become than they were.
    """

    def __init__(self, *, times: float = 100.0) -> None:
        self.times = times

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        for tag in ("G/gradient", "D/gradient"):
            series = course[tag]
            if not series.long_enough:
                continue
            before, now = series.before.median, series.recent.median
            if now > self.times * before:
                return _evidence(
                    f"{tag} is {now:.3g}, and was {before:.3g}",
                    {"now": now, "before": before},
                    series.recent,
                )
        return None

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.clipped(config)
        yield proposals.slower(config)
        yield proposals.r1(config)


@CONDITIONS.register("critic-too-strong")
class CriticTooStrong(Condition):
    """The critic tells every translation from real images, and the generator has lost the game.

    Args:
        accuracy: share of places where the real image has the higher logit, from which on.
        loss: the critic's loss over that by chance, down from which on;
        lost: or the generator's, up from which on;
        growth: or, for objectives whose losses have no floor, of the gap between the logits.
    """

    def __init__(
        self, *, accuracy: float = 0.99, loss: float = 0.1, lost: float = 4.0, growth: float = 4.0
    ) -> None:
        self.accuracy = accuracy
        self.loss = loss
        self.lost = lost
        self.growth = growth

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        even_d, even_g = even_losses(config)
        for ending in course.endings("D/adv"):
            d, g = course[f"D/adv{ending}"], course[f"G/adv{ending}"]
            accuracy = course[f"D/accuracy{ending}"]
            if not (d.long_enough and g.long_enough):
                continue
            values = {"D": d.recent.mean, "G": g.recent.mean, "gap": _gap(course, ending)[1]}
            if even_d > 0:
                won = values["D"] < self.loss * even_d or values["G"] > self.lost * even_g > 0
            else:
                won = self._grows(course, ending)
            text = (
                f"D/adv{ending} is {values['D']:.3g} and G/adv{ending} {values['G']:.3g} (by chance"
                f" {even_d:.3g} and {even_g:.3g}), the logits are {values['gap']:.3g} apart"
            )
            if accuracy.long_enough:
                values["accuracy"] = accuracy.recent.mean
                text = f"D/accuracy{ending} is {values['accuracy']:.3f}, {text}"
                won = won and values["accuracy"] >= self.accuracy
            if won:
                shown = (series.recent for series in (d, g, accuracy) if len(series))
                return _evidence(text, values, *shown)
        return None

    def _grows(self, course: Course, ending: str) -> bool:
        before, now = _gap(course, ending)
        return now > self.growth * max(before, 1e-6)

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
        lines: of the log that this must have lasted for.
    """

    def __init__(self, *, accuracy: float = 0.03, loss: float = 0.03, lines: int = 20) -> None:
        self.accuracy = accuracy
        self.loss = loss
        self.lines = lines

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        even, _ = even_losses(config)
        for ending in course.endings("D/accuracy"):
            accuracy, loss = course[f"D/accuracy{ending}"], course[f"D/adv{ending}"]
            if len(accuracy) < self.lines:
                continue
            share, value = accuracy.last(self.lines).mean, loss.last(self.lines).mean
            if abs(share - 0.5) <= self.accuracy and abs(value - even) <= self.loss * (even or 1):
                return _evidence(
                    f"D/accuracy{ending} is {share:.3f} (0.5 is chance), and D/adv{ending}"
                    f" {value:.3g} ({even:.3g} is chance), for {self.lines} lines of the log",
                    {"accuracy": share, "loss": value, "even": even},
                    accuracy.last(self.lines),
                    loss.last(self.lines),
                )
        return None

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.faster_critic(config)
        yield proposals.unclipped(config)


@CONDITIONS.register("vanishing-gradient")
class VanishingGradient(Condition):
    """The generator gets next to no gradient any more.

    Args:
        share: of what the gradient was at first, down from which on.
    """

    def __init__(self, *, share: float = 0.01) -> None:
        self.share = share

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        series = course["G/gradient"]
        if not series.long_enough:
            return None
        first, now = Series(series.tag, series.steps[:5], series.values[:5]).median, series.recent
        if now.median > self.share * first:
            return None
        return _evidence(
            f"G/gradient is {now.median:.3g}, and was {first:.3g} at first",
            {"now": now.median, "first": first},
            now,
        )

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.least_squares(config)
        yield proposals.slower_critic(config)
        yield proposals.r1(config)


@CONDITIONS.register("oscillation")
class Oscillation(Condition):
    """Critic and generator overtake each other in turns, and neither gets better.

    Args:
        swing: how far an adversarial loss goes up or down in one go, as a share of its mean.
        turns: how often it does so in the last half of the run.
    """

    def __init__(self, *, swing: float = 1.0, turns: int = 5) -> None:
        self.swing = swing
        self.turns = turns

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        for tag in course.tags("G/adv") + course.tags("D/adv"):
            series = course[tag].last(max(2 * LEAST, len(course[tag]) // 2))
            if len(series) < 2 * LEAST:
                continue
            mean = float(np.abs(series.values).mean())
            turns = _turns(_smooth(series, 3), self.swing * mean)
            if turns >= self.turns:
                return _evidence(
                    f"{tag} went up or down by its mean of {mean:.3g} {turns} times since step"
                    f" {series.steps[0]}",
                    {"turns": turns, "mean": mean},
                    series,
                )
        return None

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.slower(config, times=2)
        yield proposals.average(config)
        yield proposals.r1(config)


@CONDITIONS.register("nothing-learned")
class NothingLearned(Condition):
    """No loss moves, and translations stay as they are.

    Args:
        change: the largest change since the start, as a share of it.
    """

    def __init__(self, *, change: float = 0.01) -> None:
        self.change = change

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        known = [course[tag] for side in "GD" for tag in course.tags(f"{side}/") if _is_loss(tag)]
        if not known or any(len(series) < 2 * LEAST for series in known):
            return None
        moved = {}
        for series in known:
            now, first = series.recent, abs(series.values[0])
            # What differs from line to line is chance: they are of different images.
            beyond = abs(now.mean - series.values[0]) - 3 * now.values.std()
            moved[series.tag] = beyond / max(first, 1e-9)
        same = course["signs/trained"]  # of the same images each time
        if len(same) > 1:
            moved[same.tag] = abs(same.values[-1] - same.values[0]) / max(same.values[0], 1e-9)
        if max(moved.values()) > self.change:
            return None
        each = ", ".join(f"{s.tag} {s.values[0]:.3g} and {s.recent.mean:.3g}" for s in known)
        return _evidence(f"at first and now: {each}", {}, *(s for s in known))

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.faster(config)
        yield proposals.unclipped(config)


class OfPictures(Condition):
    """A condition that pictures show: at each of the last looks.

    Args:
        looks: so many in a row, and one before them, which is early.
    """

    sign: str
    looks: int = 3

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        for ending in course.endings(f"signs/{self.sign}"):
            series = course[f"signs/{self.sign}{ending}"].last(self.looks)
            if len(series) < self.looks:
                continue
            wanted = course[f"signs/{self.sign}_wanted{ending}"].last(len(series))
            others = wanted.values if len(wanted) == len(series) else [None] * len(series)
            if all(self.bad(*both) for both in zip(series.values, others, strict=True)):
                now, other = float(series.values[-1]), others[-1]
                values = {self.sign: now} | ({} if other is None else {"wanted": float(other)})
                return _evidence(self.say(now, other), values, series)
        return None

    @abstractmethod
    def bad(self, value: float, wanted: float | None) -> bool:
        """Whether the sign at one look speaks for the condition."""

    @abstractmethod
    def say(self, value: float, wanted: float | None) -> str:
        """The evidence in words."""


@CONDITIONS.register("mode-collapse")
class ModeCollapse(OfPictures):
    """Whatever the input, the output is nearly the same picture.

    Args:
        diversity: of outputs over that of inputs and targets, down from which on.
        growth: how much more it has become over the looks where a generator is only beginning.
    """

    sign = "diversity"

    def __init__(self, *, diversity: float = 0.05, growth: float = 1.1) -> None:
        self.diversity = diversity
        self.growth = growth

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        found = super().look(course, config)
        if found is None:
            return None
        values = course[found.tags[0]].last(self.looks).values
        return found if values[-1] <= self.growth * values[0] else None

    def bad(self, value: float, wanted: float | None) -> bool:
        return value < self.diversity

    def say(self, value: float, wanted: float | None) -> str:
        return f"translations differ {100 * value:.1f} % as much as inputs and targets do"

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        why = "outputs must fit their own targets"
        yield proposals.heavier(config, "reconstruction", 10, why)
        why = "inputs must be found again in outputs"
        yield proposals.heavier(config, "cycle", 2, why)
        yield proposals.diffaugment(config)
        yield proposals.r1(config)


@CONDITIONS.register("copies-input")
class CopiesInput(OfPictures):
    """The generator gives back its input.

    Args:
        change: distance of output and input over that of target and input, down from which on.
    """

    sign = "change"

    def __init__(self, *, change: float = 0.05) -> None:
        self.change = change

    def bad(self, value: float, wanted: float | None) -> bool:
        return value < self.change

    def say(self, value: float, wanted: float | None) -> str:
        return f"outputs differ from inputs by {100 * value:.1f} % of what targets do"

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.from_scratch(config)
        yield proposals.heavier(config, "identity", 0.2, "frees the generator to change its input")
        yield proposals.heavier(config, "reconstruction", 10, "targets weigh more")
        yield proposals.faster_critic(config)


@CONDITIONS.register("colour-inversion")
class ColourInversion(OfPictures):
    """Bright becomes dark and dark becomes bright.

    Args:
        likeness: correlation of brightness of output and input, down from which on.
        wanted: how much higher that of targets must be, where they are known.
    """

    sign = "likeness"

    def __init__(self, *, likeness: float = -0.5, wanted: float = 0.5) -> None:
        self.likeness = likeness
        self.wanted = wanted

    def bad(self, value: float, wanted: float | None) -> bool:
        return value < self.likeness and (wanted is None or wanted > value + self.wanted)

    def say(self, value: float, wanted: float | None) -> str:
        known = "" if wanted is None else f", that of target and input {wanted:.2f}"
        return f"the correlation of brightness of output and input is {value:.2f}{known}"

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.identity(config)
        yield proposals.heavier(config, "reconstruction", 10, "targets weigh more")
        yield proposals.slower(config, times=2)


@CONDITIONS.register("saturation")
class Saturation(OfPictures):
    """Outputs are driven to black, white and pure colours.

    Args:
        more: share of values at an end of the range, beyond that of targets.
    """

    sign = "ends"

    def __init__(self, *, more: float = 0.3) -> None:
        self.more = more

    def bad(self, value: float, wanted: float | None) -> bool:
        return value - (wanted or 0) > self.more

    def say(self, value: float, wanted: float | None) -> str:
        return (
            f"{100 * value:.0f} % of the outputs' values are at an end of the range,"
            f" {100 * (wanted or 0):.0f} % of the targets'"
        )

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.slower(config)
        yield proposals.clipped(config)
        yield proposals.heavier(config, "reconstruction", 10, "targets weigh more")


@CONDITIONS.register("checkerboard")
class Checkerboard(OfPictures):
    """Outputs have the grid that up-sampling leaves.

    Args:
        times: how much stronger than targets have at its frequencies.
        levels: and by how many grey levels of 255.
    """

    sign = "grid"

    def __init__(self, *, times: float = 3.0, levels: float = 4.0) -> None:
        self.times = times
        self.levels = levels

    def bad(self, value: float, wanted: float | None) -> bool:
        known = wanted or 0.0
        return value > self.times * known and value > known + self.levels

    def say(self, value: float, wanted: float | None) -> str:
        return f"a grid of {value:.1f} grey levels, against {wanted or 0:.1f} in targets"

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.bilinear(config)
        yield proposals.slower(config, times=2)


@CONDITIONS.register("overfitting")
class Overfitting(Condition):
    """Held-out pictures get no better while those trained on are far ahead.

    Args:
        gap: the distance of held-out pictures over that of trained ones, from which on.
        better: what the held-out distance has come down to, as a share of its best before.
        looks: so many in a row.
    """

    def __init__(self, *, gap: float = 2.0, better: float = 0.98, looks: int = 3) -> None:
        self.gap = gap
        self.better = better
        self.looks = looks

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        held_out, trained = course["signs/held_out"], course["signs/trained"]
        if len(held_out) <= self.looks or len(trained) != len(held_out):
            return None
        now, seen = held_out.last(self.looks), trained.last(self.looks)
        best = float(held_out.values[: -self.looks].min())
        if now.values.min() < self.better * best or now.mean < self.gap * seen.mean:
            return None
        return _evidence(
            f"the distance of held-out pictures is {now.mean:.3g}, and has been {best:.3g}; that of"
            f" training images is {seen.mean:.3g}",
            {"held_out": now.mean, "best": best, "trained": seen.mean},
            now,
            seen,
        )

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.more_augmentation(config)
        yield proposals.diffaugment(config)
        yield proposals.narrower_generator(config)
        yield proposals.patience(config)


def _evidence(text: str, values: dict[str, float], *judged: Series) -> Evidence:
    tags = tuple(series.tag for series in judged)
    return Evidence(text, values, tags, int(min(series.steps[0] for series in judged)))


def _is_loss(tag: str) -> bool:
    """Whether a tag of the log is of a loss: no score of a critic, no gradient."""
    return not tag.startswith(("D/real", "D/fake", "D/accuracy", "D/gradient", "G/gradient"))


def _gap(course: Course, ending: str) -> tuple[float, float]:
    """How far the mean logits of real and fake images were apart, and are."""
    real, fake = course[f"D/real{ending}"], course[f"D/fake{ending}"]
    before, now = real.before, real.recent
    return (
        before.median - fake.before.median if len(before) else 0.0,
        now.median - fake.recent.median,
    )


def _smooth(series: Series, count: int = 5) -> NDArray[np.float64]:
    """Means over so many values each."""
    return np.convolve(series.values, np.full(count, 1 / count), mode="valid")


def _turns(values: NDArray[np.float64], least: float) -> int:
    """How often values go up or down by `least` and more before they turn."""
    turns, going, extreme = 0, 0, values[0]
    for value in values[1:]:
        if going * (value - extreme) > 0:
            extreme = value
        elif abs(value - extreme) >= least > 0:
            turns, going, extreme = turns + 1, int(np.sign(value - extreme)), value
    return turns
