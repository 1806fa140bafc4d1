"""What translated pictures show of a generator's health."""

from abc import abstractmethod
from collections.abc import Iterable

from img2img.config import RunConfig
from img2img.doctor import proposals
from img2img.doctor.condition import CONDITIONS, Condition, Evidence, judged
from img2img.doctor.proposals import Proposal
from img2img.runs.history import RunHistory


class OfPictures(Condition):
    """A condition that pictures show: at each of the last looks.

    Args:
        looks: so many in a row, and one before them, which is early.
    """

    name: str
    sense: int
    """1 where a high sign is bad, -1 where a low one is."""
    looks: int = 3

    def look(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        endings = history.suffixes(f"diagnostics/{self.name}")
        found = [each for ending in endings if (each := self._look(history, ending))]
        return max(found, key=lambda evidence: evidence.strength, default=None)

    def _look(self, history: RunHistory, ending: str) -> Evidence | None:
        """Of one direction, the worst of which is told."""
        series = history[f"diagnostics/{self.name}{ending}"].last(self.looks)
        # A sign that cannot be told any more says nothing of now.
        if len(series) < self.looks or series.steps[-1] < history.last_probe:
            return None
        wanted = history[f"diagnostics/{self.name}_target{ending}"].last(len(series))
        guessed = history[f"diagnostics/{self.name}_expected{ending}"].last(len(series))
        if len(guessed) == len(series):  # as without pairs
            wanted = guessed
        others = wanted.values if len(wanted) == len(series) else [None] * len(series)
        if all(self.bad(*both) for both in zip(series.values, others, strict=True)):
            now, other = float(series.values[-1]), others[-1]
            values = {self.name: now} | ({} if other is None else {"wanted": float(other)})
            strength = self.sense * (now - (other or 0))
            text = (f"{ending[1:]}: " if ending else "") + self.say(now, other)
            if wanted is guessed:
                text += " (estimated from mean pictures)"
            return judged(text, values, strength, series)
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

    name = "diversity"
    sense = -1

    def __init__(self, *, diversity: float = 0.05, growth: float = 1.1) -> None:
        self.diversity = diversity
        self.growth = growth

    def _look(self, history: RunHistory, ending: str) -> Evidence | None:
        found = super()._look(history, ending)
        if found is None:
            return None
        values = history[found.tags[0]].last(self.looks).values
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

    name = "change"
    sense = -1

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

    name = "correlation"
    sense = -1

    def __init__(self, *, likeness: float = -0.5, wanted: float = 0.5) -> None:
        self.likeness = likeness
        self.wanted = wanted

    def bad(self, value: float, wanted: float | None) -> bool:
        return value < self.likeness and (wanted is None or wanted > value + self.wanted)

    def say(self, value: float, wanted: float | None) -> str:
        known = "" if wanted is None else f", that of target and input {wanted:.2f}"
        return f"the correlation of brightness of output and input is {value:.2f}{known}"

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.heavier(config, "identity", 2, "ties the colours of output and input")
        yield proposals.heavier(config, "reconstruction", 10, "targets weigh more")
        yield proposals.slower(config, times=2)


@CONDITIONS.register("saturation")
class Saturation(OfPictures):
    """Outputs are driven to black, white and pure colours.

    Args:
        more: share of values at an end of the range, beyond that of targets;
        rest: where that is less, as a share of the targets' values that are at none.
    """

    name = "saturation"
    sense = 1

    def __init__(self, *, more: float = 0.3, rest: float = 0.6) -> None:
        self.more = more
        self.rest = rest

    def bad(self, value: float, wanted: float | None) -> bool:
        known = wanted or 0.0
        return value - known > min(self.more, self.rest * (1 - known))

    def say(self, value: float, wanted: float | None) -> str:
        known = "" if wanted is None else f", {100 * wanted:.0f} % of the targets'"
        return f"{100 * value:.0f} % of the outputs' values are at an end of the range{known}"

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

    name = "grid"
    sense = 1

    def __init__(self, *, times: float = 3.0, levels: float = 4.0) -> None:
        self.times = times
        self.levels = levels

    def bad(self, value: float, wanted: float | None) -> bool:
        known = wanted or 0.0
        return value > self.times * known and value > known + self.levels

    def say(self, value: float, wanted: float | None) -> str:
        known = "" if wanted is None else f", against {wanted:.1f} in targets"
        return f"a grid of {value:.1f} grey levels{known}"

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

    def look(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        held_out, trained = history["diagnostics/held_out_l1"], history["diagnostics/train_l1"]
        if len(held_out) <= self.looks or len(trained) != len(held_out):
            return None
        now, seen = held_out.last(self.looks), trained.last(self.looks)
        best = float(held_out.values[: -self.looks].min())
        if now.values.min() < self.better * best or now.mean < self.gap * seen.mean:
            return None
        return judged(
            f"the distance of held-out pictures is {now.mean:.3g}, and has been {best:.3g}; that of"
            f" training images is {seen.mean:.3g}",
            {"held_out": now.mean, "best": best, "trained": seen.mean},
            now.mean / max(seen.mean, 1e-9),
            now,
            seen,
        )

    def remedies(self, config: RunConfig) -> Iterable[Proposal | None]:
        yield proposals.more_augmentation(config)
        yield proposals.diffaugment(config)
        yield proposals.narrower_generator(config)
        yield proposals.patience(config)
