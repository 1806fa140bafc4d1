"""What the numbers in the files of one side, inputs or targets, mean."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self, get_args

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from img2img.images.picture import Picture, Pixels, Values, bands, looked_up, per_channel

Depth = Literal["uint8", "uint16"]
Counts = npt.NDArray[np.int64]
Name = Annotated[str, Field(min_length=1, max_length=100)]

RGB = ("R", "G", "B")
MOST_CHANNELS = 64
MOST_NOISE = 1024


def channel_names(count: int) -> tuple[str, ...]:
    """Names for channels of which only the number is known."""
    return {1: ("grey",), 3: RGB}.get(count) or tuple(str(n + 1) for n in range(count))


class Domain(BaseModel):
    """What the images of one side are, in the numbers of their files.

    8-bit RGB is `Domain(dtype="uint8")`. `low` and `high` may be given as one number for all
    channels; left out, they are the ends of the type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[Name, ...] = Field(
        default=RGB, description="names of the channels, in order, 1 to 64; 1024 of noise"
    )
    kind: Literal["image", "labels", "noise"] = Field(
        default="image",
        description="measured values; or one channel per class, one-hot; or numbers that are drawn,"
        " for which there are no files and the fields below mean nothing",
    )
    dtype: Depth = Field(description="type of the values in the files")
    low: tuple[int, ...] = Field(
        default=(), description="per channel: the value that is -1 to the network"
    )
    high: tuple[int, ...] = Field(
        default=(), description="per channel: the value that is 1 to the network"
    )
    nodata: int | None = Field(
        default=None, description="the value of pixels that hold no data; null: all pixels do"
    )
    alpha: Literal["white"] = Field(
        default="white",
        description="transparency: the network sees the image on white, and the result keeps it",
    )

    @model_validator(mode="before")
    @classmethod
    def _per_channel(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("dtype") not in get_args(Depth):
            return given
        channels = given.get("channels", RGB)
        count = len(channels) if isinstance(channels, list | tuple) else 1
        ends = {"low": 0, "high": int(np.iinfo(given["dtype"]).max)} | dict(given)
        for key in "low", "high":
            if isinstance(ends[key], int):
                ends[key] = (ends[key],) * min(count, MOST_NOISE)
        return ends

    @model_validator(mode="after")
    def _fits(self) -> Self:
        most = np.iinfo(self.dtype).max
        limit = MOST_NOISE if self.kind == "noise" else MOST_CHANNELS
        if not 1 <= len(self.channels) <= limit:
            raise ValueError(f"{len(self.channels)} channels, but 1 to {limit} are supported")
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("two channels have the same name")
        if not len(self.channels) == len(self.low) == len(self.high):
            raise ValueError(
                f"{len(self.channels)} channels, but {len(self.low)} values in low and"
                f" {len(self.high)} in high"
            )
        if not all(0 <= low < high <= most for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"a range in {self.dtype} is low < high, from 0 to {most}")
        if self.nodata is not None and not 0 <= self.nodata <= most:
            raise ValueError(f"nodata in {self.dtype} is from 0 to {most}")
        return self

    @classmethod
    def of_type(cls, dtype: Depth, channels: Sequence[str] | int = RGB) -> Self:
        """All values of the type, for channels of these names or of this number."""
        names = channel_names(channels) if isinstance(channels, int) else tuple(channels)
        return cls.model_validate({"dtype": dtype, "channels": names})

    @classmethod
    def noise(cls, channels: Sequence[str]) -> Self:
        """Random numbers as the input, by their names."""
        return cls.model_validate({"kind": "noise", "dtype": "uint8", "channels": tuple(channels)})

    @property
    def is_rgb(self) -> bool:
        """Whether it is colour images, as parts that were trained on photographs need them."""
        return (self.kind, self.channels) == ("image", RGB)

    @property
    def whole(self) -> bool:
        """Whether it is all values of the type, in every channel."""
        return self.ends == (0, np.iinfo(self.dtype).max) and self._uniform

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest value of all channels' ranges."""
        return min(self.low), max(self.high)

    @property
    def values(self) -> Values:
        """`low` and `high`, as one number each where they are the same for all channels."""
        return self.ends if self._uniform else (self.low, self.high)

    @property
    def _uniform(self) -> bool:
        return len({*self.low}) == len({*self.high}) == 1

    @property
    def bits(self) -> int | None:
        """The bit depth that has exactly these values, 12 for 0 to 4095; None: there is none."""
        low, high = self.ends
        bits = (high + 1).bit_length() - 1
        return bits if self._uniform and low == 0 and high + 1 == 1 << bits else None

    @property
    def extent(self) -> str:
        """From which value to which, such as `0..4095`; by channel where they differ."""
        if self._uniform:
            return f"{self.low[0]}..{self.high[0]}"
        each = zip(self.channels, self.low, self.high, strict=True)
        return ", ".join(f"{name} {low}..{high}" for name, low, high in each)

    @property
    def range(self) -> str:
        """`extent` with the bit depth, such as `0..4095 (12 bits)`."""
        return self.extent + (f" ({self.bits} bits)" if self.bits else "")

    def __str__(self) -> str:
        return f"{self.dtype} {self.range}"

    def seen(self, picture: Picture) -> Picture:
        """The picture with this range, if its file is of this type.

        One of another type, and one whose range is known, stays as it is.
        """
        if self.whole or picture.values is not None or picture.pixels.dtype != self.dtype:
            return picture
        return replace(picture, values=self.values)

    def written(self, pixels: Pixels) -> Pixels:
        """Pixels over the whole of their type in the files' own numbers, rounded to the nearest."""
        most = np.iinfo(pixels.dtype).max

        def table(low: int, high: int) -> Pixels:
            numbers = np.arange(most + 1) * ((high - low) / most) + low
            return np.asarray(np.rint(numbers), self.dtype)

        return looked_up(pixels, [table(*ends) for ends in per_channel(self.values)])


def count_outside(picture: Picture) -> int:
    """How many pixels have a value outside the picture's range."""
    if picture.values is None:
        return 0
    low, high = (np.asarray(end) for end in picture.values)
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
