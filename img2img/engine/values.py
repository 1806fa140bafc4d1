"""Converting the values of files to those that a model was trained on, and back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from img2img.data.slices import Image, Views, assembled
from img2img.images import (
    RGBA,
    Domain,
    Header,
    Picture,
    Pixels,
    count_outside,
    fits,
    nearest,
    of_depth,
    one_hot,
    resized,
    type_range,
    with_alpha_apart,
    with_pixels,
)
from img2img.models.spec import ModelSpec

Size = tuple[int, int]

# A 16-bit picture with all values below this looks dark to a model that expects the full range.
_DARK = 2**14


@dataclass
class ValueConversion:
    """Which values of pictures mean black and white to one model.

    For a picture of the type that the model was trained on, they are those of the training images;
    for another type, the ends of that type. Results have the type and range of the targets, unless
    inputs and targets had the same type with its full range: then a result has the type of its
    picture.

    Args:
        input, output: the domains in the model's specification.
    """

    input: Domain
    output: Domain

    def __post_init__(self) -> None:
        self._counting = Lock()  # pictures are read in several threads
        # Of results for a slice and its neighbours, the slice is kept.
        self._middle, self.output = self.output.middle, self.output.alone
        self._begin()

    @classmethod
    def of(cls, spec: ModelSpec) -> "ValueConversion":
        """The values of a model."""
        return cls(spec.input, spec.output)

    def _begin(self) -> None:
        self._outside = self._clipped = self._pixels = self._dark = 0

    def with_range(self, picture: Picture) -> Picture:
        """The picture with the channels, and the range of values, that the model takes.

        Raises:
            ImageError: it has others.
        """
        return self.input.seen(picture)

    def views(self, images: Sequence[Image], names: Sequence[Path] = ()) -> Views:
        """What the network is given of an image, or of one for each input, slice by slice.

        Raises:
            ImageError: they are not what the model takes; see `Views`.
        """
        return Views(self.input, images, names, self._look_at)

    def assembled(self, slices: Sequence[Picture], image: Image) -> Image:
        """An image from the results of all its slices."""
        return assembled(slices, image, next(iter(self.input.by_input.values())).axis)

    def full_range(self, picture: Picture, *, count: bool = True) -> Picture:
        """The picture with black and white at the ends of its type; float32 in [-1, 1]."""
        picture = self.with_range(picture)
        if picture.normalized:
            return picture
        if count:
            self._look_at(picture)
        pixels, alpha = picture.levels, picture.alpha
        if pixels.dtype == np.float32:
            return replace(picture, pixels=pixels, values=None, normalized=True)
        alpha = None if alpha is None else of_depth(alpha, pixels.dtype)
        values = 0, int(np.iinfo(pixels.dtype).max)
        return replace(picture, pixels=pixels, alpha=alpha, values=values)

    def network_pixels(
        self, picture: Picture, size: Size | None = None, *, count: bool = True
    ) -> Pixels:
        """The network's input, black and white at the ends of its type; of label maps one-hot.

        Args:
            size: height and width; None: the picture's own.
            count: whether values outside the range are counted, for `remarks`.
        """
        size = size or picture.size
        if self.input.classes:
            picture = self.with_range(picture)
            valid = None if picture.valid is None else nearest(picture.valid, size)
            return one_hot(nearest(picture.pixels, size), self.input.classes, valid)
        return resized(self._levels(picture, count), size)

    def _levels(self, picture: Picture, count: bool) -> Pixels:
        pixels = self.full_range(picture, count=count).composited()
        # With enough precision that a result in another range or type has all of its levels.
        if self._real:
            return of_depth(pixels, np.float32)
        return of_depth(pixels, np.uint16) if self.needs_16_bits(pixels) else pixels

    def needs_16_bits(self, pixels: Pixels) -> bool:
        """Whether results may have more levels than 8-bit pixels like these."""
        return self._own and pixels.dtype == np.uint8

    def restored(self, picture: Picture, pixels: Pixels, size: Size | None = None) -> Picture:
        """The picture with the network's output.

        Args:
            pixels: the output, with black and white at the ends of its type; of label maps logits.
            size: height and width of the result; None: those of the output.
        """
        size = size or (len(pixels), len(pixels[0]))
        valid = None if picture.valid is None else nearest(picture.valid, size)
        if self.output.classes:
            numbers = nearest(pixels.argmax(-1).astype(np.uint8)[..., None], size)
            indexes, colours, nodata = self.output.table.written(numbers, valid)
            made = with_pixels(picture, indexes, None)
            header = replace(made.header or Header(), nodata=nodata, packing=None)
            return replace(
                made,
                header=header,
                colours=colours,
                values=None,
                valid=valid,
                channels=None,
                icc=None,
            )
        pixels, alpha = resized(pixels[..., self._middle], size), picture.alpha
        if alpha is not None:
            if pixels.dtype != np.float32:
                alpha = of_depth(alpha, pixels.dtype)
            alpha = resized(alpha, size)
        made = replace(
            with_pixels(picture, pixels, alpha).seen_as(pixels),
            values=None,
            valid=valid,
            channels=self.output.channels,
            clip=self.output.clip,
            view=self.output.view,
            colours=None,
        )
        if picture.normalized:
            return made
        dtype = np.uint8 if self.input.classes else picture.pixels.dtype
        return self.file_values(made, dtype)

    def file_values(self, made: Picture, dtype: npt.DTypeLike) -> Picture:
        """A result with black and white at the ends of its type, converted to the file's values.

        Args:
            dtype: the type of the picture's file.
        """
        alpha = made.alpha
        if self._own or made.pixels.dtype == np.float32:
            pixels = self.output.written(made.pixels)
            made = replace(made, pixels=pixels, values=self.output.values)
        elif made.pixels.dtype != dtype:
            made = replace(made, pixels=of_depth(made.pixels, dtype))
        made = self._marked(self._with_nodata(made))
        if self.output.channels[-1] == RGBA[-1]:
            return with_alpha_apart(made, self.output.channels)
        if alpha is not None and made.pixels.dtype in (np.uint8, np.uint16):
            made = replace(made, alpha=of_depth(alpha, made.pixels.dtype))
        return made

    def unchanged(self, picture: Picture) -> Picture:
        """What a picture that the network does not change is, among results of the same domain."""
        domain = self.input.alone
        return with_alpha_apart(domain.seen(picture), domain.channels)

    def _with_nodata(self, made: Picture) -> Picture:
        """With the value that stands for no data, for the file to say, if there is one.

        It is that of the targets, of the file, or of the inputs. Integers that have none of these
        get the lowest value of their type, or the highest if the result has the lowest; of
        floating-point numbers it is NaN, and of files with a mask none is needed.

        Where inputs and targets are stored alike, that of the file comes first, and values are
        stored as in the file; else as in the targets.
        """
        dtype, header = made.pixels.dtype, made.header or Header()
        known = self.output.nodata, header.nodata, self.input.nodata
        if self._stored_alike:
            known = header.nodata, self.output.nodata, None
        elif header.packing != self.output.packing:
            header = replace(header, packing=self.output.packing)
        if header.packing and header.packing.changes:  # which has a number for it
            return replace(made, header=replace(header, nodata=None))
        nodata = next((value for value in known if value is not None and fits(value, dtype)), None)
        if nodata is None and made.valid is not None and dtype.kind != "f" and not header.has_mask:
            least, most = type_range(dtype.name)
            is_used = np.all(made.pixels == least, axis=2) & made.valid
            nodata = most if is_used.any() else least
        if header is made.header and nodata == header.nodata:
            return made
        return replace(made, header=replace(header, nodata=nodata))

    def _marked(self, made: Picture) -> Picture:
        """With the value that stands for no data where there is none, and nowhere else."""
        pixels, dtype = made.pixels, made.pixels.dtype
        nodata = None if made.header is None else made.header.nodata
        if nodata is not None and fits(nodata, dtype):
            value = np.asarray(nodata).astype(dtype)
            taken = np.all(pixels == value, axis=2)
            if taken.any():  # the next value, so that it is not taken for a gap
                up = 1 if nodata < self.output.ends[1] else -1
                beside = (
                    np.nextafter(value, dtype.type(up * np.inf))
                    if dtype.kind == "f"
                    else int(nodata) + up
                )
                pixels = np.where(taken[..., None], np.asarray(beside, dtype), pixels)
        else:
            value = np.asarray(np.nan if dtype.kind == "f" else 0, dtype)
        if made.valid is not None:
            pixels = np.where(made.valid[..., None], pixels, value)
        return replace(made, pixels=pixels)

    def remarks(self) -> Iterator[str]:
        """Sentences on pictures since the last call whose values do not suit the model."""
        if self._clipped:
            share = 100 * self._outside / self._pixels
            yield (
                f"{_pictures(self._clipped)} values outside {self.input.extent}, the range that the"
                f" model was trained on; {share:.2g} % of the pixels ({self._outside}) were clipped"
                " to it"
            )
        if self._dark:
            yield (
                f"{_pictures(self._dark)} only 16-bit values below {_DARK}, which look dark to the"
                " model, as it expects 0..65535; rescale them first, or train a model on such files"
                " (`data.A.range`)"
            )
        self._begin()

    @property
    def _own(self) -> bool:
        """Whether results have the type and range of the targets, not of their pictures."""
        return not self.output.whole or self.output.dtype != self.input.dtype

    @property
    def _stored_alike(self) -> bool:
        """Whether files of inputs and targets store values in the same way."""
        given, made = self.input, self.output
        same = given.dtype, given.packing, given.nodata
        return same == (made.dtype, made.packing, made.nodata)

    @property
    def _real(self) -> bool:
        """Whether results have more numbers than 16 bits do, or ones outside of the range."""
        deep = self.output.dtype not in {"uint8", "uint16"}
        return deep or not self.output.clip or self.output.kind == "labels"

    def _look_at(self, picture: Picture) -> None:
        whole = picture.pixels.dtype.kind == "u" and picture.values == (
            0,
            np.iinfo(picture.pixels.dtype).max,
        )
        if whole or picture.values == (-1, 1) or not picture.clip:
            return  # it has been spread already, or is a video's; or nothing is lost
        outside = count_outside(picture)
        deep = picture.values is None and picture.pixels.dtype == np.uint16
        seen = picture.pixels if picture.valid is None else picture.pixels[picture.valid]
        dark = deep and seen.size > 0 and 0 < seen.max() < _DARK
        with self._counting:
            self._pixels += seen.size // seen.shape[-1]
            self._outside += outside
            self._clipped += outside > 0
            self._dark += bool(dark)


def _pictures(count: int) -> str:
    return "a picture has" if count == 1 else f"{count} pictures have"
