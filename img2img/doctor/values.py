"""Conditions of the values that the networks get."""

from dataclasses import dataclass

from img2img.config import RunConfig
from img2img.doctor import proposals
from img2img.doctor.condition import CONDITIONS, Condition, Evidence, judged
from img2img.runs.history import RunHistory
from img2img.runs.log import TARGETS, VAL


@CONDITIONS.register("narrow-targets")
@dataclass(frozen=True, kw_only=True)
class NarrowTargets(Condition):
    """Targets use a small part of the range of values, which makes distances look small.

    An example is 12-bit data in 16-bit files that are scaled by the whole range of their type.

    Args:
        share: share of the range that 99 % of the held-out targets' values span; a smaller share is
            a fault.
    """

    share: float = 0.125
    remedies = (proposals.stretched,)

    def detect(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        for ending in history.suffixes(f"{TARGETS}span"):
            spans = history[f"{TARGETS}span{ending}"].last(1)
            span = float(spans.values[-1])
            if not 0 < span < self.share:
                continue
            text = f"{ending[1:]}: " if ending else ""
            text += f"held-out targets span only {100 * span:.2g} % of the range"
            distances = history[f"{VAL}l1{ending}"].last(1)
            values = {"span": span}
            if len(distances):
                values["l1"] = distance = float(distances.values[-1])
                text += (
                    f", and an L1 of {distance:.4f} is {100 * distance / span:.2g} % of that span"
                )
            return judged(text, values, 1 - span, spans)
        return None
