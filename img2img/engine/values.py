"""From the values of files to those that a model was trained on, and back."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
import numpy.typing as npt

from img2img.images import (
    Domain,
    Picture,
    Pixels,
    count_outside,
    of_depth,
    resized,
    with_pixels,
)
from img2img.models.spec import ModelSpec

# A picture of 16 bits whose values are all below this is dark to a model that takes all 16.
_DARK = 2**14


@dataclass
class Values:
    """What the values of pictures mean to one model.

    A picture of the type that the model was trained on has the range of the training images; of
    another type, all values that its type has. Results are of the type and in the range of the
    targets; where these are all that a type has, which is the inputs', too, a result is of the type
    of its picture.

    Args:
        input, output: domains of the model's spec.
    """

    input: Domain
    output: Domain

    def __post_init__(self) -> None:
        self._counting = Lock()  # pictures are read in several threads
        self._begin()

    @classmethod
    def of(cls, spec: ModelSpec) -> "Values":
        """For a model."""
        return cls(spec.input, spec.output)

    def _begin(self) -> None:
        self._outside = self._clipped = self._pixels = self._dark = 0

    def with_range(self, picture: Picture) -> Picture:
        """The picture with the range of values that the model takes for black to white."""
        return self.input.seen(picture)

    def full_range(self, picture: Picture) -> Picture:
        """The picture with black and white at the ends of its type."""
        picture = self.with_range(picture)
        if picture.pixels.dtype == np.float32:
            return picture
        self._look_at(picture)
        pixels, alpha = picture.levels, picture.alpha
        alpha = None if alpha is None else of_depth(alpha, pixels.dtype)
        values = 0, int(np.iinfo(pixels.dtype).max)
        return replace(picture, pixels=pixels, alpha=alpha, values=values)

    def network_pixels(self, picture: Picture) -> Pixels:
        """The pixels that the network is given, black and white at the ends of their type."""
        pixels = self.full_range(picture).composited()
        # So that a result in other numbers has more than 256 of them.
        return of_depth(pixels, np.uint16) if self.needs_16_bits(pixels) else pixels

    def needs_16_bits(self, pixels: Pixels) -> bool:
        """Whether results have more numbers than pixels of this depth."""
        return self._own and pixels.dtype == np.uint8

    def restored(self, picture: Picture, pixels: Pixels) -> Picture:
        """The picture with the network's result, of its size or another.

        Args:
            pixels: black and white at the ends of their type.
        """
        alpha = picture.alpha
        if alpha is not None:
            alpha = resized(of_depth(alpha, pixels.dtype), (len(pixels), len(pixels[0])))
        made = replace(with_pixels(picture, pixels, alpha).seen_as(pixels), values=None)
        if pixels.dtype == np.float32:
            return made
        return self.file_values(made, picture.pixels.dtype)

    def file_values(self, made: Picture, dtype: npt.DTypeLike) -> Picture:
        """A result whose black and white are at the ends of its type, in the numbers of its file.

        Args:
            dtype: of its picture's file.
        """
        alpha = made.alpha
        if self._own:
            pixels = self.output.written(made.pixels)
            made = replace(made, pixels=pixels, values=self.output.values)
        elif made.pixels.dtype != dtype:
            made = replace(made, pixels=of_depth(made.pixels, dtype))
        return replace(made, alpha=None if alpha is None else of_depth(alpha, made.pixels.dtype))

    def remarks(self) -> Iterator[str]:
        """Sentences on pictures, since the last call, whose values do not suit the model."""
        if self._clipped:
            share = 100 * self._outside / self._pixels
            yield (
                f"{_pictures(self._clipped)} values outside"
                f" {self.input.extent}, the range that the model was trained"
                f" on: {self._outside} pixels, {share:.2g} % of all, became black or white"
            )
        if self._dark:
            yield (
                f"{_pictures(self._dark)} 16-bit values below {_DARK} only, but the model expects"
                " 0..65535 and sees them as dark; rescale them first, or train a model on such"
                " files (data.A.range)"
            )
        self._begin()

    @property
    def _own(self) -> bool:
        """Whether results are in the numbers of the targets' files."""
        return not self.output.whole or self.output.dtype != self.input.dtype

    def _look_at(self, picture: Picture) -> None:
        if picture.values == (0, np.iinfo(picture.pixels.dtype).max):
            return  # it has been spread already, or is a video's
        outside = count_outside(picture)
        deep = picture.values is None and picture.pixels.dtype == np.uint16
        dark = deep and 0 < picture.pixels.max() < _DARK
        with self._counting:
            self._pixels += picture.size[0] * picture.size[1]
            self._outside += outside
            self._clipped += outside > 0
            self._dark += bool(dark)


def _pictures(count: int) -> str:
    return "a picture has" if count == 1 else f"{count} pictures have"
