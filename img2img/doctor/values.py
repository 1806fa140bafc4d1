"""Conditions of the values that networks are given."""

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

    As do 12 bits in 16-bit files whose range is taken to be all of the type's.

    Args:
        share: of the range that 99 % of the held-out targets' values span; less is a fault.
    """

    share: float = 0.125
    remedies = (proposals.stretched,)

    def look(self, history: RunHistory, config: RunConfig) -> Evidence | None:
        for ending in history.suffixes(f"{TARGETS}span"):
            spans = history[f"{TARGETS}span{ending}"].last(1)
            span = float(spans.values[-1])
            if not 0 < span < self.share:
                continue
            text = f"{ending[1:]}: " if ending else ""
            text += f"held-out targets span {100 * span:.2g} % of the range"
            distances = history[f"{VAL}l1{ending}"].last(1)
            values = {"span": span}
            if len(distances):
                values["l1"] = distance = float(distances.values[-1])
                text += f", of which an L1 of {distance:.4f} is {100 * distance / span:.2g} %"
            return judged(text, values, 1 - span, spans)
        return None
