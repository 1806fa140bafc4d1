"""Running pictures through a network: batches of one size, several in flight, results in order."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Generic, TypeVar

import numpy as np

from img2img.engine.runner import Runner
from img2img.engine.splitting import SMALLEST_CHECKED, Splitter
from img2img.engine.transfer import Transfer
from img2img.errors import ImageError, Img2ImgError
from img2img.images import Picture, Pixels
from img2img.runtime.devices import is_out_of_memory

K = TypeVar("K")
T = TypeVar("T")

# Maximum pixels and images of a batch, unless the user sets its size. Larger ones gain nothing.
_BATCH_PIXELS, _BATCH_IMAGES = 8 * 512**2, 8
# Maximum batches and pixels that wait for their turn or for an earlier image, if memory allows.
_WAITING_BATCHES, _WAITING_PIXELS = 4, 32 * 2**20
# Number of batches sent to a GPU before the first result is fetched.
_IN_FLIGHT = 3
# Number of pictures prepared, and of results restored, while the network runs.
_AHEAD = 2

Prepare = Callable[[Picture], Pixels]
"""From a picture to the network's input: (H, W, C) uint8, uint16 or float32, of a size that the
network accepts; raises ImageError."""
Restore = Callable[[Picture, Pixels], Picture]
"""From a picture and the network's output to the result; raises ImageError."""


@dataclass(eq=False)
class _Image(Generic[K]):
    """One prepared image, and its result once that is known."""

    key: K
    picture: Picture
    pixels: Pixels
    result: Pixels | Img2ImgError | None = None

    @property
    def area(self) -> int:
        height, width = self.pixels.shape[:2]
        return int(height * width)


class _Queue(Generic[K]):
    """All images of one call that are on their way, at each step from preparing to restoring."""

    def __init__(self) -> None:
        self.preparing: deque[tuple[K, Picture, Future[Pixels]]] = deque()
        self.order: deque[_Image[K]] = deque()
        """Images prepared and not yet restored, in the order in which they came."""
        self.groups: dict[tuple[object, ...], list[_Image[K]]] = {}
        """Images in `order` that wait until a batch is full, by shape and type."""
        self.running: deque[Callable[[], None]] = deque()
        """A function for each running batch that waits for it and sets the images' results."""
        self.restoring: deque[tuple[K, Future[Picture] | Img2ImgError]] = deque()

    @property
    def has_result(self) -> bool:
        """Whether the first image in order has its result."""
        return bool(self.order) and self.order[0].result is not None

    def take_prepared(self) -> _Image[K]:
        """Wait for the image whose preparation began first."""
        key, picture, pixels = self.preparing.popleft()
        try:
            image = _Image(key, picture, pixels.result())
        except Img2ImgError as error:
            image = _Image(key, picture, np.empty((0, 0, 1), np.uint8), error)
        self.order.append(image)
        return image

    def take_restored(self) -> tuple[K, Picture | Img2ImgError]:
        """Wait for the picture whose restoring began first."""
        key, restored = self.restoring.popleft()
        if isinstance(restored, Img2ImgError):
            return key, restored
        try:
            return key, restored.result()
        except Img2ImgError as error:
            return key, error


class Batching:
    """Runs pictures through one runner, or through several in turn.

    Args:
        runners: one for each device, all with the same generator.
        splitter: translates images that are too large to be run whole.
        prepare, restore: the steps before and after the network, in a thread each.
        batch: maximum images in a batch; None: chosen by size. It does not affect results.
        truncate: see `Transfer`.
    """

    def __init__(
        self,
        runners: Sequence[Runner],
        splitter: Splitter,
        *,
        prepare: Prepare,
        restore: Restore,
        batch: int | None = None,
        truncate: bool = False,
    ) -> None:
        self._splitter = splitter
        self._prepare, self._restore = prepare, restore
        self._batch = batch
        self._most_pixels = _BATCH_PIXELS if batch is None else sys.maxsize
        lanes = [(runner, Transfer(runner.device, truncate=truncate)) for runner in runners]
        self._lanes, self._runner = cycle(lanes), runners[0]
        on_gpu = all(runner.device.type == "cuda" for runner in runners)
        self._in_flight = len(runners) * (_IN_FLIGHT if on_gpu else 1)

    def each(
        self, items: Iterable[tuple[K, Picture]]
    ) -> Iterator[tuple[K, Picture | Img2ImgError]]:
        """Translate pictures, each with a key of the caller's, as they come and in order.

        Several are read before the first result is yielded.

        Yields:
            The key, and the result or the error that the picture caused.
        """
        source, queue = iter(items), _Queue[K]()
        exhausted = False
        with ThreadPoolExecutor(1) as restoring, ThreadPoolExecutor(1) as preparing:
            try:
                # One step at a time, the last one possible, so that results leave early.
                while True:
                    if queue.has_result:
                        if len(queue.restoring) == _AHEAD:
                            yield queue.take_restored()
                        image = queue.order.popleft()
                        queue.restoring.append((image.key, self._restoring(image, restoring)))
                        del image
                    elif not exhausted and len(queue.preparing) < _AHEAD:
                        item = next(source, None)
                        exhausted = item is None
                        if item is not None:
                            future = self._started(preparing, item[1], self._prepare, item[1])
                            queue.preparing.append((*item, future))
                            del item, future
                    elif queue.preparing:
                        self._admit(queue)
                    elif queue.groups:
                        self._begin_oldest(queue)
                    elif queue.running:
                        queue.running.popleft()()
                    elif queue.restoring:
                        yield queue.take_restored()
                    else:
                        return
            finally:
                for _, _, future in queue.preparing:
                    future.cancel()

    def _admit(self, queue: _Queue[K]) -> None:
        """Put an image into its group; run each group that is full or has waited long enough."""
        image = queue.take_prepared()
        if image.result is None:
            kind = image.pixels.shape, image.pixels.dtype
            group = queue.groups.setdefault(kind, [])
            group.append(image)
            if len(group) >= self._batch_of(image):
                queue.running.append(self._begin(queue.groups.pop(kind)))
            while queue.groups and self._too_many(queue.order):
                self._begin_oldest(queue)
            while len(queue.running) >= self._in_flight:
                queue.running.popleft()()

    def _begin_oldest(self, queue: _Queue[K]) -> None:
        queue.running.append(self._begin(queue.groups.pop(next(iter(queue.groups)))))

    def _restoring(
        self, image: _Image[K], pool: ThreadPoolExecutor
    ) -> Future[Picture] | Img2ImgError:
        result = image.result
        assert result is not None
        if isinstance(result, Img2ImgError):
            return result
        return self._started(pool, image.picture, self._restore, image.picture, result)

    def _started(
        self, pool: ThreadPoolExecutor, picture: Picture, work: Callable[..., T], *arguments: object
    ) -> Future[T]:
        """Start work in a thread; on a large picture, which is alone anyway, do it at once.

        The C library would keep much of the memory that a thread has freed for that thread.
        """
        if picture.pixels.nbytes <= self._splitter.budget.ahead:
            return pool.submit(work, *arguments)
        done: Future[T] = Future()
        try:
            done.set_result(work(*arguments))
        except Img2ImgError as error:
            done.set_exception(error)
        return done

    def _batch_of(self, image: _Image[K]) -> int:
        """Number of images like this one to run together."""
        if image.area >= SMALLEST_CHECKED or self._splitter.must_split(image.pixels.shape[:2]):
            return 1
        fit = self._splitter.most_pixels(self._runner, deep=image.pixels.dtype != np.uint8)
        most = min(self._most_pixels, fit) // max(1, image.area)
        return max(1, min(self._batch or _BATCH_IMAGES, most))

    def _too_many(self, order: Sequence[_Image[K]]) -> bool:
        """Whether so many images wait that the oldest group must run, full or not."""
        most = _WAITING_BATCHES * max(map(self._batch_of, order))
        return (
            len(order) > most
            or sum(image.area for image in order) > _WAITING_PIXELS
            or sum(image.pixels.nbytes for image in order) > self._splitter.budget.ahead
        )

    def _begin(self, group: Sequence[_Image[K]]) -> Callable[[], None]:
        """Start a batch, and return a function that waits until its images have their results."""
        runner, transfer = next(self._lanes)
        size, dtype = group[0].pixels.shape[:2], group[0].pixels.dtype
        deep = dtype != np.uint8
        try:
            side = self._splitter.side(runner, group[0].pixels) if len(group) == 1 else None
            if side:
                return partial(self._split, group[0], runner, side)
            y = runner.run(transfer.send([image.pixels for image in group]), deep=deep)
            arrived = transfer.fetch(y, dtype)
        except ImageError as error:
            for image in group:
                image.result = error
            return lambda: None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return partial(_finish, group, arrived)
        # Not within `except`: an exception keeps what has been allocated alive.
        if len(group) == 1:
            return partial(self._split, group[0], runner, max(size) // 2)
        return partial(self._halve, group)

    def _halve(self, group: Sequence[_Image[K]]) -> None:
        """Run a batch that did not fit into memory as two halves, now and from here on."""
        half = len(group) // 2
        self._most_pixels = half * group[0].area
        for part in (group[:half], group[half:]):
            self._begin(part)()

    def _split(self, image: _Image[K], runner: Runner, side: int) -> None:
        try:
            image.result = self._splitter.translate(runner, image.pixels, side)
        except ImageError as error:
            image.result = error


def _finish(group: Sequence[_Image[K]], arrived: Callable[[], list[Pixels]]) -> None:
    for image, result in zip(group, arrived(), strict=True):
        image.result = result
