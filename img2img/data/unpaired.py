"""Two sets of images without partners, and samples from them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from img2img.config import DataConfig, PairingConfig
from img2img.data.augment import Transform
from img2img.data.dataset import (
    DataSet,
    divide,
    files_of,
    held_out_split,
    of_volumes,
    samples_of,
    splits_of,
)
from img2img.data.layouts import Folders, images_by_name
from img2img.data.partners import Partners, find_pairs, sources_of_inputs
from img2img.data.problems import Problem
from img2img.data.raster import Raster
from img2img.data.samples import Batch, Cache, Sample, Shuffled, collate, sample_of
from img2img.data.sources import CountProgress, ImageSource, Item, Pair, Side
from img2img.data.turns import TURNS
from img2img.errors import ConfigError, DataError, counted

# A domain with so many times fewer images than the other is worth a word.
UNEQUAL = 10
# Keeps the draw of partners apart from other uses of the same seed.
_PARTNER = 2


@dataclass(frozen=True)
class UnpairedData(DataSet):
    """Images of two domains, of any size and number.

    Attributes:
        train_A: the images of domain A to train on.
        train_B: those of domain B.
    """

    train_A: list[ImageSource]
    train_B: list[ImageSource]

    @classmethod
    def find(cls, data: DataConfig, seed: int, leave_out: Collection[Item] = frozenset()) -> Self:
        """See `DataSet.find`. Held-out images are paired by name if `data.holdout_aligned`."""
        splits = splits_of(data, side_by_side=False)
        if not data.holdout_aligned:
            _refuse_pairing(data)
        train = splits["train"]
        A, B, problems = _sources(train, data, leave_out)
        held = held_out_split(data, splits, side_by_side=data.holdout_aligned)
        if held is None:
            if data.holdout_aligned:
                raise ConfigError(
                    "data.holdout_aligned: needs held-out pairs, but these images are held out"
                    " from unpaired training images; set data.holdout to a folder of pairs"
                )
            train_A, held_A = divide(A, data, seed)
            train_B, held_B = divide(B, data, seed)
            if not (held_A and held_B):  # one without the other is of no use
                train_A, held_A = samples_of(A.values()), list[ImageSource]()
                train_B, held_B = samples_of(B.values()), list[ImageSource]()
            chosen = f"{len(held_A)} of A and {len(held_B)} of B, at random"
            word = f"held out: {chosen}" if held_A else "none held out"
            layout = f"{train.where} ({word})"
            both = _combined(held_A, held_B)
            return cls(layout, both, False, problems, None, 0, train_A, train_B).masked(data)
        layout = f"{train.where} (held out: {held.where})"
        found = Partners([])
        if data.holdout_aligned:
            found = find_pairs(held, data)
            held_out = samples_of(pair for pair in found.pairs if pair not in leave_out)
            problems += found.problems
        else:
            *apart, missing = _sources(held, data, leave_out)
            held_out = _combined(*(samples_of(sources.values()) for sources in apart))
            problems += missing
        trained = samples_of(A.values()), samples_of(B.values())
        facts = data.holdout_aligned, problems, found.proposal, found.unlisted
        return cls(layout, held_out, *facts, *trained).masked(data)

    @property
    def items(self) -> Mapping[str, Sequence[Item]]:
        if self.aligned:
            A, B = files_of(self.train_A), files_of(self.train_B)
            return {"A": A, "B": B, "AB": files_of(self.held_out)}
        return {
            "A": files_of([*self.train_A, *(pair.A for pair in self.held_out)]),
            "B": files_of([*self.train_B, *(pair.B for pair in self.held_out)]),
        }

    @property
    def counts(self) -> str:
        volumes = of_volumes([*self.train_A, *self.train_B])
        counts = f"{counted(len(self.train_A), 'training image')} of A and {len(self.train_B)} of B"
        return counts + volumes

    @property
    def empty(self) -> bool:
        return not (self.train_A and self.train_B)

    def __len__(self) -> int:
        return max(len(self.train_A), len(self.train_B))

    def only(self, index: int) -> Self:
        A, B = self.train_A[index % len(self.train_A)], self.train_B[index % len(self.train_B)]
        return replace(self, train_A=[A], train_B=[B], held_out=[Pair("", A, B)], aligned=False)

    def with_sources(self, change: Callable[[Side, ImageSource], ImageSource]) -> Self:
        train_A = [change("A", source) for source in self.train_A]
        train_B = [change("B", source) for source in self.train_B]
        held_out = [pair.with_sources(change) for pair in self.held_out]
        return replace(self, train_A=train_A, train_B=train_B, held_out=held_out)

    def notices(self) -> Iterator[str]:
        yield from super().notices()
        fewer, more = sorted((len(self.train_A), len(self.train_B)))
        if more >= UNEQUAL * fewer:
            domain = "A" if len(self.train_A) == fewer else "B"
            yield (
                f"domain {domain} has only {counted(fewer, 'image')}, the other {more}: each is"
                f" seen {round(more / fewer)} times per epoch, so the critic may memorise them"
            )

    def samples(
        self,
        data: DataConfig,
        seed: int,
        transform: Transform,
        progress: CountProgress | None = None,
    ) -> "UnpairedSamples":
        return UnpairedSamples(
            self.train_A, self.train_B, transform, seed, cache=data.cache, progress=progress
        )

    def held_out_batches(self, data: DataConfig, transform: Transform) -> Iterator[Batch]:
        for pair in self.held_out:
            A, B = (transform.center(source.raster()) for source in (pair.A, pair.B))
            yield collate([sample_of(A, B, pair.A.path, pair.B.path)])


def _refuse_pairing(data: DataConfig) -> None:
    """Refuse settings for pairs, which would have no effect."""
    plain = PairingConfig()
    for key in PairingConfig.model_fields:
        if getattr(data, key) != getattr(plain, key):
            raise ConfigError(
                f"data.{key}: applies only to pairs, that is to pix2pix and to held-out pairs"
                " (data.holdout_aligned), but these images are unpaired"
            )


def _sources(
    folders: Folders, data: DataConfig, leave_out: Collection[Item]
) -> tuple[dict[str, ImageSource], dict[str, ImageSource], list[Problem]]:
    """The images of A and of B by name, and those without a partner in another input."""
    files_A, files_B = (
        [file for files in images_by_name(folder).values() for file in files]
        for folder in (folders.A, folders.B)
    )
    A, problems = sources_of_inputs(folders, data, files_A)
    B = {file: ImageSource.of(file, data.B) for file in files_B}
    named_A, named_B = (
        {
            file.relative_to(folder).as_posix(): source
            for file, source in sources.items()
            if source not in leave_out
        }
        for folder, sources in ((folders.A, A), (folders.B, B))
    )
    return named_A, named_B, problems


def _combined(A: Sequence[ImageSource], B: Sequence[ImageSource]) -> list[Pair]:
    """Every image at least once, each with one of the other domain."""
    if not (A and B):
        return []
    count = max(len(A), len(B))
    return [Pair(str(i), A[i % len(A)], B[i % len(B)]) for i in range(count)]


class UnpairedSamples:
    """Augmented images of two domains by position.

    An epoch has as many positions as the larger domain has images. It has each image of A once, or
    as often as necessary, in a new order, each with a random image of B, as published (Zhu et al.
    2017). The sample at a position depends only on the seed and the position.

    Args:
        cache: `memory` decodes and prepares all images at once, and shares them with workers.
        progress: called with (images cached, all images) while the cache is filled.

    Raises:
        DataError: a domain has no images.
        ImageError: a file cannot be decoded: at once with a cache, otherwise when its sample is
            loaded.
    """

    def __init__(
        self,
        A: Sequence[ImageSource],
        B: Sequence[ImageSource],
        transform: Transform,
        seed: int,
        *,
        cache: Literal["none", "memory"] = "none",
        progress: CountProgress | None = None,
    ) -> None:
        if not (A and B):
            raise DataError(f"there are no images of domain {'B' if A else 'A'} to train on")
        self._images = [*A, *B]
        self._counts = len(A), len(B)
        self._transform = transform
        self._seed = seed
        self._cache = Cache(self._images, self._prepared, progress) if cache == "memory" else None
        self._order = Shuffled(max(self._counts), seed)

    def __len__(self) -> int:
        """Number of images in the larger domain, which is the number of positions per epoch."""
        return max(self._counts)

    def __getitem__(self, position: int) -> Sample:
        in_A, in_B = self._counts
        random = np.random.default_rng((self._seed, _PARTNER, position))
        A = self._order[position] % in_A
        B = in_A + int(random.integers(in_B))
        images: list[Raster] = []
        for domain, index in enumerate((A, B)):
            (image,) = self._cache[index] if self._cache else self._prepared(self._images[index])
            image = self._transform.single(image, self._seed, position, domain)
            images.append(image)
        path_A, path_B = self._images[A].path, self._images[B].path
        return sample_of(images[0], images[1], path_A, path_B)

    def _prepared(self, source: ImageSource) -> tuple[Raster]:
        with TURNS.at(source):
            return (self._transform.prepare(source.raster()),)
