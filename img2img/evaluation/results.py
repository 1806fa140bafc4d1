"""Translations of a test set, timed, in temporary files."""

import shutil
import time
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from img2img.config import PairingConfig
from img2img.data.problems import UNEQUAL
from img2img.data.sizes import brought_to
from img2img.data.sources import ImageSource
from img2img.engine.sizing import AppliedScale
from img2img.engine.translator import Translator
from img2img.errors import ImageError
from img2img.images import Domain, Picture, to_tensor, write_picture
from img2img.metrics.paired import l1

T = TypeVar("T")


class ResultFolder:
    """A temporary folder for results, which is deleted together with this object."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="img2img-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def sub_folder(self) -> Path:
        """A new folder in it, for the results of one model."""
        return Path(mkdtemp(dir=self.path))


@dataclass
class TimedTranslations:
    """Translations of pictures by one model, in order.

    Attributes:
        folder: where their files are.
        domain: what the values of the files mean; None: black and white are the ends of their type.
        seconds: how long each took.
        scales: how many were translated at which scale.
    """

    translator: Translator
    folder: Path
    domain: Domain | None
    files: list[ImageSource] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    scales: Counter[AppliedScale] = field(default_factory=Counter)

    def add(self, picture: Picture) -> Picture:
        """Translate one more, and return the result."""
        start = time.perf_counter()
        result = self.translator.translate(picture)
        seconds = time.perf_counter() - start
        path = self.folder / f"{len(self.files)}.png"
        write_picture(path, result)
        self.files.append(ImageSource(path, domain=self.domain))
        self.seconds.append(seconds)
        self.scales[self.translator.applied_scale(picture.size)] += 1
        return result


def at_size_of(result: Picture, real: Picture, name: str, pairing: PairingConfig) -> Picture:
    """The real image of a pair at the size of its result.

    Raises:
        ImageError: their shapes differ, and `pairing.unequal` does not say what to do then.
    """
    resized = brought_to(real, result.size, pairing.unequal)
    if resized is None:
        sizes = [f"{width} x {height}" for height, width in (result.size, real.size)]
        raise ImageError(
            f"{name}: {sizes[0]} pixels, but the real image has {sizes[1]}, a different"
            f" shape; {UNEQUAL}; or compare the folders as sets (`measures=fid,kid`)"
        )
    return resized


def l1_of_pictures(one: Picture, other: Picture) -> float:
    """Mean absolute difference of two pictures, of pixels in [0, 1].

    Raises:
        ImageError: their sizes differ.
    """
    if one.size != other.size:
        raise ImageError("the result is not of the target's size")
    a, b = (to_tensor(picture.composited())[None] for picture in (one, other))
    return l1(a, b).item()


def scale_text(scales: Counter[AppliedScale]) -> str:
    """The scale at which pictures were translated, or how many were translated at which."""
    if len(scales) == 1:
        return next(iter(scales))
    return ", ".join(f"{count} {scale}" for scale, count in sorted(scales.items()))


def evenly_spaced(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of them, at equal distances, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(index * (len(items) - 1) / max(1, most - 1))] for index in range(most)]
