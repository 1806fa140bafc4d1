"""Batches of prepared samples, in a given order, from as many processes as asked for."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from img2img.data.augment import PairTransform
from img2img.data.sources import CountProgress, Pair
from img2img.errors import DataError, Img2ImgError
from img2img.images import Pixels, to_tensor

Direction = Literal["AtoB", "BtoA"]

# Input, output, and the paths of their files.
Sample = tuple[Tensor, Tensor, str, str]

# Keeps the order of epochs apart from other uses of the same seed.
_ORDER = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """What a training step is given.

    Attributes:
        A: the networks' input, float32 (n, 3, height, width) in [-1, 1].
        B: the wanted output, of the same form.
        path_A: the file of each image of `A`.
        path_B: the file of each image of `B`.
    """

    A: Tensor
    B: Tensor
    path_A: list[str]
    path_B: list[str]

    def __len__(self) -> int:
        return len(self.path_A)

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on a device; the copy of pinned memory does not wait."""

        def move(images: Tensor) -> Tensor:
            # Without pinned memory, not waiting gains nothing and is unsafe on some devices.
            return images.to(device, non_blocking=images.is_pinned())

        return replace(self, A=move(self.A), B=move(self.B))

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory. torch's DataLoader calls this by its name."""
        return replace(self, A=self.A.pin_memory(), B=self.B.pin_memory())


class Samples(Protocol):
    """What batches are made of: one sample at each position, counted over the whole training."""

    def __getitem__(self, position: int) -> Sample: ...


class PairedDataset:
    """Augmented pairs by position.

    A position counts the images seen since the start of training. Each run of `len(dataset)`
    positions is an epoch and shows every pair once, in an order of its own. What is at a position
    depends on the seed and the position alone.

    Args:
        direction: with `BtoA` the pairs' B images are the input: they come first, as `A`.
        cache: `memory` decodes and prepares every pair now, and shares the result with workers.
        progress: called with (pairs cached, pairs) while the cache is filled.

    Raises:
        DataError: there is no pair.
        ImageError: a file does not decode (here with a cache, else when it is come to).
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        transform: PairTransform,
        seed: int,
        *,
        direction: Direction = "AtoB",
        cache: Literal["none", "memory"] = "none",
        progress: CountProgress | None = None,
    ) -> None:
        if not pairs:
            raise DataError("there is no pair to train on")
        self._pairs = list(pairs)
        self._transform = transform
        self._seed = seed
        self._direction = direction
        self._cache = _Cache(self._pairs, self._prepared, progress) if cache == "memory" else None
        self._order: tuple[int, np.ndarray[Any, Any]] | None = None

    def __len__(self) -> int:
        """Pairs, which is positions an epoch."""
        return len(self._pairs)

    def __getitem__(self, position: int) -> Sample:
        index = self._index(position)
        A, B = self._cache[index] if self._cache else self._prepared(self._pairs[index])
        A, B, path_A, path_B = _directed(self._pairs[index], A, B, self._direction)
        A, B = self._transform.random(A, B, self._seed, position)
        return to_tensor(A), to_tensor(B), path_A, path_B

    def _prepared(self, pair: Pair) -> tuple[Pixels, Pixels]:
        A, B = pair.read()
        return self._transform.prepare(A.composited()), self._transform.prepare(B.composited())

    def _index(self, position: int) -> int:
        epoch, within = divmod(position, len(self._pairs))
        if self._order is None or self._order[0] != epoch:
            random = np.random.default_rng((self._seed, _ORDER, epoch))
            self._order = epoch, random.permutation(len(self._pairs))
        return int(self._order[1][within])


class _Cache:
    """Prepared pairs in one block of memory.

    One tensor, because torch moves a tensor into shared memory when a worker is started with it,
    while arrays would be copied for each worker, and many tensors would be many open files.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        prepare: Callable[[Pair], tuple[Pixels, Pixels]],
        progress: CountProgress | None,
    ) -> None:
        images: list[Pixels | None] = []
        with ThreadPoolExecutor() as pool:
            for done, prepared in enumerate(pool.map(prepare, pairs), start=1):
                images.extend(prepared)
                if progress:
                    progress(done, len(pairs))
        self._forms = [(image.shape, image.dtype) for image in images if image is not None]
        sizes = [image.nbytes for image in images if image is not None]
        self._starts = np.cumsum([0, *sizes])
        self._block = torch.empty(int(self._starts[-1]), dtype=torch.uint8)
        block = self._block.numpy()
        for i, image in enumerate(images):
            assert image is not None
            block[self._starts[i] : self._starts[i + 1]] = image.reshape(-1).view(np.uint8)
            images[i] = None  # freed one by one: the set is never in memory twice

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        return self._image(2 * index), self._image(2 * index + 1)

    def _image(self, i: int) -> Pixels:
        shape, dtype = self._forms[i]
        data = self._block.numpy()[self._starts[i] : self._starts[i + 1]]
        return data.view(dtype).reshape(shape)


def batches(
    samples: Samples,
    batch_size: int,
    start: int,
    stop: int | None = None,
    *,
    workers: int = 0,
    pin_memory: bool = False,
    start_method: str | None = None,
) -> Iterator[Batch]:
    """Batches of the samples at consecutive positions.

    The batches are the same whatever the number of workers. Closing the iterator, or dropping it,
    ends them.

    Args:
        start: the first position.
        stop: the position to end before, with a smaller batch if need be; None: never.
        workers: processes that load; 0 loads in this one.
        pin_memory: give batches in page-locked memory, for the way to a GPU.
        start_method: how workers are started (`fork`, `spawn`, `forkserver`); None: the platform's.

    Raises:
        Img2ImgError: a sample cannot be made; the message names the file.
    """
    loader: DataLoader[Any] = DataLoader(
        _Loaded(samples),  # type: ignore[arg-type]
        sampler=_Positions(batch_size, start, stop),
        batch_size=None,  # the positions of a batch are one item of the sampler
        collate_fn=_as_it_is,
        num_workers=workers,
        pin_memory=pin_memory,
        multiprocessing_context=start_method if workers else None,
        worker_init_fn=_prepare_worker,
        # It draws a seed for the workers, which must not move the training's random numbers.
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, Img2ImgError):
            raise batch
        yield batch


def held_out_batches(
    pairs: Sequence[Pair],
    transform: PairTransform,
    direction: Direction = "AtoB",
    batch_size: int = 1,
) -> Iterator[Batch]:
    """Every pair once, in order and without chance, at the crop size.

    Raises:
        ImageError: a file does not decode.
    """
    for start in range(0, len(pairs), batch_size):
        samples = []
        for pair in pairs[start : start + batch_size]:
            A, B = (transform.center(image.composited()) for image in pair.read())
            A, B, path_A, path_B = _directed(pair, A, B, direction)
            samples.append((to_tensor(A), to_tensor(B), path_A, path_B))
        yield _collated(samples)


def resolve_workers(workers: int | Literal["auto"], device_type: str) -> int:
    """How many processes load images.

    `auto` keeps a GPU fed without taking every core; where the training itself runs on the CPU,
    loading gets a small share of it.
    """
    if workers != "auto":
        return workers
    try:
        cores = len(os.sched_getaffinity(0))  # what a container or a scheduler leaves to us
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    share = {"cuda": cores - 1, "mps": cores // 2}.get(device_type, cores // 4)
    return max(0, min(8, share))


class _Positions:
    """The positions of each batch, in order."""

    def __init__(self, batch_size: int, start: int, stop: int | None) -> None:
        self._batch_size, self._start, self._stop = batch_size, start, stop

    def __iter__(self) -> Iterator[list[int]]:
        for first in count(self._start, self._batch_size):
            last = first + self._batch_size
            if self._stop is not None:
                last = min(last, self._stop)
            if last <= first:
                return
            yield list(range(first, last))


class _Loaded:
    """Whole batches by their positions.

    A user's error is handed over as a value: raised in a worker it would come out wrapped in the
    worker's traceback.
    """

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __getitem__(self, positions: Sequence[int]) -> Batch | Img2ImgError:
        try:
            return _collated([self._samples[position] for position in positions])
        except Img2ImgError as error:
            return error


def _directed(
    pair: Pair, A: Pixels, B: Pixels, direction: Direction
) -> tuple[Pixels, Pixels, str, str]:
    """Input and output, with their files, as the direction of translation has it."""
    path_A, path_B = str(pair.A.path), str(pair.B.path)
    return (A, B, path_A, path_B) if direction == "AtoB" else (B, A, path_B, path_A)


def _collated(samples: Sequence[Sample]) -> Batch:
    A, B, path_A, path_B = zip(*samples, strict=True)
    return Batch(_stacked(A), _stacked(B), list(path_A), list(path_B))


def _stacked(images: Sequence[Tensor]) -> Tensor:
    # By numpy for the reason that `to_tensor` has: a plain copy is not worth torch's threads.
    return torch.from_numpy(np.stack([image.numpy() for image in images]))


def _as_it_is(batch: Any) -> Any:
    return batch


def _prepare_worker(_: int) -> None:
    """Ctrl-C is the main process's to handle; and OpenCV's thread pool does not survive a fork."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
