"""The learning rate along the training, and its length."""

import math
from typing import Any

import pytest

from img2img.config import Component, ScheduleConfig
from img2img.registry import Part
from img2img.training.length import CALIBRATION_STEPS, Length, steps_in_time
from img2img.training.schedule import SCHEDULES, Schedule


def schedule(
    name: str = "linear",
    epochs: int = 100,
    decay: int = 100,
    images_per_epoch: int = 7,
    total_images: float | None = None,
) -> Schedule:
    return SCHEDULES.build(
        Component(name=name),
        "schedule",
        epochs=epochs,
        decay_epochs=decay,
        images_per_epoch=images_per_epoch,
        total_images=total_images,
    )


class TestPublishedRule:
    """1 - max(0, e + 1 - n_epochs) / (n_epochs_decay + 1), for epoch e counted from 0."""

    @pytest.mark.parametrize(
        ("epoch", "factor"),
        [
            (0, 1.0),
            (99, 1 - 0 / 101),
            (100, 1 - 1 / 101),
            (101, 1 - 2 / 101),
            (150, 1 - 51 / 101),
            (198, 1 - 99 / 101),
            (199, 1 - 100 / 101),
        ],
    )
    def test_epochs(self, epoch: int, factor: float) -> None:
        rule = schedule(images_per_epoch=7)
        assert rule.factor(7 * epoch) == pytest.approx(factor, abs=1e-12)
        # Stepped once an epoch: the same to its last image.
        assert rule.factor(7 * epoch + 6) == rule.factor(7 * epoch)

    def test_other_proportions(self) -> None:
        rule = schedule(epochs=1, decay=2, images_per_epoch=1)
        assert [rule.factor(n) for n in range(3)] == pytest.approx([1, 2 / 3, 1 / 3])

    def test_without_decay(self) -> None:
        rule = schedule(epochs=5, decay=0, images_per_epoch=1)
        assert [rule.factor(n) for n in range(5)] == [1] * 5

    def test_without_constant_part(self) -> None:
        rule = schedule(epochs=0, decay=3, images_per_epoch=1)
        assert [rule.factor(n) for n in range(3)] == pytest.approx([3 / 4, 2 / 4, 1 / 4])


class TestSqueezed:
    def test_half_constant_half_decay(self) -> None:
        rule = schedule(total_images=1000)
        seen = [0, 250, 500, 600, 750, 999, 1000]
        expected = [1, 1, 1, 0.8, 0.5, 0.002, 0]
        assert [rule.factor(n) for n in seen] == pytest.approx(expected)

    def test_follows_images_not_epochs(self) -> None:
        assert schedule(total_images=10, images_per_epoch=1000).factor(6) == pytest.approx(0.8)

    def test_keeps_the_proportion(self) -> None:
        rule = schedule(epochs=30, decay=10, total_images=100)
        assert [rule.factor(n) for n in (74, 80, 90)] == pytest.approx([1, 0.8, 0.4])

    def test_without_decay(self) -> None:
        rule = schedule(epochs=1, decay=0, total_images=10)
        assert [rule.factor(n) for n in (0, 9, 10)] == [1, 1, 1]

    def test_never_increases_and_is_nearly_that_of_epochs(self) -> None:
        squeezed = schedule(images_per_epoch=10, total_images=2000)
        published = schedule(images_per_epoch=10)
        factors = [squeezed.factor(n) for n in range(2001)]
        assert factors == sorted(factors, reverse=True)
        assert all(
            abs(factor - published.factor(n)) < 0.011 for n, factor in enumerate(factors[:-1])
        )


class TestCosine:
    """(1 + cos(pi t)) / 2: 1 at the start, 3/4 after a third, 1/2 in the middle, 0 at the end."""

    @pytest.mark.parametrize(
        "rule",
        [schedule("cosine", total_images=12), schedule("cosine", 1, 2, images_per_epoch=4)],
        ids=["length", "epochs"],
    )
    def test_by_hand(self, rule: Schedule) -> None:
        seen = [0, 2, 3, 4, 6, 8, 12, 13]
        expected = [1, (1 + math.sqrt(3) / 2) / 2, (1 + math.sqrt(1 / 2)) / 2, 3 / 4, 1 / 2]
        assert [rule.factor(n) for n in seen] == pytest.approx([*expected, 1 / 4, 0, 0])

    def test_full_while_the_length_is_not_known(self) -> None:
        assert schedule("cosine", total_images=math.inf).factor(1000) == 1


class TestWarmUp:
    def length(self, **config: Any) -> Length:
        return Length(ScheduleConfig(**config), images_per_epoch=10, images_per_step=2)

    def test_rises_linearly_and_then_is_the_schedules(self) -> None:
        length = self.length(name="constant", warmup=9)
        assert [length.rate(n) for n in (0, 2, 4, 8)] == pytest.approx([0.1, 0.3, 0.5, 0.9])
        assert [length.rate(n) for n in (9, 10, 1000)] == [1, 1, 1]

    def test_times_the_schedule(self) -> None:
        # 10 images, of which the last 5 decay: 4/5, 3/5, ...; risen to 7/10 and 8/10 by then.
        length = self.length(steps=5, warmup=9)
        assert [length.rate(n) for n in (6, 7)] == pytest.approx([0.7 * 0.8, 0.8 * 0.6])

    def test_of_a_length_in_minutes(self) -> None:
        """Images count, not the length: the rate is the same before it is known and after."""
        length = self.length(name="linear", minutes=5, warmup=99)
        assert [length.rate(n) for n in (0, 24, 49)] == pytest.approx([0.01, 0.25, 0.5])
        length.fix(500, 25, 50)
        assert [length.rate(n) for n in (50, 74, 99, 400)] == pytest.approx([0.51, 0.75, 1, 1])

    @pytest.mark.parametrize("name", ["linear", "cosine", "constant"])
    @pytest.mark.parametrize("lasts", [{"steps": 50}, {"total_epochs": 10}, {"epochs": 20}])
    def test_resumed_runs_have_the_same_rates(self, name: str, lasts: dict[str, int]) -> None:
        whole = self.length(name=name, warmup=30, **lasts)
        resumed = self.length(name=name, warmup=30, **lasts)
        resumed.continue_at(7, 14)
        seen = range(14, 120, 2)
        assert [resumed.rate(n) for n in seen] == [whole.rate(n) for n in seen]
        assert [resumed.done(n) for n in seen] == [whole.done(n) for n in seen]


@pytest.mark.parametrize("total", [None, 10])
def test_constant(total: int | None) -> None:
    rule = schedule("constant", total_images=total)
    assert [rule.factor(n) for n in (0, 5, 10, 10_000)] == [1] * 4


@pytest.mark.parametrize("total", [None, 1400])
@pytest.mark.parametrize("part", list(SCHEDULES), ids=lambda part: part.name)
def test_every_schedule_is_a_factor(part: Part[Any], total: int | None) -> None:
    """Between 0 and 1, also after the end: a negative rate would climb."""
    rule = schedule(part.name, images_per_epoch=7, total_images=total)
    for images in [*range(0, 1400, 50), 1399, 1400, 1407, 10_000]:
        assert 0 <= rule.factor(images) <= 1


def every_tenth(steps: int) -> list[float]:
    """When steps of 0.1 s end, and when the first began."""
    return [0.1 * step for step in range(steps + 1)]


class TestLength:
    def test_epochs(self) -> None:
        published = ScheduleConfig()
        assert published.planned_steps(images_per_epoch=400, images_per_step=1) == 80_000
        assert published.planned_steps(images_per_epoch=3, images_per_step=4) == 150
        assert published.planned_steps(images_per_epoch=7, images_per_step=3) == math.ceil(1400 / 3)

    def test_asked_for(self) -> None:
        assert ScheduleConfig(steps=12).planned_steps(400, 8) == 12
        assert ScheduleConfig(total_epochs=2).planned_steps(7, 4) == 4
        assert ScheduleConfig(minutes=2).planned_steps(400, 1) is None

    def test_minutes_wait_for_a_pace(self) -> None:
        ticks = every_tenth(CALIBRATION_STEPS - 1)
        assert steps_in_time(10, 40, CALIBRATION_STEPS - 1, ticks) is None
        # Enough steps, but 3 s are too small a share of 10 minutes.
        assert steps_in_time(10, 3, 30, every_tenth(30)) is None

    def test_minutes_become_steps(self) -> None:
        # 40 s spent, 560 left, at 0.1 s a step.
        assert steps_in_time(10, 40, 300, every_tenth(50)) == pytest.approx(300 + 5600, abs=1)
        # One slow step at the start does not count.
        ticks = [-30.0, *every_tenth(50)]
        assert steps_in_time(10, 40, 300, ticks) == pytest.approx(300 + 5600, abs=1)

    def test_minutes_whose_later_steps_take_longer(self) -> None:
        # 40 s for 400 steps of 0.1 s; in the mean of all steps one takes 0.4 s: 600 s are 1500.
        found = steps_in_time(10, 40, 400, every_tenth(50), longer=0.3)
        assert found == pytest.approx(1500, abs=1)
        # Calibrated after a share of the steps: 75 of these, which take 7.5 s.
        assert steps_in_time(10, 7.4, 74, every_tenth(50), longer=0.3) is None
        assert steps_in_time(10, 7.6, 76, every_tenth(50), longer=0.3) is not None

    def test_time_is_up_before_there_is_a_pace(self) -> None:
        assert steps_in_time(1, 61, 3, [0.0, 20.0, 40.0, 60.0]) == 3
