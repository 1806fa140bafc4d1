"""The best model so far by its held-out measures: when it is evaluated, and early stopping."""

import math
from collections.abc import Mapping
from typing import Any

from img2img.config import MetricsConfig
from img2img.metrics.measure import MEASURES, measure_of

# Where metrics.every is `auto`: steps between two evaluations, at least, and the largest share of
# the time that they may take.
EVERY = 1000
SHARE = 0.05
# And at these steps before, for those who watch.
EARLY = (100, 500)
# A measure that has not improved for this share of a run is worth a notice.
PLATEAU = 0.2


class BestTracker:
    """Tracks the best value of a held-out measure, and how long ago that was.

    Args:
        config: which measure is tracked, how often it is taken, and the patience.
    """

    def __init__(self, config: MetricsConfig) -> None:
        self._config = config
        self.measures: dict[str, float] = {}
        """The last that were taken."""
        self._best: float | None = None
        self._best_step = 0
        self._told = False
        self.without_improvement = 0
        """Evaluations since the best one."""
        self.every = 0 if config.every == "auto" else config.every
        """Steps between two evaluations; of `auto`, fixed after the first."""

    def due(self, step: int) -> bool:
        """Whether it is time for an evaluation."""
        every = (self.every or EVERY) if self._config.every == "auto" else self.every
        early = self._config.every == "auto" and every == EVERY and step in EARLY
        return early or (every > 0 and step % every == 0)

    def take(self, measures: dict[str, float], step: int = 0) -> bool:
        """Take in what was measured at a step; True where the model is the best so far."""
        self.measures = measures
        best = self._config.best
        value = measures.get(best or "", math.nan)
        if best is None or math.isnan(value):
            return False
        sign = -1 if MEASURES[measure_of(best)].higher_is_better else 1
        if self._best is not None and sign * value >= sign * self._best:
            self.without_improvement += 1
            return False
        self._best, self.without_improvement = value, 0
        self._best_step, self._told = step, False
        return True

    def plateau(self, step: int, steps: int | None) -> str | None:
        """A notice, once, for a measure that has not improved for long; else None.

        Args:
            step: now.
            steps: of the whole run; None while that is not known.
        """
        waits = self._config.patience is None and not self._told and self.without_improvement > 1
        if not waits or not steps or step == steps or step - self._best_step < PLATEAU * steps:
            return None
        self._told = True
        share = 100 * (step - self._best_step) / steps
        return (
            f"held-out {self._config.best} has not improved for {share:.0f} % of the"
            f" run, since step {self._best_step}: Ctrl-C or `stop_after` ends it with everything"
            " saved; `metrics.patience` ends it by itself"
        )

    @property
    def interval_unknown(self) -> bool:
        """Whether the interval is still to be fixed."""
        return self._config.every == "auto" and not self.every

    def fix_interval(self, steps: float) -> None:
        """Have evaluations so rarely that they take a small share of the time.

        Once: a resumed run has them at the steps at which it would have had them.

        Args:
            steps: how many could be made in the time of one evaluation.
        """
        self.every = max(1, math.ceil(steps / SHARE / EVERY)) * EVERY

    @property
    def exhausted(self) -> bool:
        """Whether there were `metrics.patience` evaluations without improvement."""
        return (
            self._config.patience is not None and self.without_improvement >= self._config.patience
        )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "best": self._best,
            "worse": self.without_improvement,
            "best_step": self._best_step,
            "measure_every": self.every,
            "measures": self.measures,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best = state["best"]
        self.without_improvement = state.get("worse", 0)
        self._best_step = state.get("best_step", state.get("step", 0))
        if self._config.every == "auto":
            self.every = state.get("measure_every", 0)
        self.measures = state["measures"]
