"""Pairs of images, and samples from them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

from img2img.config import DataConfig, Direction
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
from img2img.data.partners import find_pairs
from img2img.data.raster import Raster
from img2img.data.samples import Batch, Cache, Sample, Shuffled, collate, sample_of
from img2img.data.sources import CountProgress, ImageSource, Item, Pair, Side
from img2img.data.turns import TURNS
from img2img.errors import ConfigError, DataError, counted


@dataclass(frozen=True)
class PairedData(DataSet):
    """Pairs: the same thing in both domains.

    Attributes:
        train: the pairs to train on.
    """

    train: list[Pair]

    @classmethod
    def find(cls, data: DataConfig, seed: int, leave_out: Collection[Item] = frozenset()) -> Self:
        """See `DataSet.find`."""
        target = data.direction[-1]
        if getattr(data, target).neighbours:
            raise ConfigError(
                f"data.{target}.neighbours: only the input has neighbours, and {target} is the"
                " target"
            )
        splits = splits_of(data)
        if data.layout == "side_by_side" and not splits["train"].side_by_side and data.root:
            raise ConfigError(
                f"data.layout: it is side_by_side, but {data.root} has"
                f" {splits['train'].where}; use auto for this layout"
            )
        found = find_pairs(splits["train"], data)
        train = [pair for pair in found.pairs if pair not in leave_out]
        where = splits["train"].where
        held = held_out_split(data, splits)
        if held is not None:
            apart = find_pairs(held, data)
            held_out = samples_of(pair for pair in apart.pairs if pair not in leave_out)
            layout = f"{where} (held out: {held.where})"
            problems = found.problems + apart.problems
            proposal = found.proposal or apart.proposal
            unlisted = found.unlisted + apart.unlisted
            facts = problems, proposal, unlisted
            return cls(layout, held_out, True, *facts, samples_of(train)).masked(data)
        train, held_out = divide({pair.name: pair for pair in train}, data, seed)
        chosen = f"{len(held_out)} of them, at random"
        layout = f"{where} ({'none held out' if data.holdout == 'none' else f'held out: {chosen}'})"
        facts = found.problems, found.proposal, found.unlisted
        return cls(layout, held_out, True, *facts, train).masked(data)

    @property
    def items(self) -> Mapping[str, Sequence[Item]]:
        return {"AB": files_of([*self.train, *self.held_out])}

    @property
    def counts(self) -> str:
        return f"{counted(len(self.train), 'pair')} to train{of_volumes(self.train)}"

    @property
    def side_by_side(self) -> bool:
        return any(pair.A.half for pair in self.train)

    @property
    def empty(self) -> bool:
        return not self.train

    def __len__(self) -> int:
        return len(self.train)

    def only(self, index: int) -> Self:
        pair = self.train[index]
        return replace(self, train=[pair], held_out=[pair])

    def with_sources(self, change: Callable[[Side, ImageSource], ImageSource]) -> Self:
        train, held_out = (
            [pair.with_sources(change) for pair in pairs] for pairs in (self.train, self.held_out)
        )
        return replace(self, train=train, held_out=held_out)

    def samples(
        self,
        data: DataConfig,
        seed: int,
        transform: Transform,
        progress: CountProgress | None = None,
    ) -> "PairedSamples":
        return PairedSamples(
            self.train,
            transform,
            seed,
            direction=data.direction,
            cache=data.cache,
            progress=progress,
        )

    def held_out_batches(self, data: DataConfig, transform: Transform) -> Iterator[Batch]:
        for pair in self.held_out:
            A, B = map(transform.center, pair.rasters())
            yield collate([_sample(pair, A, B, data.direction)])


class PairedSamples:
    """Augmented pairs by position.

    A position counts the images seen since the start of training. Every `len(samples)` positions
    are an epoch, which has each pair once, in a new order. The sample at a position depends only on
    the seed and the position.

    Args:
        direction: with `BtoA` the B images of the pairs are the input, so they become `A`.
        cache: `memory` decodes and prepares all pairs at once, and shares them with workers.
        progress: called with (pairs cached, all pairs) while the cache is filled.

    Raises:
        DataError: there are no pairs.
        ImageError: a file cannot be decoded: at once with a cache, otherwise when its sample is
            loaded.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        transform: Transform,
        seed: int,
        *,
        direction: Direction = "AtoB",
        cache: Literal["none", "memory"] = "none",
        progress: CountProgress | None = None,
    ) -> None:
        if not pairs:
            raise DataError("there are no pairs to train on")
        self._pairs = list(pairs)
        self._transform = transform
        self._seed = seed
        self._direction = direction
        self._cache = Cache(self._pairs, self._prepared, progress) if cache == "memory" else None
        self._order = Shuffled(len(self._pairs), seed)

    def __len__(self) -> int:
        """Number of pairs, which is the number of positions per epoch."""
        return len(self._pairs)

    def __getitem__(self, position: int) -> Sample:
        index = self._order[position]
        pair = self._pairs[index]
        A, B = self._cache[index] if self._cache else self._prepared(pair)
        if self._direction == "BtoA":  # the input comes first
            B, A = self._transform.pair(B, A, self._seed, position)
        else:
            A, B = self._transform.pair(A, B, self._seed, position)
        return _sample(pair, A, B, self._direction)

    def _prepared(self, pair: Pair) -> tuple[Raster, ...]:
        with TURNS.at(pair):
            return tuple(map(self._transform.prepare, pair.rasters()))


def _sample(pair: Pair, A: Raster, B: Raster, direction: Direction) -> Sample:
    """Input and output, with their files, as the direction of translation has it."""
    if direction == "AtoB":
        return sample_of(A, B, pair.A.path, pair.B.path)
    return sample_of(B, A, pair.B.path, pair.A.path)
