"""How many steps a run has."""

import math
from collections.abc import Sequence

from img2img.config import ScheduleConfig

# A length in minutes is turned into steps once this share of it has been spent, and so many steps.
CALIBRATION_SHARE = 0.05
CALIBRATION_STEPS = 20
# The first steps are slower than those after them.
WARM_UP_STEPS = 5


def planned_steps(schedule: ScheduleConfig, images_per_epoch: int, batch_size: int) -> int | None:
    """Generator updates that the schedule asks for; None for minutes not yet measured."""
    if schedule.minutes is not None:
        return schedule.measured_steps
    if schedule.steps is not None:
        return schedule.steps
    epochs = schedule.total_epochs or schedule.epochs + schedule.decay_epochs
    return math.ceil(epochs * images_per_epoch / batch_size)


def steps_in_time(minutes: float, seconds: float, steps: int, ticks: Sequence[float]) -> int | None:
    """How many steps fit into `minutes` altogether; None while it is too early to say.

    Args:
        seconds: spent so far.
        steps: made so far.
        ticks: when the last steps of this session ended, in seconds from any start.
    """
    if len(ticks) <= CALIBRATION_STEPS and seconds < 60 * minutes:
        return None
    if seconds < CALIBRATION_SHARE * 60 * minutes:
        return None
    settled = ticks[WARM_UP_STEPS:] if len(ticks) > CALIBRATION_STEPS else ticks
    pace = (settled[-1] - settled[0]) / (len(settled) - 1)
    left = max(0.0, 60 * minutes - seconds)
    return steps + int(left / max(pace, 1e-6))
