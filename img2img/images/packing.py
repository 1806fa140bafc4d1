"""Values that files store as other numbers, by a scale and an offset for each channel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from img2img.images.depths import Depth, Finite, Number, Pixels, Valid, bands, fits


class Packing(BaseModel):
    """How files store the values of each channel: value = scale * number + offset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Depth = Field(description="type of the numbers in the files")
    scales: tuple[Finite, ...] = Field(description="per channel: what numbers are multiplied by")
    offsets: tuple[Finite, ...] = Field(description="per channel: what is added to that")
    units: tuple[str, ...] = Field(description="per channel: the unit of the values; may be empty")
    nodata: Finite | None = Field(
        default=None, description="the number of pixels that hold no data; null: there is none"
    )

    @classmethod
    def of(
        cls,
        dtype: Depth,
        scales: Sequence[float],
        offsets: Sequence[float],
        units: Sequence[str | None],
        nodata: Number | None = None,
    ) -> "Packing | None":
        """As a file has it; None: its numbers are the values, without units.

        Args:
            nodata: ignored if the type does not have it.
        """
        named = tuple(unit or "" for unit in units)
        if not ({*scales} - {1} or {*offsets} - {0} or any(named)):
            return None
        real = dtype.startswith("float")
        known = nodata is not None and np.isfinite(nodata) and fits(nodata, np.dtype(dtype))
        return cls(
            dtype=dtype,
            scales=tuple(scales),
            offsets=tuple(offsets),
            units=named,
            nodata=(nodata if real else int(nodata)) if nodata is not None and known else None,
        )

    @property
    def changes(self) -> bool:
        """Whether values differ from the numbers that are stored."""
        return {*self.scales} != {1} or {*self.offsets} != {0}

    @property
    def values_dtype(self) -> Depth:
        """The type of values: float32 if it keeps all stored numbers apart, else float64."""
        if not self.changes:
            return self.dtype
        stored = np.dtype(self.dtype)
        if stored.kind == "f":
            return "float64" if stored.itemsize == 8 else "float32"
        info = np.iinfo(stored)
        for scale, offset in zip(self.scales, self.offsets, strict=True):
            most = max(abs(end * scale + offset) for end in (info.min, info.max))
            if most >= np.finfo(np.float32).max or np.spacing(np.float32(most)) > abs(scale) / 4:
                return "float64"
        return "float32"

    def chosen(self, channels: Sequence[int]) -> "Packing":
        """Of some channels, by index."""
        kept = {
            key: tuple(getattr(self, key)[n] for n in channels)
            for key in ("scales", "offsets", "units")
        }
        return self.model_copy(update=kept)

    def unpacked(self, numbers: Pixels, valid: Valid | None = None) -> Pixels:
        """The values of stored numbers (height, width, channels); 0 where there is no data."""
        if not self.changes:
            return numbers
        values = np.empty(numbers.shape, self.values_dtype)
        for rows in bands(*numbers.shape[:2]):
            values[rows] = numbers[rows].astype(np.float64) * self.scales + self.offsets
            if valid is not None:
                values[rows][~valid[rows]] = 0
        return values

    def packed(self, values: Pixels, valid: Valid | None = None) -> Pixels:
        """The numbers to store for values (height, width, channels): integers are the nearest.

        Where there is no data, they are `nodata`, or NaN of floats, or 0. Elsewhere a pixel that
        would be `nodata` gets the next number.
        """
        stored = np.dtype(self.dtype)
        gap = self.nodata
        if gap is None:
            gap = float("nan") if stored.kind == "f" else 0
        numbers = np.empty(values.shape, stored)
        for rows in bands(*values.shape[:2]):
            band = (values[rows].astype(np.float64) - self.offsets) / self.scales
            there = np.isfinite(band).all(axis=2)
            if valid is not None:
                there &= valid[rows]
            band[~there] = 0
            numbers[rows] = _of_type(band, stored)
            if self.nodata is not None:
                numbers[rows][(numbers[rows] == self.nodata).all(axis=2)] = self._next
            numbers[rows][~there] = gap
        return numbers

    @property
    def _next(self) -> Number:
        """A number that is not taken for `nodata`."""
        assert self.nodata is not None
        if self.dtype.startswith("float"):
            return float(np.nextafter(np.dtype(self.dtype).type(self.nodata), np.inf))
        return self.nodata + (1 if self.nodata < np.iinfo(self.dtype).max else -1)

    def __str__(self) -> str:
        """Such as `uint16 * 0.0001 - 0.1 in K`; by channel where they differ."""
        each = zip(self.scales, self.offsets, self.units, strict=True)
        texts = [_formula(*one) for one in each]
        return f"{self.dtype}{texts[0]}" if len({*texts}) == 1 else f"{self.dtype} by channel"


def _formula(scale: Number, offset: Number, unit: str) -> str:
    text = f" * {scale:.6g}" if scale != 1 else ""
    text += f" {'-' if offset < 0 else '+'} {abs(offset):.6g}" if offset else ""
    return text + (f" in {unit}" if unit else "")


def _of_type(numbers: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> Pixels:
    if dtype.kind == "f":
        return numbers.astype(dtype)
    info = np.iinfo(dtype)
    return np.rint(numbers).clip(info.min, info.max).astype(dtype)
