"""What a transform changes of an image: its pixels, or its labels, and where they hold data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from img2img.images import Domain, Picture, Pixels, nearest, one_hot, resized, to_tensor

Mask = npt.NDArray[np.bool_]


class Raster(NamedTuple):
    """An image or a label map between file and network.

    Attributes:
        pixels: (height, width, channels), uint8 or uint16 over their whole range, or float32 in
            [-1, 1]; of a label map (height, width, 1), the index of each pixel's class.
        valid: (height, width), False where there is no data, or a mask excludes it; None: nowhere.
        classes: how many a label map has; 0: it is an image.
    """

    pixels: Pixels
    valid: Mask | None = None
    classes: int = 0

    @classmethod
    def of(cls, picture: Picture, domain: Domain | None = None) -> "Raster":
        """A picture as networks are given it; as those of a domain that it has been read as."""
        classes = domain.classes if domain else 0
        pixels = picture.pixels if classes else picture.composited()
        return cls(pixels, picture.looked_at, classes)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.pixels.shape[:2]
        return height, width

    def resized(self, size: tuple[int, int]) -> "Raster":
        """At another height and width; labels and validity are those of the nearest pixel."""
        pixels = nearest(self.pixels, size) if self.classes else resized(self.pixels, size)
        valid = None if self.valid is None else nearest(self.valid, size)
        return self._replace(pixels=pixels, valid=valid)

    def moved(self, change: Callable[[Pixels], Pixels]) -> "Raster":
        """With a change of places alone, such as a crop, made to all of it."""
        valid = None if self.valid is None else change(self.valid)
        return self._replace(pixels=change(self.pixels), valid=valid)

    def tensor(self) -> Tensor:
        """float32 (channels, height, width) in [-1, 1]; of labels one-hot, 0 and 1.

        Labels without data are 0 in all channels.
        """
        if not self.classes:
            return to_tensor(self.pixels)
        hot = one_hot(self.pixels, self.classes, self.valid)
        return torch.from_numpy(np.ascontiguousarray(hot.transpose(2, 0, 1)))

    def validity(self) -> Tensor | None:
        """float32 (1, height, width), 1 where there is data; None: everywhere."""
        if self.valid is None:
            return None
        return torch.from_numpy(self.valid.astype(np.float32)[None])

    def packed(self) -> tuple[Pixels, ...]:
        """As arrays, always as many, for a cache; `unpacked` undoes it."""
        valid: Any = np.zeros((0, 0), np.bool_) if self.valid is None else self.valid
        return self.pixels, valid, np.array([self.classes])

    @classmethod
    def unpacked(cls, pixels: Pixels, valid: Mask, classes: Pixels) -> "Raster":
        """A raster again."""
        return cls(pixels, valid if valid.size else None, int(classes[0]))
