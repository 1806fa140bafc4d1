"""Work ahead, in order, bounded."""

import threading
import time
from collections.abc import Iterator

import pytest

from img2img.inference.pipeline import ahead


def test_order_is_kept_whatever_takes_longest() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(ahead(work, range(20), workers=4)) == [n * n for n in range(20)]
    assert list(ahead(work, [], workers=4)) == []


def test_no_more_than_the_bound_is_begun() -> None:
    begun = 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return number

    def numbers() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    results = ahead(work, numbers(), workers=2, bound=5)
    for expected in range(10):
        assert next(results) == expected
        assert begun <= expected + 5
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_out_in_its_place() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    results = ahead(work, range(10), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_threads_work_at_the_same_time() -> None:
    """Two that wait for each other would never end, one after the other."""
    meeting = threading.Barrier(2, timeout=20)
    list(ahead(lambda _: meeting.wait(), range(4), workers=2))
