"""What the numbers in the files of one side, inputs or targets, mean."""

from dataclasses import replace
from typing import Literal, Self

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from img2img.images.picture import Picture, Pixels, bands

Depth = Literal["uint8", "uint16"]
Counts = npt.NDArray[np.int64]


class Domain(BaseModel):
    """What the images of one side are, in the numbers of their files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Depth = Field(description="type of the files' values")
    low: int = Field(ge=0, description="the value that is -1 to the network")
    high: int = Field(description="the value that is 1 to the network")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        most = np.iinfo(self.dtype).max
        if not self.low < self.high <= most:
            raise ValueError(f"a range in {self.dtype} is low < high, from 0 to {most}")
        return self

    @classmethod
    def of_type(cls, dtype: Depth) -> Self:
        """All values that the type has."""
        return cls(dtype=dtype, low=0, high=int(np.iinfo(dtype).max))

    @property
    def whole(self) -> bool:
        """Whether it is all values that the type has."""
        return (self.low, self.high) == (0, np.iinfo(self.dtype).max)

    @property
    def bits(self) -> int | None:
        """The depth whose values it is: 12 of 0 to 4095; None: no depth's."""
        bits = (self.high + 1).bit_length() - 1
        return bits if self.low == 0 and self.high + 1 == 1 << bits else None

    @property
    def range(self) -> str:
        """From which value to which, such as `0..4095 (12 bits)`."""
        return f"{self.low}..{self.high}" + (f" ({self.bits} bits)" if self.bits else "")

    def __str__(self) -> str:
        return f"{self.dtype} {self.range}"

    def seen(self, picture: Picture) -> Picture:
        """The picture with this range, if its file is of this type.

        One of another type, and one whose range is known, stays as it is.
        """
        if self.whole or picture.values is not None or picture.pixels.dtype != self.dtype:
            return picture
        return replace(picture, values=(self.low, self.high))

    def written(self, pixels: Pixels) -> Pixels:
        """Pixels over the whole of their type in the files' own numbers, rounded to the nearest."""
        most = np.iinfo(pixels.dtype).max
        table = np.arange(most + 1) * ((self.high - self.low) / most) + self.low
        table = np.rint(table).astype(self.dtype)
        written = np.empty(pixels.shape, self.dtype)
        for rows in bands(*pixels.shape[:2]):
            written[rows] = table[pixels[rows]]
        return written


def count_outside(picture: Picture) -> int:
    """How many pixels have a value outside the picture's range."""
    if picture.values is None:
        return 0
    low, high = picture.values
    outside = 0
    for rows in bands(*picture.size):
        band = picture.pixels[rows]
        outside += int(((band < low) | (band > high)).any(axis=2).sum())
    return outside


def count_values(picture: Picture) -> Counts:
    """How often each value that its type has occurs in a picture, where it is not transparent."""
    pixels, size = picture.pixels, int(np.iinfo(picture.pixels.dtype).max) + 1
    counts = np.zeros(size, np.int64)
    for rows in bands(*picture.size):
        band = pixels[rows]
        if picture.alpha is not None:
            band = band[picture.alpha[rows] > 0]
        if band.size:
            flat = np.ascontiguousarray(band).reshape(-1, 1)
            found = cv2.calcHist([flat], [0], None, [size], [0, size])
            counts += found.reshape(-1).astype(np.int64)
    return counts
