"""How good a run's model is: when that is measured, and what has been the best."""

import math
from collections.abc import Mapping
from typing import Any

from img2img.config import MetricsConfig
from img2img.metrics.measure import MEASURES, measure_of

# Where metrics.every is `auto`: steps between two times, at least, and the most of the time that
# measuring may take.
EVERY = 1000
SHARE = 0.05
# And these times before, for those who watch.
EARLY = (100, 500)
# A measure that was no better for this share of a run is worth a word.
PLATEAU = 0.2


class BestTracker:
    """Where a run stands by its measures on held-out images.

    Args:
        config: which measure says what is best, how often to measure, and how long to wait for a
            better one.
    """

    def __init__(self, config: MetricsConfig) -> None:
        self._config = config
        self.measures: dict[str, float] = {}
        """The last that were taken."""
        self._best: float | None = None
        self._best_step = 0
        self._told = False
        self.worse = 0
        """Times that was measured since the best, and no better."""
        self.every = 0 if config.every == "auto" else config.every
        """Steps between two times; of `auto`, fixed after the first."""

    def due(self, step: int) -> bool:
        """Whether it is time to measure."""
        every = (self.every or EVERY) if self._config.every == "auto" else self.every
        early = self._config.every == "auto" and every == EVERY and step in EARLY
        return early or (every > 0 and step % every == 0)

    def take(self, measures: dict[str, float], step: int = 0) -> bool:
        """Take in what was measured at a step; whether the model is the best so far."""
        self.measures = measures
        best = self._config.best
        value = measures.get(best or "", math.nan)
        if best is None or math.isnan(value):
            return False
        sign = -1 if MEASURES[measure_of(best)].higher_is_better else 1
        if self._best is not None and sign * value >= sign * self._best:
            self.worse += 1
            return False
        self._best, self.worse = value, 0
        self._best_step, self._told = step, False
        return True

    def plateau(self, step: int, steps: int | None) -> str | None:
        """What to say, once, of a measure that has been no better for long; None: nothing.

        Args:
            step: now.
            steps: of the whole run; None while that is not known.
        """
        waits = self._config.patience is None and not self._told and self.worse > 1
        if not waits or not steps or step == steps or step - self._best_step < PLATEAU * steps:
            return None
        self._told = True
        share = 100 * (step - self._best_step) / steps
        return (
            f"held-out {self._config.best} has not improved for {share:.0f} % of the"
            f" run, since step {self._best_step}: Ctrl-C or --stop-after ends it with"
            " everything saved, metrics.patience by itself"
        )

    @property
    def unfixed(self) -> bool:
        """Whether it is still to be said how often to measure."""
        return self._config.every == "auto" and not self.every

    def fix(self, steps: float) -> None:
        """Measure so rarely that it takes a small share of the time.

        Once: a run that goes on from a state measures at the steps that it would have.

        Args:
            steps: how many could be made in the time that measuring takes.
        """
        self.every = max(1, math.ceil(steps / SHARE / EVERY)) * EVERY

    @property
    def out_of_patience(self) -> bool:
        """Whether nothing has been better for as long as one is to wait."""
        return self._config.patience is not None and self.worse >= self._config.patience

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "best": self._best,
            "worse": self.worse,
            "best_step": self._best_step,
            "measure_every": self.every,
            "measures": self.measures,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best = state["best"]
        self.worse = state.get("worse", 0)
        self._best_step = state.get("best_step", state.get("step", 0))
        if self._config.every == "auto":
            self.every = state.get("measure_every", 0)
        self.measures = state["measures"]
