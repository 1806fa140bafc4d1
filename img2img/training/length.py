"""The length of a run in steps, and the learning rate along it."""

import math
from collections.abc import Sequence

from img2img.config import ScheduleConfig
from img2img.training.schedule import SCHEDULES, Schedule
from img2img.training.throughput import Throughput

# A length in minutes is converted to steps after so many steps and this share of the length: of its
# minutes, or of its steps if later ones take longer.
CALIBRATION_SHARE = 0.05
CALIBRATION_STEPS = 20
# The first steps are slower.
WARM_UP_STEPS = 5


def steps_in_time(
    minutes: float, seconds: float, steps: int, ticks: Sequence[float], longer: float = 0.0
) -> int | None:
    """How many steps fit into `minutes` in total; None if it is too early to tell.

    Args:
        seconds: training time so far.
        steps: steps made so far.
        ticks: the times at which the last steps of this session ended, in seconds.
        longer: how many seconds longer than so far a step takes, on average over the whole length.
    """
    if len(ticks) <= CALIBRATION_STEPS and seconds < 60 * minutes:
        return None
    settled = ticks[WARM_UP_STEPS:] if len(ticks) > CALIBRATION_STEPS else ticks
    pace = max((settled[-1] - settled[0]) / (len(settled) - 1), 1e-6)
    mean = pace + longer
    if seconds * mean / pace < CALIBRATION_SHARE * 60 * minutes:
        return None
    left = max(0.0, 60 * minutes - seconds)
    # The mean is over all steps, including those already made.
    return max(steps, int((steps * pace + left) / mean))


class Length:
    """A run's length in steps, and the learning rate along it.

    Args:
        images_per_epoch: number of positions in an epoch.
        images_per_step: images that all processes see together in a step.
    """

    def __init__(
        self, schedule: ScheduleConfig, images_per_epoch: int, images_per_step: int
    ) -> None:
        self.images_per_epoch = images_per_epoch
        self._config = schedule
        self._images_per_step = images_per_step
        self.steps: int | None
        """Total generator updates; None if the length is in minutes and not yet converted."""
        self._images: float
        """The length in images; infinite if it is not known yet."""
        self._schedule: Schedule
        self.continue_at(0, 0)

    def continue_at(self, step: int, images: int) -> None:
        """Continue from a step at which `images` have been seen.

        A length in epochs is a number of images, so with another batch size the number of steps
        changes.
        """
        rest = self._config
        per_step = self._images_per_step
        planned = rest.planned_steps(self.images_per_epoch, per_step)
        if planned is not None and (rest.minutes, rest.steps) == (None, None):
            epochs = rest.total_epochs or rest.epochs + rest.decay_epochs
            planned = step + max(0, math.ceil((epochs * self.images_per_epoch - images) / per_step))
        self.fix(planned, step, images)

    def fix(self, steps: int | None, step: int, images: int) -> None:
        """Set the length to `steps`, when `images` have been seen at `step`."""
        self.steps = steps
        config = self._config
        # A length in minutes is not yet measured at the very start.
        left = math.inf if steps is None else (steps - step) * self._images_per_step
        self._images = images + left
        published = (config.steps, config.total_epochs, config.minutes) == (None, None, None)
        self._schedule = SCHEDULES.build(
            config,
            "schedule",
            epochs=config.epochs,
            decay_epochs=config.decay_epochs,
            images_per_epoch=self.images_per_epoch,
            total_images=None if published else self._images,
        )

    def measured(self, throughput: Throughput, step: int, longer: float) -> int | None:
        """The number of steps for a length in minutes; None if it is too early to tell.

        Args:
            longer: how many seconds longer than so far a step takes, on average over the run.
        """
        minutes = self._config.minutes
        assert minutes is not None
        return steps_in_time(minutes, throughput.seconds, step, [*throughput.ticks], longer)

    def done(self, images: int) -> float:
        """The share of the run that is over when `images` have been seen."""
        return images / self._images

    def rate(self, images: int) -> float:
        """The factor on the learning rate when `images` have been seen."""
        # It is 1 after `warmup` images, and just above 0 before the first.
        risen = min(1.0, (images + 1) / (self._config.warmup + 1))
        return risen * self._schedule.factor(images)
