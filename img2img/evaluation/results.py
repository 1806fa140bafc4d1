"""Translates a test set to temporary files, and measures the time."""

import shutil
import time
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from img2img.config import PairingConfig
from img2img.data.problems import UNEQUAL
from img2img.data.sizes import brought_to
from img2img.data.sources import ImageSource
from img2img.engine.sizing import AppliedScale
from img2img.engine.translator import Translator
from img2img.errors import ImageError
from img2img.images import RGB, Domain, Picture, to_tensor, write_picture
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
    """Translations by one model, in order.

    Attributes:
        folder: the folder of their files.
        domain: what the values of the files mean; None: black and white are the ends of the range
            of their type.
        seconds: the time for each.
        scales: by scale, the number of images translated at it.
    """

    translator: Translator
    folder: Path
    domain: Domain | None
    files: list[ImageSource] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    scales: Counter[AppliedScale] = field(default_factory=Counter)

    def add(self, picture: Picture) -> Picture:
        """Translate another image, and return the result."""
        start = time.perf_counter()
        result = self.translator.translate(picture)
        seconds = time.perf_counter() - start
        # PNG, if it holds such pixels, is smaller.
        flat = result.pixels.dtype.kind == "u" and result.pixels.shape[2] in {1, len(RGB)}
        path = self.folder / f"{len(self.files)}{'.png' if flat else '.tif'}"
        write_picture(path, result)
        self.files.append(ImageSource(path, domain=self.domain))
        self.seconds.append(seconds)
        self.scales[self.translator.applied_scale(picture.size)] += 1
        return result


def at_size_of(result: Picture, real: Picture, name: str, pairing: PairingConfig) -> Picture:
    """The real image of a pair, resized to the size of its result.

    Raises:
        ImageError: their shapes differ, and `pairing.unequal` is `refuse`.
    """
    resized = brought_to(real, result.size, pairing.unequal)
    if resized is None:
        sizes = [f"{width} x {height}" for height, width in (result.size, real.size)]
        raise ImageError(
            f"{name} has {sizes[0]} pixels, but the real image has {sizes[1]}, a different shape;"
            f" {UNEQUAL}; or compare the folders as sets (`measures=fid,kid`)"
        )
    return resized


def looked_at(
    *pictures: Picture, name: str = "", device: torch.device | str = "cpu"
) -> Tensor | None:
    """Where pictures of one size are measured, [1, 1, height, width]; None: everywhere.

    Raises:
        ImageError: nowhere.
    """
    masks = [each.looked_at for each in pictures if each.looked_at is not None]
    if not masks:
        return None
    valid = np.logical_and.reduce(masks)
    if not valid.any():
        reason = "no pixel holds data, and is inside the mask, in both result and target"
        raise ImageError(f"{name}: {reason}" if name else reason)
    return torch.from_numpy(valid.astype(np.float32))[None, None].to(device)


def l1_of_pictures(one: Picture, other: Picture) -> float:
    """Mean absolute difference of two pictures, where both hold data, with pixels in [0, 1].

    Raises:
        ImageError: their sizes differ.
    """
    if one.size != other.size:
        raise ImageError("the result does not have the size of the target")
    a, b = (to_tensor(picture.composited())[None] for picture in (one, other))
    return l1(a, b, looked_at(one, other)).item()


def scale_text(scales: Counter[AppliedScale]) -> str:
    """The scale at which images were translated, or the number at each scale."""
    if len(scales) == 1:
        return next(iter(scales))
    return ", ".join(f"{count} {scale}" for scale, count in sorted(scales.items()))


def evenly_spaced(items: Sequence[T], most: int) -> Sequence[T]:
    """At most `most` of the items, evenly spaced, including the first and the last."""
    if len(items) <= most:
        return items
    return [items[round(index * (len(items) - 1) / max(1, most - 1))] for index in range(most)]
