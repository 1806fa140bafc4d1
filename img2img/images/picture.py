"""What the program knows of an image: a picture, pictures that belong together, an animation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from img2img.errors import ImageError
from img2img.images.depths import (
    Number,
    Pixels,
    Valid,
    ValueRange,
    bands,
    looked_up,
    of_depth,
    per_channel,
)
from img2img.images.packing import Packing
from img2img.images.space import Place

# Height and width.
Size = tuple[int, int]
# What the pages of a file are; auto: what the file says, or as its codec decides.
Pages = Literal["auto", "slices", "channels"]


@dataclass(frozen=True)
class Header:
    """What a codec keeps of a file besides the pixels, and can write back.

    Attributes:
        nodata: the value of pixels that hold no data, where the file has one.
        packing: how the file stores the values of the pixels; None: as they are.
        has_mask: whether the file can say where there is no data without a value for it.
    """

    has_mask: ClassVar[bool] = False

    nodata: float | None = field(default=None, kw_only=True)
    packing: Packing | None = field(default=None, kw_only=True)

    def resized(self, before: Size, after: Size) -> Self:
        """What is true of the picture at another size."""
        return self

    def place(self, count: int) -> Place | None:
        """Where in space so many pictures are; None: it is not known."""
        return None

    def spacing(self, count: int) -> tuple[float, float, float] | None:
        """Millimetres from pixel to pixel, across and down, and from slice to slice."""
        place = self.place(count)
        return None if place is None else place.spacing


@dataclass(frozen=True)
class View:
    """How channels are shown to people; see `images.display`.

    Attributes:
        channels: the numbers, from 1, of those that are shown, at most three; empty: as there.
        low: for each channel of the image, the network's number that is shown black; empty: -1.
        high: the same of white; empty: 1.
        colormap: of a single channel: `grey`, or the name of one of OpenCV's.
    """

    channels: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    colormap: str = "grey"


@dataclass(frozen=True)
class Colours:
    """The colours of a palette, for a picture of its indices."""

    palette: tuple[tuple[int, int, int], ...]

    def of(self, indexes: Pixels) -> npt.NDArray[np.uint8]:
        """The colours of indexes (height, width, 1); black of those that it does not have."""
        most = max(int(indexes.max(initial=0)) + 1, len(self.palette))
        table = np.zeros((most, 3), np.uint8)
        table[: len(self.palette)] = self.palette
        return table[indexes[..., 0]]


@dataclass(frozen=True, eq=False)
class Picture:
    """What an image file holds, upright.

    Attributes:
        pixels: (height, width, channels), of the file's own type and channels as `read_native`
            gives them, uint8 or uint16 RGB as `read_picture` does; float32 in [-1, 1] of a tensor.
        alpha: opacity, (height, width), uint8 or uint16; None where the file has none.
        valid: (height, width), False where pixels hold no data; None: all do.
        mask: (height, width), False where training and measures do not look, which networks see
            all the same; None: they look everywhere.
        channels: their names, where the file has some.
        values: the values of `pixels` that are black and white, such as (0, 4095) of 12 bits in 16,
            or ((0, 100), (4095, 900)) of two channels; None: all that an integer has; of
            floating-point numbers they are not known.
        clip: whether what is outside of `values` becomes black or white to a network.
        normalized: whether the pixels are float32 in [-1, 1], as a tensor has them.
        view: how it is shown to people; None: by the rule of `images.display`.
        header: what else the file says, for its codec to write back.
        colours: those of a palette whose indices the pixels are; None: the pixels are no indices.
        icc: the file's RGB colour profile, untouched.
        exif: the file's EXIF block, of the upright picture: its orientation and size, without
            thumbnails and descriptions of how samples were stored.
        xmp: the file's XMP packet, without the same descriptions.
        dpi: pixels an inch, across and down.
        text: the text chunks of a PNG by keyword.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    text: Mapping[str, str] = field(default_factory=dict)
    values: ValueRange | None = None
    valid: Valid | None = None
    channels: tuple[str, ...] | None = None
    header: Header | None = None
    colours: Colours | None = None
    clip: bool = True
    view: View | None = None
    normalized: bool = False
    mask: Valid | None = None

    @property
    def size(self) -> Size:
        """Height and width."""
        height, width = self.pixels.shape[:2]
        return height, width

    @property
    def looked_at(self) -> Valid | None:
        """Where there is data inside the mask, (height, width); None: everywhere."""
        if self.valid is None or self.mask is None:
            return self.mask if self.valid is None else self.valid
        return self.valid & self.mask

    @property
    def levels(self) -> Pixels:
        """The pixels with `values` spread over all of a type, which are as they are if they are.

        uint8 and uint16 then are uint16, other types are float32 in [-1, 1]. What is outside of
        `values` becomes black or white; without `clip` all types are float32, beyond that, too.
        """
        dtype = self.pixels.dtype
        if self.normalized:
            return self.pixels
        if dtype not in (np.uint8, np.uint16):
            return self._spread()
        there, most = np.iinfo(dtype).max, np.iinfo(np.uint16).max
        if self.values is None or self.values == (0, there):
            return self.pixels
        if not self.clip:
            return self._spread()

        def table(low: Number, high: Number) -> Pixels:
            numbers = (np.arange(there + 1) - low) * (most / (high - low))
            return np.asarray(np.rint(numbers).clip(0, most), np.uint16)

        return looked_up(self.pixels, [table(*ends) for ends in per_channel(self.values)])

    def _spread(self) -> Pixels:
        low, high = (np.asarray(end, np.float64) for end in self.values or self._occurring())
        made = np.empty(self.pixels.shape, np.float32)
        for rows in bands(*self.size):
            numbers = (self.pixels[rows].astype(np.float64) - low) * (2 / (high - low)) - 1
            made[rows] = numbers.clip(-1, 1) if self.clip else numbers
        return made

    def _occurring(self) -> tuple[Number, Number]:
        """All values that an integer type has; of floating-point numbers those that there are."""
        if self.pixels.dtype.kind != "f":
            info = np.iinfo(self.pixels.dtype)
            return int(info.min), int(info.max)
        seen = self.pixels if self.valid is None else self.pixels[self.valid]
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
        return low, high if high > low else low + abs(low) + 1

    def without(self, nodata: Number) -> "Picture":
        """The picture, its pixels of this value in all channels taken for ones without data."""
        return self._only(np.any(self.pixels != nodata, axis=2))

    def finite(self) -> "Picture":
        """The picture, its pixels that are no finite numbers taken for ones without data."""
        if self.pixels.dtype.kind != "f":
            return self
        return self._only(np.all(np.isfinite(self.pixels), axis=2))

    def _only(self, there: Valid) -> "Picture":
        if there.all():
            return self
        return replace(self, valid=there if self.valid is None else self.valid & there)

    def composited(self) -> Pixels:
        """The pixels as seen on white: colour that transparency hides becomes white.

        Indexes of a palette become its colours.

        Black and white are the ends of the type, whatever `values` are; pixels without data are
        black.

        This is what networks are given. The alpha channel itself stays in the picture, so that it
        can be written back beside the translated pixels.
        """
        pixels = self.levels
        if self.colours and pixels.shape[2] == 1:
            pixels = self.colours.of(pixels)
        if self.alpha is not None:
            pixels = self._on_white(pixels)
        if self.valid is not None:
            black = -1 if pixels.dtype.kind == "f" else 0
            pixels = np.where(self.valid[..., None], pixels, pixels.dtype.type(black))
        return pixels

    def _on_white(self, pixels: Pixels) -> Pixels:
        assert self.alpha is not None
        if pixels.dtype.kind == "f":
            opacity = (self.alpha / np.iinfo(self.alpha.dtype).max)[..., None]
            return np.asarray(pixels * opacity + (1 - opacity), np.float32)
        top = np.iinfo(pixels.dtype).max
        opacity = of_depth(self.alpha, pixels.dtype)
        seen = np.empty_like(pixels)
        for rows in bands(*self.size):
            # At most 65535 * 65535 + 32767, which uint32 still holds.
            alpha = opacity[rows].astype(np.uint32)[..., None]
            mixed = pixels[rows] * alpha + (top - alpha) * np.uint32(top)
            seen[rows] = (mixed + top // 2) // top
        return seen

    def seen_as(self, pixels: Pixels) -> "Picture":
        """The picture, with its alpha, that looks like `pixels` on white: `composited`, undone.

        Where alpha leaves too much of the white to be seen, the nearest there is; where it hides
        all, the pixels themselves.

        Args:
            pixels: of the picture's size and depth.
        """
        if self.alpha is None or pixels.dtype.kind == "f":
            return replace(self, pixels=pixels)
        top = np.iinfo(pixels.dtype).max
        colours = pixels.copy()
        for rows in bands(*self.size):
            alpha = self.alpha[rows].astype(np.int64)[..., None]
            beyond = pixels[rows] - (top - alpha)
            # To the nearest, which // would not be without the half.
            unmixed = (np.maximum(beyond, 0) * top + alpha // 2) // np.maximum(alpha, 1)
            soft = (alpha > 0) & (alpha < top)
            colours[rows] = np.where(soft, np.minimum(unmixed, top), pixels[rows])
        return replace(self, pixels=colours)

    def columns(self, start: int, stop: int) -> "Picture":
        """The part of the picture between two columns."""
        return self._part(np.s_[:, start:stop])

    @classmethod
    def stacked(cls, parts: Sequence["Picture"]) -> "Picture":
        """Pictures one below the other, with the metadata of the first."""

        alphas = [part.alpha for part in parts if part.alpha is not None]
        valid = None
        if any(part.valid is not None for part in parts):
            valid = np.concatenate(
                [np.ones(part.size, bool) if part.valid is None else part.valid for part in parts]
            )
        return replace(
            parts[0],
            pixels=np.concatenate([part.pixels for part in parts]),
            alpha=np.concatenate(alphas) if alphas else None,
            valid=valid,
        )

    def rows(self, start: int, stop: int) -> "Picture":
        """The part of the picture between two rows."""
        return self._part(np.s_[start:stop])

    def _part(self, part: Any) -> "Picture":
        alpha = None if self.alpha is None else self.alpha[part]
        valid = None if self.valid is None else self.valid[part]
        mask = None if self.mask is None else self.mask[part]
        return replace(self, pixels=self.pixels[part], alpha=alpha, valid=valid, mask=mask)


@dataclass(frozen=True, eq=False)
class Frames:
    """Several pictures in one file, in order: pages, each of its own size and depth, or slices.

    What is done to each picture is done by `replace(image, frames=...)`, which keeps the rest of an
    `Animation` too.

    Attributes:
        axis: what lies between one picture and the next: `page`, `z` (depth) or `t` (time).
        header: what else the file says of them all, for its codec to write back.
    """

    frames: tuple[Picture, ...]
    axis: str = field(default="page", kw_only=True)
    header: Header | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Animation(Frames):
    """Pictures of one size that are shown one after the other, each whole.

    Attributes:
        durations: how long each frame is shown, in milliseconds.
        loop: how often the animation is played; 0 is for ever.

    Raises:
        ImageError: no frames, frames that differ in size, or not one duration a frame.
    """

    durations: tuple[int, ...]
    loop: int = 0

    def __post_init__(self) -> None:
        if len({frame.size for frame in self.frames}) != 1:
            raise ImageError("the frames of an animation are of one size, and at least one")
        if len(self.durations) != len(self.frames):
            raise ImageError(f"{len(self.frames)} frames, but {len(self.durations)} durations")


def count_outside(picture: Picture) -> int:
    """How many pixels that hold data have a value outside the picture's range."""
    if picture.values is None:
        return 0
    low, high = (np.asarray(end) for end in picture.values)
    outside = 0
    for rows in bands(*picture.size):
        band = picture.pixels[rows]
        beyond = ((band < low) | (band > high)).any(axis=2)
        if picture.valid is not None:
            beyond &= picture.valid[rows]
        outside += int(beyond.sum())
    return outside
