"""The data set found in folders of images, paired or not."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self, TypeVar

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.layouts import (
    Folders,
    find_splits,
    find_splits_of_inputs,
    find_splits_of_two,
)
from img2img.data.masks import instances_of, masks_of
from img2img.data.partners import Proposal
from img2img.data.problems import Problem
from img2img.data.samples import Batch, Samples
from img2img.data.sources import CountProgress, ImageSource, Item, Pair, Side
from img2img.errors import ConfigError, counted
from img2img.images import Domain

AUTO_FRACTION = 0.05

It = TypeVar("It", ImageSource, Pair)


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
        """All images and pairs, by the domains that they show: `A`, `B` or `AB`; volumes whole."""

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
    def with_sources(self, change: Callable[[Side, ImageSource], ImageSource]) -> Self:
        """The same set, with a function of its domain, `A` or `B`, applied to each image."""

    def seen_as(self, domains: Mapping[str, Domain | None]) -> Self:
        """The same set, with the values of its files read by the domains `A` and `B`."""
        return self.with_sources(lambda side, source: source.seen_as(domains[side]))

    def masked(self, data: DataConfig) -> Self:
        """The same set, with the masks, instance maps and nodata values that are configured.

        Raises:
            ConfigError: no image has a mask, or an instance map.
            DataError: the folder of masks has none.
        """
        nodata = {"A": data.A.nodata, "B": data.B.nodata}
        instances = data.A.instances or data.B.instances
        if data.mask is None and instances is None and nodata == {"A": None, "B": None}:
            return self
        images: list[tuple[Side, Path]] = []

        def seen(side: Side, source: ImageSource) -> ImageSource:
            images.append((side, source.path))
            return source

        self.with_sources(seen)
        mask_of, instances_of_image = masks_of(data, images), instances_of(data, images)

        def change(side: Side, source: ImageSource) -> ImageSource:
            beside = tuple(replace(each, nodata=nodata[side]) for each in source.beside)
            mask = mask_of(side, source.path)
            instances = instances_of_image(side, source.path)
            source = replace(source, nodata=nodata[side], beside=beside)
            return replace(source, mask=mask, instances=instances)

        return self.with_sources(change)

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
            if data.inputs:
                raise ConfigError(
                    "data.holdout: a folder has no several inputs; use a share such as 0.1, or"
                    " train/ and val/ in each folder"
                )
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


def splits_of(data: DataConfig, *, side_by_side: bool = True) -> dict[str, Folders]:
    """The folders that `data` names, by split.

    Raises:
        ConfigError: it names none.
        DataError: a folder is missing, or there is no known layout.
    """
    if data.inputs and data.root_b is not None:
        return find_splits_of_inputs(data.inputs, data.root_b)
    if data.root_a is not None and data.root_b is not None:
        return find_splits_of_two(data.root_a, data.root_b)
    if data.root is None:
        raise ConfigError(
            "data.root: missing; set `data.root` to a folder of pairs"
            if side_by_side
            else "data.root: missing; set it to a folder that contains both domains, or set"
            " `data.root_a` and `data.root_b`"
        )
    declared = data.layout == "side_by_side"
    return find_splits(data.root, side_by_side=side_by_side, declared=declared)


def divide(items: Mapping[str, It], data: DataConfig, seed: int) -> tuple[list[It], list[It]]:
    """Split items into those to train on and those to hold out, at least one each if possible.

    All slices of a volume are on one side. Of a single volume the last ones are held out, apart
    from the others by as many as are their neighbours.

    Args:
        items: by name; only the names and the seed decide which are held out.
    """
    if data.holdout == "none":
        return samples_of(items.values()), []
    fraction = data.holdout if isinstance(data.holdout, float) else AUTO_FRACTION
    if len(items) == 1:
        slices = samples_of(items.values())
        count = _held_out(fraction, len(slices))
        apart = max(data.A.neighbours, data.B.neighbours)
        return slices[: len(slices) - count - apart] or slices, slices[len(slices) - count :]
    count = _held_out(fraction, len(items))

    def lot(name: str) -> bytes:
        return sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()

    chosen = set(sorted(items, key=lot)[:count])
    kept = samples_of(item for name, item in items.items() if name not in chosen)
    return kept, samples_of(item for name, item in items.items() if name in chosen)


def _held_out(fraction: float, count: int) -> int:
    """How many of a number of items to hold out."""
    return min(max(1, round(fraction * count)), count - 1) if count > 1 else 0


def samples_of(items: Iterable[It]) -> list[It]:
    """Each item; of volumes, each slice."""
    return [sample for item in items for sample in item.samples()]


def files_of(samples: Iterable[It]) -> list[It]:
    """Each item once that the samples are from."""
    return list(dict.fromkeys(sample.at(None) for sample in samples))


def of_volumes(samples: Sequence[Item]) -> str:
    """Of how many volumes they are slices, in words; empty if they are none."""
    volumes = {sample.at(None) for sample in samples if sample.at(None) != sample}
    return f" (slices of {counted(len(volumes), 'volume')})" if volumes else ""
