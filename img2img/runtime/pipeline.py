"""Computes results ahead in threads, and returns them in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ahead(
    work: Callable[[T], U],
    items: Iterable[T],
    *,
    workers: int,
    bound: int | None = None,
    weight: Callable[[T], int] = lambda _: 0,
    most: int = 0,
) -> Generator[U, None, None]:
    """The results of `work` for each item, in order, computed by threads ahead of time.

    Items are drawn in the caller's thread. An error in `work` is raised when its result would have
    been returned, after all work that has begun is finished.

    Args:
        bound: maximum number of items begun but not yet returned; None: twice the workers.
        weight: returns the weight of an item, in any unit.
        most: maximum total weight of the items begun but not yet returned; a heavier item is
            processed alone.
    """
    bound = 2 * workers if bound is None else bound
    begun: deque[tuple[int, Future[U]]] = deque()
    held = 0
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                needed = weight(item)
                # Not before it is full: each result is handed out while others are being made.
                while begun and (len(begun) >= bound or held + needed > most):
                    freed, future = begun.popleft()
                    held -= freed
                    yield future.result()
                begun.append((needed, pool.submit(work, item)))
                held += needed
            while begun:
                yield begun.popleft()[1].result()
        finally:
            for _, future in begun:
                future.cancel()
