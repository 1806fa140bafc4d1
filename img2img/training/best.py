"""Which model is the best so far, when to evaluate, and early stopping."""

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
    """Tracks the best value of a held-out measure, and how many evaluations ago it was reached.

    Args:
        config: which measure is tracked, how often it is evaluated, and the patience.
    """

    def __init__(self, config: MetricsConfig) -> None:
        self._config = config
        self.measures: dict[str, float] = {}
        """Of the last evaluation."""
        self._best: float | None = None
        self._best_step = 0
        self._told = False
        self.without_improvement = 0
        """Evaluations since the best one."""
        self.every = 0 if config.every == "auto" else config.every
        """Steps between two evaluations; with `auto` it is fixed after the first evaluation."""

    def due(self, step: int) -> bool:
        """Whether it is time for an evaluation."""
        every = (self.every or EVERY) if self._config.every == "auto" else self.every
        early = self._config.every == "auto" and every == EVERY and step in EARLY
        return early or (every > 0 and step % every == 0)

    def update(self, measures: dict[str, float], step: int = 0) -> bool:
        """Record the measures of a step; return whether the model is the best so far."""
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
        """A notice, given once, if the measure has not improved for long; otherwise None.

        Args:
            step: the present one.
            steps: length of the whole run; None if it is not known yet.
        """
        waits = self._config.patience is None and not self._told and self.without_improvement > 1
        if not waits or not steps or step == steps or step - self._best_step < PLATEAU * steps:
            return None
        self._told = True
        share = 100 * (step - self._best_step) / steps
        return (
            f"held-out {self._config.best} has not improved for {share:.0f} % of the"
            f" run, since step {self._best_step}: Ctrl-C or `stop_after` saves everything and"
            " ends it; `metrics.patience` ends such a run automatically"
        )

    @property
    def interval_unknown(self) -> bool:
        """Whether the interval has yet to be fixed."""
        return self._config.every == "auto" and not self.every

    def fix_interval(self, steps: float) -> None:
        """Set the interval so that evaluations take only a small share of the time.

        This is done once: a resumed run then evaluates at the steps at which it would have done so
        without a break.

        Args:
            steps: how many training steps take as long as one evaluation.
        """
        self.every = max(1, math.ceil(steps / SHARE / EVERY)) * EVERY

    @property
    def exhausted(self) -> bool:
        """Whether `metrics.patience` evaluations have passed without improvement."""
        return (
            self._config.patience is not None and self.without_improvement >= self._config.patience
        )

    def state_dict(self) -> dict[str, Any]:
        """The values that a resumed run needs."""
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
