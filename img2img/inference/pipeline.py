"""Work done ahead in threads, handed out in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ahead(
    work: Callable[[T], U], items: Iterable[T], *, workers: int, bound: int | None = None
) -> Iterator[U]:
    """What `work` makes of each item, in order, computed by threads before it is asked for.

    The items are taken in the caller's thread. An error that `work` raises is raised where its
    result would have been handed out; work that has begun is waited for.

    Args:
        bound: most items begun and not yet handed out; None: twice the workers.
    """
    bound = 2 * workers if bound is None else bound
    begun: deque[Future[U]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                begun.append(pool.submit(work, item))
                # Not before it is full: each result is handed out while others are being made.
                if len(begun) >= bound:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
