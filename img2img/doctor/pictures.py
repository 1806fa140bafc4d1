"""Conditions that show in translations."""

from abc import abstractmethod
from dataclasses import dataclass

from img2img.config import RunConfig
from img2img.doctor import proposals
from img2img.doctor.condition import CONDITIONS, Condition, Evidence, judged
from img2img.runs.history import RunHistory


class OfPictures(Condition):
    """A condition that shows in the translations of each of the last health probes."""

    name: str
    """The name of the diagnostic."""
    sense: int
    """1 if a high value is a fault, -1 if a low one is."""
    probes: int = 3
    """How many probes in a row must show it."""

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        endings = history.suffixes(f"diagnostics/{self.name}")
        found = [each for ending in endings if (each := self._detect_in(history, ending))]
        return max(found, key=lambda evidence: evidence.strength, default=None)

    def _detect_in(self, history: RunHistory, ending: str) -> Evidence | None:
        """The evidence in one direction; the worse direction is reported."""
        series = history[f"diagnostics/{self.name}{ending}"].last(self.probes)
        # A diagnostic that the last probe does not have says nothing of the present.
        if len(series) < self.probes or series.steps[-1] < history.last_probe:
            return None
        target = history[f"diagnostics/{self.name}_target{ending}"].last(len(series))
        expected = history[f"diagnostics/{self.name}_expected{ending}"].last(len(series))
        if len(expected) == len(series):  # where there are no pairs
            target = expected
        others = target.values if len(target) == len(series) else [None] * len(series)
        if all(self.is_fault(*both) for both in zip(series.values, others, strict=True)):
            now, other = float(series.values[-1]), others[-1]
            values = {self.name: now} | ({} if other is None else {"target": float(other)})
            strength = self.sense * (now - (other or 0))
            text = (f"{ending[1:]}: " if ending else "") + self.describe(now, other)
            if target is expected:
                text += " (estimated from mean images)"
            return judged(text, values, strength, series)
        return None

    @abstractmethod
    def is_fault(self, value: float, target: float | None) -> bool:
        """Whether the value in one probe shows the condition."""

    @abstractmethod
    def describe(self, value: float, target: float | None) -> str:
        """The evidence as text."""


@CONDITIONS.register("mode-collapse")
@dataclass(frozen=True, kw_only=True)
class ModeCollapse(OfPictures):
    """Whatever the input, the output is nearly the same picture.

    Args:
        diversity: the variety of outputs relative to that of inputs and targets; a lower value is a
            fault,
        growth: unless it has grown by this factor over these probes, as at the start of a run.
    """

    name = "diversity"
    sense = -1

    diversity: float = 0.05
    growth: float = 1.1
    remedies = (
        proposals.heavier("reconstruction", 10, "outputs must fit their own targets"),
        proposals.heavier("cycle", 2, "inputs must be recoverable from outputs"),
        proposals.diffaugment,
        proposals.r1,
    )

    def _detect_in(self, history: RunHistory, ending: str) -> Evidence | None:
        found = super()._detect_in(history, ending)
        if found is None:
            return None
        values = history[found.tags[0]].last(self.probes).values
        return found if values[-1] <= self.growth * values[0] else None

    def is_fault(self, value: float, target: float | None) -> bool:
        return value < self.diversity

    def describe(self, value: float, target: float | None) -> str:
        return f"the variety of translations is {100 * value:.1f} % of that of inputs and targets"


@CONDITIONS.register("copies-input")
@dataclass(frozen=True, kw_only=True)
class CopiesInput(OfPictures):
    """The generator returns its input.

    Args:
        change: distance between output and input, divided by that between target and input; a lower
            value is a fault.
    """

    name = "change"
    sense = -1

    change: float = 0.05
    remedies = (
        proposals.from_scratch,
        proposals.heavier("identity", 0.2, "frees the generator to change its input"),
        proposals.heavier_targets,
        proposals.faster_critic,
    )

    def is_fault(self, value: float, target: float | None) -> bool:
        return value < self.change

    def describe(self, value: float, target: float | None) -> str:
        return (
            f"the difference between outputs and inputs is {100 * value:.1f} % of that between"
            " targets and inputs"
        )


@CONDITIONS.register("colour-inversion")
@dataclass(frozen=True, kw_only=True)
class ColourInversion(OfPictures):
    """Bright becomes dark and dark becomes bright.

    Args:
        correlation: between the brightness of output and input; a lower value is a fault,
        margin: but if the correlation between target and input is known, only if that is higher by
            this much.
    """

    name = "correlation"
    sense = -1

    correlation: float = -0.5
    margin: float = 0.5
    remedies = (
        proposals.heavier("identity", 2, "ties the colours of output and input"),
        proposals.heavier_targets,
        proposals.slightly_slower,
    )

    def is_fault(self, value: float, target: float | None) -> bool:
        return value < self.correlation and (target is None or target > value + self.margin)

    def describe(self, value: float, target: float | None) -> str:
        known = "" if target is None else f", between target and input {target:.2f}"
        return f"the correlation between the brightness of output and input is {value:.2f}{known}"


@CONDITIONS.register("saturation")
@dataclass(frozen=True, kw_only=True)
class Saturation(OfPictures):
    """Outputs are driven to black, white and pure colours.

    Args:
        more: share of values at an end of the range, beyond that of the targets, that is a fault;
        rest: or this share of the targets' values that are not at an end, if that is less.
    """

    name = "saturation"
    sense = 1

    more: float = 0.3
    rest: float = 0.6
    remedies = (proposals.slower, proposals.clipped, proposals.heavier_targets)

    def is_fault(self, value: float, target: float | None) -> bool:
        known = target or 0.0
        return value - known > min(self.more, self.rest * (1 - known))

    def describe(self, value: float, target: float | None) -> str:
        known = "" if target is None else f", {100 * target:.0f} % of the targets'"
        return f"{100 * value:.0f} % of the outputs' values are at an end of the range{known}"


@CONDITIONS.register("checkerboard")
@dataclass(frozen=True, kw_only=True)
class Checkerboard(OfPictures):
    """Outputs show a grid left by upsampling.

    Args:
        times: a grid this many times as strong as in the targets, at the same frequencies, is a
            fault,
        levels: if it is also stronger by this many grey levels of 255.
    """

    name = "grid"
    sense = 1

    times: float = 3.0
    levels: float = 4.0
    remedies = (proposals.bilinear, proposals.slightly_slower)

    def is_fault(self, value: float, target: float | None) -> bool:
        known = target or 0.0
        return value > self.times * known and value > known + self.levels

    def describe(self, value: float, target: float | None) -> str:
        known = "" if target is None else f", compared with {target:.1f} in targets"
        return f"the grid has {value:.1f} grey levels{known}"


@CONDITIONS.register("overfitting")
@dataclass(frozen=True, kw_only=True)
class Overfitting(Condition):
    """Held-out images no longer improve, while training images come out far better.

    Args:
        gap: held-out L1 divided by training L1; a higher value is a fault,
        better: unless the held-out L1 has improved on its earlier best by this factor.
        probes: number of probes in a row that must show it.
    """

    gap: float = 2.0
    better: float = 0.98
    probes: int = 3
    remedies = (
        proposals.more_augmentation,
        proposals.diffaugment,
        proposals.narrower_generator,
        proposals.patience,
    )

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        held_out, trained = history["diagnostics/held_out_l1"], history["diagnostics/train_l1"]
        if len(held_out) <= self.probes or len(trained) != len(held_out):
            return None
        now, seen = held_out.last(self.probes), trained.last(self.probes)
        best = float(held_out.values[: -self.probes].min())
        if now.values.min() < self.better * best or now.mean < self.gap * seen.mean:
            return None
        return judged(
            f"held-out L1 was as low as {best:.3g}, and is now {now.mean:.3g}; training L1 is"
            f" {seen.mean:.3g}",
            {"held_out": now.mean, "best": best, "trained": seen.mean},
            now.mean / max(seen.mean, 1e-9),
            now,
            seen,
        )
