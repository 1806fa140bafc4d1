"""Work done ahead in threads."""

import threading
import time

import pytest

from img2img.runtime.pipeline import ahead


def test_in_order_whoever_is_first() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (7 * number % 5))
        return number

    assert [*ahead(work, range(40), workers=4)] == [*range(40)]
    assert [*ahead(work, [], workers=4)] == []


@pytest.mark.parametrize(("bound", "weights"), [(5, [1] * 30), (99, [3, 1, 20, 2, 5, 9, 1] * 4)])
def test_no_more_is_begun_than_may_be_held(bound: int, weights: list[int]) -> None:
    """By number and by weight; what is too heavy for any company goes alone."""
    begun: list[int] = []

    def work(weight: int) -> int:
        begun.append(weight)
        return weight

    results = ahead(
        work, iter(weights), workers=3, bound=bound, weight=lambda weight: weight, most=10
    )
    for done, weight in enumerate(results):
        time.sleep(0.002)
        held = begun[done:]  # the one handed out is the first of them
        assert len(held) <= bound + 1
        assert sum(held) - weight <= max(10, *held)
    assert begun == weights


def test_an_error_comes_in_its_turn_and_ends_the_rest() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("3")
        return number

    results = ahead(work, range(1000), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
    assert len(begun) < 20
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]
