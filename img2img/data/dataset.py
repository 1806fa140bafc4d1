"""What is found in folders of images to train on, whether the images are paired or not."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self, TypeVar

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.layouts import Folders, find_splits
from img2img.data.partners import Proposal
from img2img.data.problems import Problem
from img2img.data.samples import Batch, Samples
from img2img.data.sources import CountProgress, Item, Pair
from img2img.errors import ConfigError
from img2img.images import Domain

AUTO_FRACTION = 0.05

T = TypeVar("T")


@dataclass(frozen=True)
class DataSet(ABC):
    """What was found.

    Attributes:
        layout: one phrase that says where, such as `trainA/ + trainB/ (held out: testA/ + testB/)`.
        held_out: what is never trained on, an A beside a B.
        aligned: whether the A and the B of what is held out show the same thing.
        problems: what is wrong with some of the files, as far as their names tell.
        proposal: a way to match names that finds more pairs.
        unlisted: images that `data.pairs` leaves out.
    """

    layout: str
    held_out: list[Pair]
    aligned: bool
    problems: list[Problem]
    proposal: Proposal | None
    unlisted: int

    @classmethod
    @abstractmethod
    def find(cls, data: DataConfig, seed: int, leave_out: Collection[Item] = frozenset()) -> Self:
        """Find the images and hold some of them out, as `data.holdout` says. Nothing is decoded.

        A held-out fraction depends on the seed and on the names alone, so that it hardly changes
        when images are added.

        Args:
            leave_out: what to pass over, before any are held out.

        Raises:
            ConfigError: no folder is given, or what `data.holdout` names is not there.
            DataError: a folder is missing, or holds no images in a known layout.
        """

    @property
    @abstractmethod
    def items(self) -> Mapping[str, Sequence[Item]]:
        """All there is to decode, by the domains that an item shows: `A`, `B` or `AB`."""

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The domains, `A` or `B`, that no files show: what is generated, such as noise."""
        return {}

    @property
    @abstractmethod
    def counts(self) -> str:
        """How much there is to train on, in words."""

    @property
    def side_by_side(self) -> bool:
        """Whether images are trained on that hold both domains."""
        return False

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Whether there is too little to train on at all."""

    @abstractmethod
    def __len__(self) -> int:
        """Training samples an epoch."""

    @abstractmethod
    def only(self, index: int) -> Self:
        """A set of one training pair, or one image a domain, which it holds out as well."""

    @abstractmethod
    def seen_as(self, domains: Mapping[str, Domain | None]) -> Self:
        """The same set, the values of its files taken as those of their domain, `A` or `B`."""

    def notices(self) -> Iterator[str]:
        """What a person should know before training on it."""
        if self.unlisted:
            yield f"{self.unlisted} images that data.pairs does not list are left out"

    @abstractmethod
    def samples(
        self,
        data: DataConfig,
        seed: int,
        transform: Transform,
        progress: CountProgress | None = None,
    ) -> Samples:
        """Augmented samples for training, by position; see `PairedSamples`, `UnpairedSamples`."""

    @abstractmethod
    def held_out_batches(self, data: DataConfig, transform: Transform) -> Iterator[Batch]:
        """What is held out, one by one, in order and without chance, at the crop size.

        Raises:
            ImageError: a file does not decode.
        """


def held_out_split(
    data: DataConfig, splits: Mapping[str, Folders], *, side_by_side: bool = True
) -> Folders | None:
    """The folders that are held out; None where a part of `train` is to be, or nothing.

    Args:
        side_by_side: whether `data.holdout` may be a folder of images that hold both domains.

    Raises:
        ConfigError: there is no split of the name that `data.holdout` gives, or it is trained on.
        DataError: `data.holdout` is a folder in which nothing is found.
    """
    match data.holdout:
        case "auto":
            return splits.get("val", splits.get("test"))
        case "val" | "test" as split:
            if split not in splits:
                raise ConfigError(
                    f"data.holdout: there is no {split!r} beside {splits['train'].where}, only"
                    f" {', '.join(splits)}; auto takes one of these"
                )
            return splits[split]
        case Path() as folder:
            declared = data.layout == "side_by_side"
            held = find_splits(folder, side_by_side=side_by_side, declared=declared)["train"]
            trained = [path.resolve() for path in (splits["train"].A, splits["train"].B)]
            for path in (held.A.resolve(), held.B.resolve()):
                if any(path == other or other in path.parents for other in trained):
                    raise ConfigError(f"data.holdout: {path} is one of the training folders")
            return held
        case _:
            return None


def divide(items: Mapping[str, T], data: DataConfig, seed: int) -> tuple[list[T], list[T]]:
    """What to train on, and the fraction to hold out; at least one each where there are two.

    Args:
        items: by name, which decides with the seed alone what is held out.
    """
    if data.holdout == "none":
        return list(items.values()), []
    fraction = data.holdout if isinstance(data.holdout, float) else AUTO_FRACTION
    count = min(max(1, round(fraction * len(items))), len(items) - 1) if len(items) > 1 else 0

    def lot(name: str) -> bytes:
        return sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()

    chosen = set(sorted(items, key=lot)[:count])
    kept = [item for name, item in items.items() if name not in chosen]
    return kept, [items[name] for name in items if name in chosen]
