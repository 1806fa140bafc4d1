"""The types of numbers that pixels have, and pixels of one type as those of another."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

# Of any real type; numpy's type parameters cannot say "one of these" usefully.
Pixels = npt.NDArray[Any]
Number = int | float
Finite = int | Annotated[float, Field(allow_inf_nan=False)]
# Whether a pixel holds data, (height, width).
Valid = npt.NDArray[np.bool_]
Depth = Literal[
    "uint8", "uint16", "int8", "int16", "uint32", "int32", "float16", "float32", "float64"
]
# Of pixels, the lowest and the highest: a number each for all channels, or one for each of them.
ValueRange = tuple[Number, Number] | tuple[tuple[Number, ...], tuple[Number, ...]]


def bands(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture in bands of about a megapixel, so that what is made of one is small."""
    step = max(1, 2**20 // width)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def fits(value: Number, dtype: np.dtype[Any]) -> bool:
    """Whether a type has a value."""
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype)
    return bool(np.isfinite(value) and float(value).is_integer() and info.min <= value <= info.max)


def per_channel(values: ValueRange) -> list[tuple[Number, Number]]:
    """The lowest and the highest value of each channel; one pair where all have the same."""
    low, high = (end if isinstance(end, tuple) else (end,) for end in values)
    return list(zip(low, high, strict=True))


def looked_up(pixels: Pixels, tables: Sequence[Pixels]) -> Pixels:
    """What tables have at the value of each pixel: one table for all channels, or one for each.

    A table has every value that a pixel can have: there are fewer of these than of pixels.
    """
    made = np.empty(pixels.shape, tables[0].dtype)
    for rows in bands(*pixels.shape[:2]):
        if len(tables) == 1:
            made[rows] = tables[0][pixels[rows]]
        else:
            for channel, table in enumerate(tables):
                made[rows, :, channel] = table[pixels[rows, :, channel]]
    return made


def eight_bit(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """uint16 pixels, or floating-point ones in [-1, 1], as uint8, rounded to the nearest."""
    if pixels.dtype == np.uint8:
        return pixels
    rounded = np.empty(pixels.shape, np.uint8)
    for rows in bands(*pixels.shape[:2]):
        if pixels.dtype.kind == "f":
            rounded[rows] = np.rint((pixels[rows].clip(-1, 1) + 1) * 127.5)
            continue
        rounded[rows] = (pixels[rows].astype(np.uint32) + 128) // 257
    return rounded


def sixteen_bit(pixels: Pixels) -> npt.NDArray[np.uint16]:
    """uint8 pixels, or floating-point ones in [-1, 1], as uint16 over its whole range."""
    if pixels.dtype == np.uint16:
        return pixels
    if pixels.dtype.kind == "f":
        return np.rint((pixels.clip(-1, 1) + 1) * 32767.5).astype(np.uint16)
    return pixels.astype(np.uint16) * 257


def type_range(dtype: str) -> tuple[Number, Number]:
    """The values that a type stands for: all that an integer has, 0 to 1 of floating point."""
    if dtype.startswith("float"):
        return 0, 1
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def of_depth(pixels: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Pixels over the whole range of another type: uint8, uint16, or float32 in [-1, 1]."""
    if dtype == np.uint8:
        return eight_bit(pixels)
    if dtype == np.uint16:
        return sixteen_bit(pixels)
    if pixels.dtype.kind == "f":
        return pixels.astype(np.float32, copy=False)
    return pixels.astype(np.float32) * np.float32(2 / np.iinfo(pixels.dtype).max) - 1
