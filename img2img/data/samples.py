"""Samples and batches, and what paired and unpaired samples share."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from img2img.data.raster import Raster
from img2img.data.sources import CountProgress
from img2img.images import Pixels

# Keeps the order of epochs apart from other uses of the same seed.
_ORDER = 0

T = TypeVar("T")


class Sample(NamedTuple):
    """One sample: the same as `Batch`, without the first dimension."""

    A: Tensor
    B: Tensor
    path_A: str
    path_B: str
    valid_A: Tensor | None = None
    valid_B: Tensor | None = None
    label_A: int | None = None
    label_B: int | None = None


def sample_of(A: Raster, B: Raster, path_A: Path, path_B: Path) -> Sample:
    """A sample of two images as they leave the transform."""
    valid_A, valid_B = A.validity(), B.validity()
    return Sample(A.tensor(), B.tensor(), str(path_A), str(path_B), valid_A, valid_B)


@dataclass(frozen=True, eq=False)
class Batch:
    """The input of a training step.

    Attributes:
        A: float32 (N, channels of A, H, W) in [-1, 1]; in paired data the input.
        B: float32 (N, channels of B, s * H, s * W) in [-1, 1]; in paired data the target.
        path_A: the file of each image of `A`.
        path_B: the file of each image of `B`.
        skipped: one message for each file that could not be read and was replaced by another.
        valid_A: float32 (N, 1, H, W), 1 where `A` holds data and 0 elsewhere; None: everywhere.
        valid_B: the same for `B`, with its height and width.
        label_A: int64 (N,), the domain of each image of `A` if there are several domains; None:
            there is one.
        label_B: the same for `B`.
    """

    A: Tensor
    B: Tensor
    path_A: list[str]
    path_B: list[str]
    skipped: tuple[str, ...] = ()
    valid_A: Tensor | None = None
    valid_B: Tensor | None = None
    label_A: Tensor | None = None
    label_B: Tensor | None = None

    def __len__(self) -> int:
        return len(self.path_A)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with a function applied to each of its tensors."""
        changed: dict[str, Any] = {name: change(each) for name, each in self.tensors.items()}
        return replace(self, **changed)

    @property
    def both(self) -> tuple[tuple[Tensor, Tensor | None], tuple[Tensor, Tensor | None]]:
        """`A` and `B`, each with where it holds data."""
        return (self.A, self.valid_A), (self.B, self.valid_B)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that it has, by attribute."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on a device; copying from pinned memory is asynchronous."""
        # Without pinned memory, not waiting gains nothing and is unsafe on some devices.
        return self.map(lambda tensor: tensor.to(device, non_blocking=tensor.is_pinned()))

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory. torch's DataLoader calls this by its name."""
        return self.map(Tensor.pin_memory)


class Samples(Protocol):
    """The samples of a data set: one at each position, counted over the whole training."""

    def __len__(self) -> int:
        """Positions per epoch."""
        ...

    def __getitem__(self, position: int) -> Sample: ...


def collate(samples: Sequence[Sample], skipped: Sequence[str] = ()) -> Batch:
    """Combine samples of one size into a batch; labels must be in all of them or in none."""
    A, B, path_A, path_B, valid_A, valid_B, label_A, label_B = zip(*samples, strict=True)
    return Batch(
        _stacked(A),
        _stacked(B),
        list(path_A),
        list(path_B),
        tuple(skipped),
        _validity(valid_A, A),
        _validity(valid_B, B),
        *(None if part[0] is None else torch.tensor(part) for part in (label_A, label_B)),
    )


def _validity(parts: Sequence[Tensor | None], images: Sequence[Tensor]) -> Tensor | None:
    """None where all samples hold data everywhere."""
    if all(part is None for part in parts):
        return None
    both = zip(parts, images, strict=True)
    return _stacked([torch.ones_like(x[:1]) if part is None else part for part, x in both])


def _stacked(images: Sequence[Tensor]) -> Tensor:
    # By numpy for the reason that `to_tensor` has: a plain copy is not worth torch's threads.
    return torch.from_numpy(np.stack([image.numpy() for image in images]))


class Shuffled:
    """Maps positions to items, in a new order for each epoch.

    An epoch is `count` positions. Its order depends only on the seed and the epoch.
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
    """The prepared images of some items, in one block of memory.

    It is a single tensor because torch shares a tensor with a worker, while arrays would be copied
    for each worker, and many tensors would need many open files.

    Args:
        prepare: returns the images of an item, the same number for each.
        progress: called with (items cached, items).
    """

    def __init__(
        self,
        items: Sequence[T],
        prepare: Callable[[T], tuple[Raster, ...]],
        progress: CountProgress | None,
    ) -> None:
        images: list[Pixels | None] = []
        with ThreadPoolExecutor() as pool:
            for done, prepared in enumerate(pool.map(prepare, items), start=1):
                images.extend(array for raster in prepared for array in raster.packed())
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

    def __getitem__(self, index: int) -> tuple[Raster, ...]:
        first = index * self._each
        arrays = [self._image(i) for i in range(first, first + self._each)]
        return tuple(Raster.unpacked(*arrays[i : i + 3]) for i in range(0, self._each, 3))

    def _image(self, i: int) -> Pixels:
        shape, dtype = self._forms[i]
        data = self._block.numpy()[self._starts[i] : self._starts[i + 1]]
        return data.view(dtype).reshape(shape)
