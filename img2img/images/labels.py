"""Label maps: pixels that are the index of a class in the file, or its colour."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from img2img.errors import ImageError, shortened
from img2img.images.depths import Pixels
from img2img.images.picture import Colours, Picture

Color = tuple[int, int, int]
Codes = npt.NDArray[np.int32]
# More colours than this outside of the table come from smoothed edges, or from JPEG.
_FEW = 4
_WHITE = 0x010101
# Of pixels that belong to no class, as Pascal VOC shows them.
UNLABELLED = 224, 224, 192
# What stands for a class where there is none.
_UNKNOWN, _IGNORED = -2, -1


class ClassNumbers(Colours):
    """The colours of classes, of a picture whose pixels are their numbers, from 0."""


@dataclass(frozen=True)
class ClassTable:
    """How files hold the classes of a label map.

    Attributes:
        indexes: the value of each class in files that hold indexes; None: there are colours only.
        palette: the colour of each class; None: there are indexes only.
        ignore: the index or the colour of pixels that belong to no class.
    """

    indexes: Sequence[int] | None
    palette: Sequence[Color] | None
    ignore: int | Color | None = None

    def numbered(self, picture: Picture) -> Picture:
        """A label map with the number of each pixel's class, (height, width, 1) uint8.

        Pixels that belong to no class hold no data.

        Raises:
            ImageError: it holds something else: the message has the first value and its place.
        """
        if isinstance(picture.colours, ClassNumbers):
            return picture
        codes, coloured = codes_of(picture)
        if picture.colours:
            numbers = self._of_palette(picture.colours.palette)[codes]
        else:
            if not coloured and self._all_grey:
                codes, coloured = codes * _WHITE, True
            elif coloured and self.palette is None:
                coloured = bool((codes != (codes & 255) * _WHITE).any())
                if coloured:
                    raise ImageError("colours, but `classes` has only indexes: add their colours")
                codes &= 255
            numbers = _looked_up(codes, self._by_color() if coloured else self._by_index())
        if picture.alpha is not None:
            numbers = np.where(picture.alpha > 0, numbers, _IGNORED)
        if (unknown := numbers == _UNKNOWN).any():
            raise ImageError(self._refusal(picture, codes, unknown, coloured))
        valid = numbers != _IGNORED
        if picture.valid is not None:
            valid &= picture.valid
        return replace(
            picture,
            pixels=np.maximum(numbers, 0).astype(np.uint8)[..., None],
            alpha=None,
            valid=None if valid.all() else valid,
            colours=ClassNumbers(tuple(self._colours(picture.colours))),
        )

    @property
    def _all_grey(self) -> bool:
        """Whether files in grey hold colours, too."""
        colours = None if self.indexes else self.palette
        return colours is not None and all(r == g == b for r, g, b in colours)

    @property
    def shown(self) -> Sequence[Color]:
        """The colour in which each class is shown."""
        if self.palette is not None:
            return self.palette
        assert self.indexes is not None
        return [distinct(index) for index in self.indexes]

    def _colours(self, own: Colours | None) -> Sequence[Color]:
        """The colour of each class; those of the file, where the table has none."""
        if self.palette is not None or own is None:
            return self.shown
        known = dict(enumerate(own.palette))
        return [known.get(index, distinct(index)) for index in self._listed()]

    def _listed(self) -> Sequence[int]:
        return range(len(self.palette or ())) if self.indexes is None else self.indexes

    def written(
        self, numbers: Pixels, valid: npt.NDArray[np.bool_] | None
    ) -> tuple[Pixels, Colours, int | None]:
        """Class numbers (height, width, 1) as indexes of the files, and their colours.

        Where there is no data, it is the ignored index, or one that no class has: the third of what
        is returned; None: there is neither, and it is 0.
        """
        indexes = self._listed()
        colours = dict(zip(indexes, self.shown, strict=True))
        dtype = np.uint8 if max(indexes) < 256 else np.uint16
        pixels = np.asarray(indexes, dtype)[numbers]
        free = next((n for n in range(255, 0, -1) if n not in indexes), None)
        ignored = self.ignore if isinstance(self.ignore, int) else free
        if valid is not None:
            pixels = np.where(valid[..., None], pixels, dtype(ignored or 0))
            if ignored is not None:
                colours.setdefault(ignored, UNLABELLED)
        palette = [colours.get(index, (0, 0, 0)) for index in range(max(colours) + 1)]
        return pixels, Colours(tuple(palette)), ignored

    def _by_index(self) -> dict[int, int]:
        table = {index: number for number, index in enumerate(self._listed())}
        if isinstance(self.ignore, int):
            table[self.ignore] = _IGNORED
        return table

    def _by_color(self) -> dict[int, int]:
        table = {packed(color): n for n, color in enumerate(self.palette or ())}
        if isinstance(self.ignore, tuple):
            table[packed(self.ignore)] = _IGNORED
        return table

    def _of_palette(self, colours: Sequence[Color]) -> Codes:
        """The class of each index of a file that has a palette: its colours say which."""
        by_color, by_index = self._by_color(), self._by_index()
        made = np.full(1 << 16, _UNKNOWN, np.int32)
        for index in {*range(len(colours)), *by_index}:
            color = colours[index] if index < len(colours) else None
            number = by_index.get(index, _UNKNOWN)
            same = number >= 0 and self.palette is not None and self.palette[number] == color
            if number == _IGNORED or self.palette is None or same:
                made[index] = number
            elif color is not None:
                made[index] = by_color.get(packed(color), _UNKNOWN)
        return made

    def _refusal(
        self, picture: Picture, codes: Codes, unknown: npt.NDArray[np.bool_], coloured: bool
    ) -> str:
        y, x = _first(unknown)
        code, where = int(codes[y, x]), f"at x {x}, y {y}"
        if picture.colours and self.palette is not None:
            colours = dict(enumerate(picture.colours.palette))
            what = f"index {code} {where}"
            if code in colours:
                what += f" has the colour {hexadecimal(colours[code])} in this file, which"
            return f"{what} is not in `classes`"
        if not coloured:
            known = [str(index) for index in self._listed()]
            return f"index {code} {where}, but the classes are {shortened(', '.join(known), 60)}"
        more = f"colour {hexadecimal(unpacked(code))} {where} is not in `classes`"
        kinds, share = len(np.unique(codes[unknown])), 100 * unknown.mean()
        if kinds > _FEW:
            more += (
                f", nor are {kinds - 1} others, of {share:.2g} % of the pixels: label maps must not"
                " have smoothed edges, or be JPEG"
            )
        return more


def codes_of(picture: Picture) -> tuple[Codes, bool]:
    """The index of each pixel, (height, width), or its colour as 0xRRGGBB; and whether it is that.

    Raises:
        ImageError: it holds neither, or is partly transparent.
    """
    pixels, alpha, dtype = picture.pixels, picture.alpha, picture.pixels.dtype
    bands = pixels.shape[2]
    if picture.normalized or dtype.kind not in "ui" or bands not in {1, 3}:
        several = "channels" if bands > 1 else "channel"
        raise ImageError(
            f"{bands} {several} of {dtype}, but a label map has one of whole numbers, or colours"
        )
    if alpha is not None:
        partial = (alpha > 0) & (alpha < np.iinfo(alpha.dtype).max)
        if partial.any():
            y, x = _first(partial)
            raise ImageError(f"partly transparent at x {x}, y {y}, which no label is")
    if bands == 1:
        if pixels.max() >= 1 << 16 or pixels.min() < 0:
            y, x = _first((pixels[..., 0] >= 1 << 16) | (pixels[..., 0] < 0))
            raise ImageError(
                f"value {pixels[y, x, 0]} at x {x}, y {y}, but indexes are from 0 to 65535"
            )
        return pixels[..., 0].astype(np.int32), False
    if dtype == np.uint16 and (pixels % 257 == 0).all():
        pixels = pixels // 257
    elif dtype != np.uint8:
        raise ImageError(f"colours of {dtype}, but those of label maps have 8 bits")
    r, g, b = np.moveaxis(pixels.astype(np.int32), 2, 0)
    return (r << 16) | (g << 8) | b, True


def _first(where: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Row and column of the first place that is true."""
    y, x = np.unravel_index(int(where.argmax()), where.shape)
    return int(y), int(x)


def _looked_up(codes: Codes, table: Mapping[int, int]) -> Codes:
    """What a table has for each code; `_UNKNOWN` where it has nothing."""
    known = np.array(sorted(table), np.int32)
    places = np.searchsorted(known, codes).clip(max=len(known) - 1)
    numbers = np.array([table[int(code)] for code in known], np.int32)
    return np.where(known[places] == codes, numbers[places], _UNKNOWN)


def packed(color: Iterable[int]) -> int:
    """A colour as 0xRRGGBB."""
    r, g, b = color
    return (r << 16) | (g << 8) | b


def unpacked(code: int) -> Color:
    """`packed`, undone."""
    return code >> 16, (code >> 8) & 255, code & 255


def hexadecimal(color: Color) -> str:
    """A colour such as `#804080`."""
    return f"#{packed(color):06x}"


def distinct(index: int) -> Color:
    """A colour for the class with an index, as those of Pascal VOC: bits spread over the bands."""
    color: list[int] = [0, 0, 0]
    for shift in range(7, -1, -1):
        for band in range(3):
            color[band] |= ((index >> band) & 1) << shift
        index >>= 3
    r, g, b = color
    return r, g, b


def one_hot(numbers: Pixels, classes: int, valid: npt.NDArray[np.bool_] | None = None) -> Pixels:
    """Class numbers (height, width, 1) as float32 (height, width, classes): 1 for the class.

    Where there is no data, all are 0. Of instances, if there are any, the borders are one more.
    """
    numbers, instances = numbers[..., :1], numbers[..., 1:]
    hot: npt.NDArray[Any] = (numbers == np.arange(classes, dtype=numbers.dtype)).astype(np.float32)
    if valid is not None:
        hot *= valid[..., None]
    return np.dstack([hot, borders(instances[..., 0])]) if instances.size else hot


def with_instances(labels: Picture, instances: Picture) -> Picture:
    """Class numbers with a second channel, the numbers of instances; both uint16.

    Raises:
        ImageError: the instance map has another size, or is none.
    """
    if instances.size != labels.size:
        shapes = ["{1} x {0}".format(*each.size) for each in (instances, labels)]
        raise ImageError(f"{shapes[0]} pixels, but its label map has {shapes[1]}")
    codes, _ = codes_of(instances)
    found, numbers = np.unique(codes, return_inverse=True)
    if len(found) > 1 << 16:
        raise ImageError(f"{len(found)} values, but an instance map has at most 65536 instances")
    both = [labels.pixels.astype(np.uint16), numbers.reshape(codes.shape).astype(np.uint16)]
    return replace(labels, pixels=np.dstack(both))


def borders(instances: Pixels) -> npt.NDArray[np.float32]:
    """1 where one of the four neighbours is of another instance (Wang et al. 2018, section 3.3)."""
    found = np.zeros(instances.shape, np.float32)
    across, down = instances[:, 1:] != instances[:, :-1], instances[1:] != instances[:-1]
    for part, differs in (
        (found[:, 1:], across),
        (found[:, :-1], across),
        (found[1:], down),
        (found[:-1], down),
    ):
        part[differs] = 1
    return found
