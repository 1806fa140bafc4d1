"""What samples and batches are, and what makers of samples share."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from img2img.data.sources import CountProgress
from img2img.images import Pixels

Direction = Literal["AtoB", "BtoA"]

# Input, output, and the paths of their files.
Sample = tuple[Tensor, Tensor, str, str]

# Keeps the order of epochs apart from other uses of the same seed.
_ORDER = 0

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Batch:
    """What a training step is given.

    Attributes:
        A: float32 (n, 3, height, width) in [-1, 1]: of pairs the networks' input.
        B: of the same form: of pairs the wanted output.
        path_A: the file of each image of `A`.
        path_B: the file of each image of `B`.
        skipped: what was wrong with files that others were taken for.
    """

    A: Tensor
    B: Tensor
    path_A: list[str]
    path_B: list[str]
    skipped: tuple[str, ...] = ()

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

    def __len__(self) -> int:
        """Positions an epoch."""
        ...

    def __getitem__(self, position: int) -> Sample: ...


def collate(samples: Sequence[Sample], skipped: Sequence[str] = ()) -> Batch:
    """Samples of one size as a batch."""
    A, B, path_A, path_B = zip(*samples, strict=True)
    return Batch(_stacked(A), _stacked(B), list(path_A), list(path_B), tuple(skipped))


def _stacked(images: Sequence[Tensor]) -> Tensor:
    # By numpy for the reason that `to_tensor` has: a plain copy is not worth torch's threads.
    return torch.from_numpy(np.stack([image.numpy() for image in images]))


class Shuffled:
    """Which item is at a position.

    Each run of `count` positions, an epoch, has an order of its own, which depends on the seed and
    the epoch alone.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._seed = seed
        self._order: tuple[int, np.ndarray[Any, Any]] | None = None

    def __getitem__(self, position: int) -> int:
        epoch, within = divmod(position, self.count)
        if self._order is None or self._order[0] != epoch:
            random = np.random.default_rng((self._seed, _ORDER, epoch))
            self._order = epoch, random.permutation(self.count)
        return int(self._order[1][within])


class Cache(Generic[T]):
    """The prepared images of some items in one block of memory.

    One tensor, because torch moves a tensor into shared memory when a worker is started with it,
    while arrays would be copied for each worker, and many tensors would be many open files.

    Args:
        prepare: the images of an item, of every item as many.
        progress: called with (items cached, items).
    """

    def __init__(
        self,
        items: Sequence[T],
        prepare: Callable[[T], tuple[Pixels, ...]],
        progress: CountProgress | None,
    ) -> None:
        images: list[Pixels | None] = []
        with ThreadPoolExecutor() as pool:
            for done, prepared in enumerate(pool.map(prepare, items), start=1):
                images.extend(prepared)
                if progress:
                    progress(done, len(items))
        self._each = len(images) // len(items)
        self._forms = [(image.shape, image.dtype) for image in images if image is not None]
        sizes = [image.nbytes for image in images if image is not None]
        self._starts = np.cumsum([0, *sizes])
        self._block = torch.empty(int(self._starts[-1]), dtype=torch.uint8)
        block = self._block.numpy()
        for i, image in enumerate(images):
            assert image is not None
            block[self._starts[i] : self._starts[i + 1]] = image.reshape(-1).view(np.uint8)
            images[i] = None  # freed one by one: the set is never in memory twice

    def __getitem__(self, index: int) -> tuple[Pixels, ...]:
        first = index * self._each
        return tuple(self._image(i) for i in range(first, first + self._each))

    def _image(self, i: int) -> Pixels:
        shape, dtype = self._forms[i]
        data = self._block.numpy()[self._starts[i] : self._starts[i + 1]]
        return data.view(dtype).reshape(shape)
