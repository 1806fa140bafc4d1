"""A folder of images, and noise for each of them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.dataset import DataSet, divide
from img2img.data.raster import Raster
from img2img.data.samples import Batch, Cache, Sample, Shuffled, collate
from img2img.data.sources import CountProgress, ImageSource, Item, Pair, Side
from img2img.data.turns import TURNS
from img2img.errors import ConfigError, DataError
from img2img.images import Domain, list_images

NOISE = 100
"""Numbers that an image is made of, as published."""
# Keeps the noise apart from other uses of the same seed.
_NOISE = 77


@dataclass(frozen=True)
class NoiseToImages(DataSet):
    """Images to learn from as `B`, and noise as `A`.

    Attributes:
        root: the folder of the images.
        images: those to train on.
        classes: the names of the folders in `root`, each a class; none without labels.
    """

    conditional: ClassVar[bool] = False
    """Whether the folder in `root` that an image is in is its class, one-hot behind the noise."""

    root: Path
    images: list[ImageSource]
    classes: tuple[str, ...]

    @classmethod
    def find(cls, data: DataConfig, seed: int, leave_out: Collection[Item] = frozenset()) -> Self:
        """See `DataSet.find`."""
        if data.root is None:
            raise ConfigError("data.root: the folder of images is missing")
        if data.holdout in ("val", "test") or isinstance(data.holdout, Path):
            raise ConfigError("data.holdout: from a plain folder a share such as 0.05, or none")
        files = [file for file in list_images(data.root) if ImageSource(file) not in leave_out]
        if not files:
            raise DataError(f"{data.root}: there are no images in it")
        classes = tuple(sorted({_class_of(file, data.root) for file in files}))
        if cls.conditional and (len(classes) < 2 or "" in classes):
            raise DataError(f"{data.root}: settings.conditional needs one folder for each class")
        named = {file.relative_to(data.root).as_posix(): ImageSource(file) for file in files}
        train, held = divide(named, data, seed)
        return cls(
            layout=str(data.root),
            held_out=[Pair(str(number), image, image) for number, image in enumerate(held)],
            aligned=False,
            problems=[],
            proposal=None,
            unlisted=0,
            root=data.root,
            images=train,
            classes=classes if cls.conditional else (),
        )

    @property
    def domains(self) -> Mapping[str, Domain]:
        names = [f"noise {number}" for number in range(1, NOISE + 1)]
        return {"A": Domain.noise([*names, *self.classes])}

    @property
    def items(self) -> Mapping[str, Sequence[Item]]:
        return {"B": [*self.images, *(pair.B for pair in self.held_out)]}

    @property
    def counts(self) -> str:
        return f"{len(self.images)} images to train"

    @property
    def empty(self) -> bool:
        return not self.images

    def __len__(self) -> int:
        return len(self.images)

    def only(self, index: int) -> Self:
        image = self.images[index]
        return replace(self, images=[image], held_out=[Pair(str(index), image, image)])

    def with_sources(self, change: Callable[[Side, ImageSource], ImageSource]) -> Self:
        images = [change("B", image) for image in self.images]
        changed = (change("B", pair.B) for pair in self.held_out)
        held_out = [Pair(str(number), image, image) for number, image in enumerate(changed)]
        return replace(self, images=images, held_out=held_out)

    def samples(
        self,
        data: DataConfig,
        seed: int,
        transform: Transform,
        progress: CountProgress | None = None,
    ) -> "NoiseSamples":
        return NoiseSamples(self, transform, seed, data.cache == "memory", progress)

    def held_out_batches(self, data: DataConfig, transform: Transform) -> Iterator[Batch]:
        for pair in self.held_out:
            image = transform.center(pair.B.raster()).tensor()
            noise = self.noise(pair.B, 0, int(pair.name))
            yield collate([Sample(noise, image, f"noise {pair.name}", str(pair.B.path))])

    def noise(self, image: ImageSource, *entropy: int) -> Tensor:
        """Noise (100 + classes, 1, 1), with the class of an image.

        Args:
            entropy: what the noise is a function of.
        """
        random = np.random.default_rng((_NOISE, *entropy))
        labels = np.zeros(len(self.classes))
        if self.classes:
            labels[self.classes.index(_class_of(image.path, self.root))] = 1
        values = np.concatenate([random.standard_normal(NOISE), labels])
        return torch.from_numpy(values.astype(np.float32))[:, None, None]


class NoiseAndClassToImages(NoiseToImages):
    """The same with classes."""

    conditional = True


class NoiseSamples:
    """Augmented images by position, each with noise that is a function of seed and position."""

    def __init__(
        self,
        found: NoiseToImages,
        transform: Transform,
        seed: int,
        cached: bool,
        progress: CountProgress | None,
    ) -> None:
        self._found = found
        self._transform = transform
        self._seed = seed
        self._order = Shuffled(len(found), seed)
        self._cache = Cache(found.images, self._prepared, progress) if cached else None

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, position: int) -> Sample:
        index = self._order[position]
        source = self._found.images[index]
        (image,) = self._cache[index] if self._cache else self._prepared(source)
        image = self._transform.single(image, self._seed, position, domain=1)
        noise = self._found.noise(source, 1, self._seed, position)
        return Sample(noise, image.tensor(), f"noise {position}", str(source.path))

    def _prepared(self, source: ImageSource) -> tuple[Raster]:
        with TURNS.at(source):
            return (self._transform.prepare(source.raster()),)


def _class_of(file: Path, root: Path) -> str:
    """The folder in `root` that a file is in; empty if it is in `root` itself."""
    parts = file.relative_to(root).parts
    return parts[0] if len(parts) > 1 else ""
