"""The data set found in folders of images, paired or not."""

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
from img2img.errors import ConfigError, counted
from img2img.images import Domain

AUTO_FRACTION = 0.05

T = TypeVar("T")


@dataclass(frozen=True)
class DataSet(ABC):
    """The images that were found for training and evaluation.

    Attributes:
        layout: where they are, such as `trainA/ + trainB/ (held out: testA/ + testB/)`.
        held_out: images that are never trained on, each an A with a B.
        aligned: whether the A and the B of held-out images are pairs.
        problems: problems that show in the names of files.
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
        """Find the images, and hold some of them out as `data.holdout` says. Nothing is decoded.

        A held-out fraction depends only on the seed and the names, so it hardly changes when images
        are added.

        Args:
            leave_out: items to ignore, before any are held out.

        Raises:
            ConfigError: no folder is given, or what `data.holdout` names does not exist.
            DataError: a folder is missing, or has no images in a known layout.
        """

    @property
    @abstractmethod
    def items(self) -> Mapping[str, Sequence[Item]]:
        """All images and pairs, by the domains that they show: `A`, `B` or `AB`."""

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The domains, `A` or `B`, that have no files because they are generated, such as noise."""
        return {}

    @property
    @abstractmethod
    def counts(self) -> str:
        """The number of training images as text."""

    @property
    def side_by_side(self) -> bool:
        """Whether training images are pairs, side by side."""
        return False

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Whether there are too few images to train on."""

    @abstractmethod
    def __len__(self) -> int:
        """Training samples per epoch."""

    @abstractmethod
    def only(self, index: int) -> Self:
        """A set with one training pair, or one image of each domain, which is also held out."""

    @abstractmethod
    def seen_as(self, domains: Mapping[str, Domain | None]) -> Self:
        """The same set, with the values of its files read by the domains `A` and `B`."""

    def notices(self) -> Iterator[str]:
        """Notices for the user before training."""
        if self.unlisted:
            yield f"left out, not listed in data.pairs: {counted(self.unlisted, 'image')}"

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
        """The held-out images in batches of one, in order, at crop size, without randomness.

        Raises:
            ImageError: a file does not decode.
        """


def held_out_split(
    data: DataConfig, splits: Mapping[str, Folders], *, side_by_side: bool = True
) -> Folders | None:
    """The held-out folders; None if a part of `train` is to be held out, or nothing.

    Args:
        side_by_side: whether `data.holdout` may be a folder of side-by-side images.

    Raises:
        ConfigError: there is no split with the name in `data.holdout`, or it is trained on.
        DataError: `data.holdout` is a folder without images in a known layout.
    """
    match data.holdout:
        case "auto":
            return splits.get("val", splits.get("test"))
        case "val" | "test" as split:
            if split not in splits:
                raise ConfigError(
                    f"data.holdout: there is no split {split!r} beside {splits['train'].where},"
                    f" only {', '.join(splits)}; set it to auto, or to another split"
                )
            return splits[split]
        case Path() as folder:
            declared = data.layout == "side_by_side"
            held = find_splits(folder, side_by_side=side_by_side, declared=declared)["train"]
            trained = [path.resolve() for path in (splits["train"].A, splits["train"].B)]
            for path in (held.A.resolve(), held.B.resolve()):
                if any(path == other or other in path.parents for other in trained):
                    raise ConfigError(
                        f"data.holdout: {path} is one of the training folders;"
                        " choose another folder"
                    )
            return held
        case _:
            return None


def divide(items: Mapping[str, T], data: DataConfig, seed: int) -> tuple[list[T], list[T]]:
    """Split items into those to train on and those to hold out, at least one each if possible.

    Args:
        items: by name; only the names and the seed decide which are held out.
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
