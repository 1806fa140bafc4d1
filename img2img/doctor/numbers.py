"""Conditions of losses and gradients: growing without bound, vanishing, or not changing."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from img2img.config import RunConfig
from img2img.doctor import proposals, trends
from img2img.doctor.balance import ReferenceLosses
from img2img.doctor.condition import CONDITIONS, Condition, Evidence, judged
from img2img.errors import counted
from img2img.metrics.measure import MEASURES
from img2img.runs.history import RunHistory, Series
from img2img.runs.log import BASELINE, VAL


@CONDITIONS.register("non-finite")
@dataclass(frozen=True, kw_only=True)
class NonFinite(Condition):
    """Losses or gradients are infinite or not a number.

    Args:
        most: if a larger share of the last steps was skipped, all other conditions are meaningless.
    """

    most: float = 0.5
    remedies = (proposals.slower, proposals.clipped, proposals.exact, proposals.skipping)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        if history.diverged is not None:
            text = f"the run ended: {history.diverged}"
            return Evidence(text, {}, (), history.step, np.inf, fatal=True)
        skipped = history["steps/skipped"]
        if not len(skipped):
            return None
        # What was skipped long ago is no fault now.
        recent = skipped.since(int((1 - trends.RECENT) * history.step))
        if not len(recent):
            return None
        before = skipped.before(recent)
        count = recent.values[-1] - (before.values[-1] if len(before) else 0)
        if count <= 0:
            return None
        # Since the line before, which has no such number if no step had been skipped.
        known = [skipped, *(history[tag] for tag in history.tags("G/"))]
        earlier = [each.steps[each.steps < recent.steps[0]] for each in known]
        steps = history.step - max((int(each[-1]) for each in earlier if len(each)), default=0)
        text = f"{count:.0f} of the last {counted(steps, 'step')} were skipped"
        share = count / steps
        values = {"skipped": float(count), "steps": float(steps)}
        return judged(text, values, share, recent, fatal=bool(share > self.most))


@CONDITIONS.register("diverging")
@dataclass(frozen=True, kw_only=True)
class Diverging(Condition):
    """Losses grow without bound.

    Args:
        times: an adversarial loss this many times as large as at the start and at chance is a
            fault,
        wild: or one this many times as large as at chance, whatever it was at the start,
        chance: or a critic's loss this many times as large as at chance,
        worse: or a reconstruction loss this many times as large as its lowest value.
    """

    times: float = 20.0
    wild: float = 100.0
    chance: float = 2.0
    worse: float = 2.0
    remedies = (proposals.slower, proposals.clipped, proposals.r1)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        return self._adversarial(history, config) or self._distances(history, config)

    def _adversarial(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        even = ReferenceLosses.of(config.objective).d
        for tag in history.tags("D/adv") + history.tags("G/adv"):
            series = history[tag]
            if not trends.long_enough(series):
                continue
            latest, first = trends.latest(series), float(series.values[0])
            now, is_long = abs(latest.median), len(series) >= 2 * trends.MIN_LINES
            values = {"now": now, "even": even}
            if even and now > self.wild * even:
                text = f"{tag} is {now:.3g} (at chance: {even:.3g})"
            elif is_long and now > self.times * max(even, 1.0, abs(first)):
                text = f"{tag} was {first:.3g} at first, and is now {now:.3g}"
                values = {"now": now, "first": first}
            elif is_long and tag.startswith("D/") and even and now > self.chance * even:
                text = f"{tag} is {now:.3g}, worse than at chance ({even:.3g})"
            else:
                continue
            return judged(text, values, now, latest, fatal=True)
        return None

    def _distances(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        if config.data.grow.halvings:
            return None  # larger images are harder
        for tag in history.tags("G/"):
            series = history[tag]
            # The identity loss is lowest before anything is translated.
            judged_by = trends.is_reconstruction(tag) and "/identity" not in tag
            if not judged_by or len(series) < 2 * trends.MIN_LINES:
                continue
            # One value says little if a line is of one image: low quantiles are compared.
            best = float(np.quantile(trends.smooth(trends.binned(series), 5), 0.1))
            now = float(np.quantile(trends.latest(series).values, 0.25))
            if now > self.worse * best and now > 1e-3:
                return judged(
                    f"{tag} was as low as {best:.3g}, and is now {now:.3g}",
                    {"now": now, "best": best},
                    now / max(best, 1e-9),
                    trends.latest(series),
                    fatal=True,
                )
        return None


@CONDITIONS.register("exploding-gradients")
@dataclass(frozen=True, kw_only=True)
class ExplodingGradients(Condition):
    """Gradients grow by orders of magnitude.

    Args:
        times: growth of their norm by this factor is a fault.
    """

    times: float = 100.0
    remedies = (proposals.clipped, proposals.slower, proposals.r1)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        for tag in ("G/gradient", "D/gradient"):
            series = history[tag]
            if not trends.long_enough(series):
                continue
            before, now = series.before(trends.latest(series)).median, trends.latest(series).median
            if now > self.times * before > 0:
                return judged(
                    f"{tag} was {before:.3g}, and is now {now:.3g}",
                    {"now": now, "before": before},
                    now / before,
                    trends.latest(series),
                )
        return None


@CONDITIONS.register("vanishing-gradient")
@dataclass(frozen=True, kw_only=True)
class VanishingGradient(Condition):
    """The generator's gradient has almost vanished.

    Args:
        share: a norm below this share of the largest one in the first half of the run, without the
            very first lines, is a fault.
    """

    share: float = 0.01
    remedies = (proposals.least_squares, proposals.slower_critic, proposals.r1)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        series = history["G/gradient"]
        if len(series) < 2 * trends.MIN_LINES:
            return None
        half = len(series) // 2
        # The first steps may be very long.
        skipped = max(trends.MIN_LINES // 2, len(series) // 10)
        first = float(trends.medians(series.values[skipped:half], 5).max())
        now = trends.latest(series).median
        if first == 0 or now > self.share * first:
            return None
        return judged(
            f"G/gradient was up to {first:.3g} in the first half, and is now {now:.3g}",
            {"now": now, "first": first},
            1 - now / first,
            trends.latest(series),
        )


@CONDITIONS.register("nothing-learned")
@dataclass(frozen=True, kw_only=True)
class NothingLearned(Condition):
    """No loss changes, and translations stay the same.

    Args:
        change: it is a fault if no loss has changed by a larger share since the start.
        chance: losses with relative noise above this need two health probes to confirm it.
    """

    change: float = 0.01
    chance: float = 0.2
    remedies = (proposals.faster, proposals.unclipped)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        known = [history[tag] for side in "GD" for tag in history.tags(f"{side}/") if _is_loss(tag)]
        short = not known or any(len(series) < 2 * trends.MIN_LINES for series in known)
        if short or trends.warming_up(history, config.schedule):
            return None
        if max(self._moved(series) for series in known) > self.change:
            return None
        each = ", ".join(f"{s.tag} {_first(s):.3g} and {trends.recent(s).mean:.3g}" for s in known)
        text = f"at first and now: {each}"
        same = history["diagnostics/train_l1"]  # of the same images each time
        if len(same) < 2:
            if config.doctor.every != 0 and history.probes:
                return None  # there will be another probe
            if max(trends.noise(s) / max(abs(_first(s)), 1e-9) for s in known) > self.chance:
                return None
        elif abs(same.values[-1] - same.values[0]) > self.change * same.values[0]:
            return None
        else:
            text += f", {same.tag} {same.values[0]:.3g} and {same.values[-1]:.3g}"
        return judged(text, {}, history.step, *known)

    @staticmethod
    def _moved(series: Series) -> float:
        # Lines are of different images: what differs from one to the next is noise.
        smoothed, chance = trends.smooth(series, 5), 3 * trends.noise(series)
        moves = [
            (float(np.abs(smoothed - first).max()) - chance) / max(abs(first), 1e-9)
            for first in (float(series.values[0]), _first(series))
        ]
        # Means over so many lines have less noise.
        now = trends.recent(series)
        first = float(series.values[: len(now)].mean())
        change = abs(now.mean - first) - chance * math.sqrt(2 / len(now))
        return max(*moves, change / max(abs(first), 1e-9))


@CONDITIONS.register("no-better-than-input")
@dataclass(frozen=True, kw_only=True)
class NoBetterThanInput(Condition):
    """Held-out translations are no closer to their targets than the untouched inputs.

    Args:
        share: share of the run that must be over.
        times: number of evaluations in a row that must show it, or all if there were fewer.
    """

    share: float = 0.25
    times: int = 2
    remedies = (proposals.heavier_targets, proposals.from_scratch, proposals.faster)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        if trends.share_done(history, config.schedule) < self.share:
            return None
        for measure in dict.fromkeys([config.metrics.best or "l1", "l1"]):
            series, untouched = history[VAL + measure], history[BASELINE + measure]
            if not (len(series) and len(untouched)):
                continue
            known = MEASURES.get(measure.removesuffix("_AtoB").removesuffix("_BtoA"))
            sign = -1 if known and known.higher_is_better else 1
            last, base = series.last(self.times), float(untouched.values[-1])
            if (sign * last.values < sign * base).any():
                return None
            now = float(last.values[-1])
            return judged(
                f"held-out {measure} is {now:.3g}, and {base:.3g} for the untouched inputs",
                {"now": now, "baseline": base},
                sign * (now - base) / max(abs(base), 1e-9),
                last,
                untouched.last(1),
            )
        return None


def _first(series: Series) -> float:
    """The start of a series: the median of its first values."""
    values: NDArray[np.float64] = series.values[:5]
    return float(np.median(values))


def _is_loss(tag: str) -> bool:
    """Whether a tag of the log is a loss, not a critic's score or a gradient."""
    return not tag.startswith(("D/real", "D/fake", "D/accuracy", "D/gradient", "G/gradient"))
