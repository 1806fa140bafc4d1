"""Whether the critic and the generator are a match for each other."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from img2img.config import RunConfig
from img2img.doctor import proposals
from img2img.doctor.condition import CONDITIONS, Condition, Evidence, judged
from img2img.doctor.course import LEAST, Course, Series, is_reconstruction, smooth
from img2img.doctor.proposals import Proposal
from img2img.losses import OBJECTIVES


@torch.no_grad()
def even_losses(config: RunConfig) -> tuple[float, float]:
    """The critic's and the generator's loss where the critic takes all images for the same.

    It is the best that the critic can do by chance, with logits near 0 where all are as good.
    """
    objective = OBJECTIVES.build(config.objective, "objective")
    guesses = torch.tensor(sorted(range(-80, 81), key=abs))[:, None] / 40
    losses = objective.d_loss(guesses, guesses)
    best = int(losses.argmin())
    # Without the sign that a zero may have.
    return losses[best].item() + 0.0, objective.g_loss(guesses, guesses)[best].item() + 0.0


@CONDITIONS.register("critic-too-strong")
class CriticTooStrong(Condition):
    """The critic tells every translation from real images, and the generator gets no better.

    A critic that is nearly always right is usual, above all one that sees the input too: it is
    wrong only where the generator has nothing from it.

    Args:
        accuracy: share of places where the real image has the higher logit, from which on.
        loss: the critic's loss over that by chance, down from which on;
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

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        even_d, even_g = even_losses(config)
        for ending in course.endings("D/adv"):
            d, g = course[f"D/adv{ending}"], course[f"G/adv{ending}"]
            accuracy = course[f"D/accuracy{ending}"]
            if not (d.long_enough and g.long_enough):
                continue
            values = {"D": d.recent.mean, "G": g.recent.mean}
            gaps = _gap(course, ending)
            text = (
                f"D/adv{ending} is {values['D']:.3g} and G/adv{ending} {values['G']:.3g} (by chance"
                f" {even_d:.3g} and {even_g:.3g})"
            )
            growth = 0.0
            if gaps is not None:
                values["gap"] = gaps[1]
                text += f", the logits are {gaps[1]:.3g} apart"
                growth = gaps[1] / max(gaps[0], 1e-6)
            won = values["D"] < self.loss * even_d if even_d > 0 else growth > self.growth
            if accuracy.long_enough:
                values["accuracy"] = accuracy.recent.mean
                text = f"D/accuracy{ending} is {values['accuracy']:.3f}, {text}"
                won = won and values["accuracy"] >= self.accuracy
            if not won:
                continue
            stuck = self._stuck(course, d.recent)
            if stuck is not None:
                shown = [series.recent for series in (d, g, accuracy) if len(series)]
                strength = even_d / max(values["D"], 1e-9) if even_d > 0 else growth
                return judged(text + stuck, values, strength, *shown)
        return None

    def _stuck(self, course: Course, now: Series) -> str | None:
        """What says that the generator gets no better; None if it does."""
        for tag in ("signs/held_out", "signs/trained"):
            looks = course[tag].since(int(now.steps[0])).values
            if len(looks) >= 2:
                if looks[-1] < self.better * looks[0]:
                    return None
                return f"; {tag} is {looks[-1]:.3g}, and was {looks[0]:.3g}"
        told = [tag for tag in course.tags("G/") if is_reconstruction(tag)]
        for tag in told:
            recent = course[tag].recent
            before = course[tag].before.last(len(recent))
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
        most: how far the share of places may be from one half over five lines: where it goes
            from one side to the other, the critic is no weak one.
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

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        even, _ = even_losses(config)
        for ending in course.endings("D/accuracy"):
            accuracy, loss = course[f"D/accuracy{ending}"], course[f"D/adv{ending}"]
            if len(accuracy) < self.lines or len(loss) < self.lines:
                continue
            lines = max(self.lines, len(accuracy.recent))
            share, value = accuracy.last(lines).mean, loss.last(lines).mean
            off = abs(share - 0.5)
            if np.abs(smooth(accuracy.last(lines), 5) - 0.5).max() > self.most:
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
    """Critic and generator overtake each other in turns, and neither gets better.

    Args:
        swing: how far an adversarial loss goes up or down in one go, as a share of its mean;
        accuracy: or the share of places that the critic tells right.
        turns: how often it does so in the last half of the run.
    """

    def __init__(self, *, swing: float = 1.0, accuracy: float = 0.5, turns: int = 5) -> None:
        self.swing = swing
        self.accuracy = accuracy
        self.turns = turns

    def look(self, course: Course, config: RunConfig) -> Evidence | None:
        for tag in course.tags("G/adv") + course.tags("D/adv") + course.tags("D/accuracy"):
            points = course[tag].binned
            series = points.last(max(2 * LEAST, len(points) // 2))
            if len(series) < 2 * LEAST:
                continue
            mean = float(np.abs(series.values).mean())
            share = tag.startswith("D/accuracy")
            turns = _turns(smooth(series, 3), self.accuracy if share else self.swing * mean)
            if turns >= self.turns:
                by = f"{self.accuracy:g}" if share else f"its mean of {mean:.3g}"
                return judged(
                    f"{tag} went up or down by {by} {turns} times since step {series.steps[0]}",
                    {"turns": turns, "mean": mean},
                    turns,
                    series,
                )
        return None

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.slower(config, times=2)
        yield proposals.average(config)
        yield proposals.r1(config)


def _gap(course: Course, ending: str) -> tuple[float, float] | None:
    """How far the mean logits of real and fake images were apart, and are."""
    real, fake = course[f"D/real{ending}"], course[f"D/fake{ending}"]
    if not (len(real.before) and len(fake.before)):
        return None
    return (
        real.before.median - fake.before.median,
        real.recent.median - fake.recent.median,
    )


def _turns(values: NDArray[np.float64], least: float) -> int:
    """How often values go up or down by `least` and more before they turn."""
    turns, going, extreme = 0, 0, values[0]
    for value in values[1:]:
        if going * (value - extreme) > 0:
            extreme = value
        elif abs(value - extreme) >= least > 0:
            turns, going, extreme = turns + 1, int(np.sign(value - extreme)), value
    return turns
