"""Work done ahead in threads, handed out in order."""

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
    """What `work` makes of each item, in order, computed by threads before it is asked for.

    The items are taken in the caller's thread. An error that `work` raises is raised where its
    result would have been handed out; work that has begun is waited for.

    Args:
        bound: most items begun and not yet handed out; None: twice the workers.
        weight: of an item, in any unit.
        most: weight of the items begun and not yet handed out; a heavier one is begun alone.
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
