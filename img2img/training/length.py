"""How many steps a run has."""

import math
from statistics import median

from img2img.config import ScheduleConfig

# A length in minutes is turned into steps once this share of it has been spent, and so many steps.
CALIBRATION_SHARE = 0.05
CALIBRATION_STEPS = 20


def planned_steps(schedule: ScheduleConfig, images_per_epoch: int, batch_size: int) -> int | None:
    """Generator updates that the schedule asks for; None if that is in minutes."""
    if schedule.minutes is not None:
        return None
    if schedule.steps is not None:
        return schedule.steps
    epochs = schedule.total_epochs or schedule.epochs + schedule.decay_epochs
    return math.ceil(epochs * images_per_epoch / batch_size)


def steps_in_time(
    minutes: float, seconds: float, steps: int, step_seconds: list[float]
) -> int | None:
    """How many steps fit into `minutes` altogether; None while it is too early to say.

    Args:
        seconds: spent so far.
        steps: made so far.
        step_seconds: how long each step of this session took.
    """
    if len(step_seconds) < CALIBRATION_STEPS and seconds < 60 * minutes:
        return None
    if seconds < CALIBRATION_SHARE * 60 * minutes:
        return None
    left = max(0.0, 60 * minutes - seconds)
    return steps + int(left / median(step_seconds))
