"""Pixels through a generator: batches of one size, several in flight, results in order."""

import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from img2img.engine.runner import Runner
from img2img.engine.splitting import ASKED_ABOUT, Splitter
from img2img.engine.transfer import Transfer
from img2img.errors import ImageError
from img2img.images import Pixels
from img2img.runtime.devices import is_out_of_memory

K = TypeVar("K")
Kind = tuple[tuple[int, ...], DTypeLike]

# A batch holds as many images as make up this many pixels, if not told otherwise, and at most so
# many: beyond, a network gains nothing.
_BATCH_PIXELS, _BATCH_IMAGES = 8 * 512**2, 8
# What may wait, before its turn or for an earlier image: batches, and pixels, where memory allows.
_WAITING_BATCHES, _WAITING_PIXELS = 4, 32 * 2**20
# Batches that a GPU is given before the first is asked back.
_IN_FLIGHT = 3


@dataclass(eq=False)
class _Image(Generic[K]):
    """One image on its way."""

    key: K
    pixels: Pixels
    result: Pixels | ImageError | None = None

    @property
    def area(self) -> int:
        height, width = self.pixels.shape[:2]
        return int(height * width)


class Engine:
    """Runs images through one runner or, turn by turn, through several.

    Args:
        runners: one a device, all of one generator.
        splitter: for images that are too large to be run whole.
        batch: images to run together; None: what suits their size. It does not change results.
        truncate: as in `Transfer`.
    """

    def __init__(
        self,
        runners: Sequence[Runner],
        splitter: Splitter,
        *,
        batch: int | None = None,
        truncate: bool = False,
    ) -> None:
        self._splitter = splitter
        self._batch = batch
        self._most_pixels = _BATCH_PIXELS if batch is None else sys.maxsize
        lanes = [(runner, Transfer(runner.device, truncate=truncate)) for runner in runners]
        self._lanes, self._runner = cycle(lanes), runners[0]
        on_gpu = all(runner.device.type == "cuda" for runner in runners)
        self._in_flight = len(runners) * (_IN_FLIGHT if on_gpu else 1)

    def each(
        self, items: Iterable[tuple[K, Pixels | ImageError]]
    ) -> Iterator[tuple[K, Pixels | ImageError]]:
        """Translate pixels as they come, each with a key of the caller's, in order.

        Several are taken before the first is given.

        Args:
            items: uint8, uint16 or float32 (H, W, 3), of sizes that the generator takes; or what
                has gone wrong before, which is handed on in its turn.

        Yields:
            The same type and size, or why an image could not be translated.
        """
        order: deque[_Image[K]] = deque()
        groups: dict[Kind, list[_Image[K]]] = {}
        begun: deque[Callable[[], None]] = deque()
        for key, pixels in items:
            if isinstance(pixels, ImageError):
                order.append(_Image(key, np.empty((0, 0, 3), np.uint8), pixels))
                yield from _ready(order)
                continue
            image = _Image(key, pixels)
            order.append(image)
            kind = pixels.shape, pixels.dtype
            group = groups.setdefault(kind, [])
            group.append(image)
            if len(group) >= self._batch_of(image):
                begun.append(self._begin(groups.pop(kind)))
            while groups and self._too_many(order):
                begun.append(self._begin(groups.pop(next(iter(groups)))))
            while len(begun) >= self._in_flight:
                begun.popleft()()
            yield from _ready(order)
        begun.extend([self._begin(group) for group in groups.values()])
        for finish in begun:
            finish()
            yield from _ready(order)

    def _batch_of(self, image: _Image[K]) -> int:
        """How many images like this one to run together."""
        if image.area >= ASKED_ABOUT or self._splitter.must_split(image.pixels.shape[:2]):
            return 1
        fit = self._splitter.most_pixels(self._runner, deep=image.pixels.dtype != np.uint8)
        most = min(self._most_pixels, fit) // max(1, image.area)
        return max(1, min(self._batch or _BATCH_IMAGES, most))

    def _too_many(self, order: Collection[_Image[K]]) -> bool:
        """Whether so much waits that the oldest group has to be run as it is."""
        most = _WAITING_BATCHES * max(map(self._batch_of, order))
        return (
            len(order) > most
            or sum(image.area for image in order) > _WAITING_PIXELS
            or sum(image.pixels.nbytes for image in order) > self._splitter.budget.ahead
        )

    def _begin(self, group: Sequence[_Image[K]]) -> Callable[[], None]:
        """Run a batch; what is returned waits until the images have their results."""
        runner, transfer = next(self._lanes)
        size, dtype = group[0].pixels.shape[:2], group[0].pixels.dtype
        deep = dtype != np.uint8
        try:
            side = self._splitter.side(runner, group[0].pixels) if len(group) == 1 else None
            if side:
                return partial(self._cut, group[0], runner, side)
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
        # Not among the exceptions, which hold on to what has been allocated.
        if len(group) == 1:
            return partial(self._cut, group[0], runner, max(size) // 2)
        return partial(self._halve, group)

    def _halve(self, group: Sequence[_Image[K]]) -> None:
        """What did not fit into memory: half of it at a time, now and in future."""
        half = len(group) // 2
        self._most_pixels = half * group[0].area
        for part in (group[:half], group[half:]):
            self._begin(part)()

    def _cut(self, image: _Image[K], runner: Runner, side: int) -> None:
        try:
            image.result = self._splitter.translate(runner, image.pixels, side)
        except ImageError as error:
            image.result = error


def _finish(group: Sequence[_Image[K]], arrived: Callable[[], list[Pixels]]) -> None:
    for image, result in zip(group, arrived(), strict=True):
        image.result = result


def _ready(order: deque[_Image[K]]) -> Iterator[tuple[K, Pixels | ImageError]]:
    """The results at the front, as far as they are there."""
    while order and order[0].result is not None:
        image = order.popleft()
        assert image.result is not None
        yield image.key, image.result
