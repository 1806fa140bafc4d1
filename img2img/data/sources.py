"""The source of an image, or of a pair of images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from img2img.config import SideConfig, Unequal
from img2img.data.layouts import images_by_name
from img2img.data.raster import Raster
from img2img.data.sizes import brought_to
from img2img.data.slices import (
    VOLUMES,
    Image,
    Slice,
    count_slices,
    facts_of,
    seen_by,
    slice_of,
    slices_in,
)
from img2img.errors import ImageError
from img2img.images import (
    ALPHA,
    Domain,
    FileFacts,
    Number,
    Pages,
    Picture,
    read_native_picture,
    weights_of,
    with_instances,
)

Side = Literal["A", "B"]
# Called with the number of items done and the number of all items.
CountProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImageSource:
    """An image file, or one half of a file with two images side by side.

    Attributes:
        domain: what it is taken for; None: it is read as the file has it.
        slice: which slice of a volume it is, or a whole volume; None: the file has one picture.
        pages: what the pages of the file are.
        input: the name of the input that it is an image of, if there are several.
        beside: the images of the other inputs, whose channels come after its own.
        unequal: what to do with those whose shapes differ from its own; see `brought_to`.
        labels: whether it is a label map: of a palette, the indexes are read and not the colours.
        nodata: the value of pixels that hold no data, besides what the file says.
        instances: the file of the instance map of a label map.
        mask: the file of its mask, or `alpha`, its own transparency; see `Picture.mask`.
    """

    path: Path
    half: Literal["left", "right"] | None = None
    domain: Domain | None = None
    slice: Slice | None = None
    pages: Pages = "auto"
    input: str = ""
    beside: tuple["ImageSource", ...] = ()
    unequal: Unequal = "refuse"
    labels: bool = False
    # Which follow from its path.
    nodata: Number | None = field(default=None, compare=False)
    instances: Path | None = field(default=None, compare=False)
    mask: Path | Literal["alpha"] | None = field(default=None, compare=False)

    @classmethod
    def of(cls, path: Path, wanted: SideConfig | None = None, input: str = "") -> "ImageSource":
        """A file; if it has several pictures, all slices of it along an axis."""
        wanted = wanted or SideConfig()
        found = slices_in(path, wanted.axis, wanted.pages)
        return cls(path, slice=found, pages=wanted.pages, input=input)

    @property
    def facts(self) -> FileFacts | None:
        """What the file holds, if it may hold several pictures."""
        return facts_of(self.path, self.pages)

    @property
    def files(self) -> tuple["ImageSource", ...]:
        """The files to decode."""
        return (replace(self, beside=()), *self.beside) if self.beside else (self,)

    @property
    def name(self) -> str:
        """The name of the file, and the number of the slice."""
        return self.path.name + self.number

    @property
    def number(self) -> str:
        """The number of the slice in names; empty if it is none."""
        return "" if self.slice is None or self.slice.index is None else f"#{self.slice.index + 1}"

    @property
    def count(self) -> int:
        """How many samples it is."""
        return 1 if self.slice is None or self.slice.index is not None else self.slice.count

    def samples(self) -> Iterator["ImageSource"]:
        """Each slice of a volume; the image itself if it is none."""
        if self.slice is None:
            yield self
        else:
            yield from map(self.at, range(self.slice.count))

    def at(self, index: int | None) -> "ImageSource":
        """A slice of the volume; None: the whole of it."""
        if self.slice is None or self.slice.index == index:
            return self
        beside = tuple(each.at(index) for each in self.beside)
        return replace(self, slice=replace(self.slice, index=index), beside=beside)

    def seen_as(self, domain: Domain | None) -> "ImageSource":
        """The same source, with its values read by a domain.

        Raises:
            ImageError: slices of the domain are taken along another axis.
        """
        if domain is not None and self.slice is not None:
            axis = next(iter(domain.by_input.values())).axis
            if axis != self.slice.axis:
                raise ImageError.of(
                    self.path, f"slices along {self.slice.axis}, but {axis} is expected"
                )
        return replace(self, domain=domain, labels=domain is not None and bool(domain.classes))

    def read(self) -> Picture:
        """Read the image, or the slice; of several inputs, all as one picture.

        Raises:
            ImageError: the file does not decode, its width is odd and it is to be halved, or it has
                other channels than the domain.
        """
        if self.slice is None and not self.beside:
            return self.cut(self._whole())
        index = (self.slice and self.slice.index) or 0
        images = [each.image() for each in self.files]
        if self.domain is None:
            return self._half(slice_of(images[0], self.slice.axis if self.slice else "z", index))
        names = [each.path for each in self.files]
        return self._half(seen_by(self.domain, images, index, names=names, unequal=self.unequal))

    def image(self) -> Image:
        """All that is in the file."""
        return self._whole() if self.slice is None else VOLUMES.read(self.path, self.pages)

    def _whole(self) -> Picture:
        return read_native_picture(self.path, indices=self.labels, pages=self.pages)

    def pictures(self) -> Iterator[Picture]:
        """All pictures in the file as it has them, one after the other."""
        if self.slice is None:
            yield self.read()
            return
        image = VOLUMES.read(self.path, self.pages)
        for index in range(self.slice.count):
            yield self.at(index)._half(slice_of(image, self.slice.axis, index))

    def raster(self) -> Raster:
        """The image as networks are given it, at the size of the file."""
        return Raster.of(self.read(), self.domain)

    def cut(self, whole: Picture) -> Picture:
        """The part of the file's picture that belongs to this source."""
        wanted = self.domain is not None and self.domain.instances
        if self.domain is not None:
            seen = self.domain.alone if wanted else self.domain
            whole = seen_by(seen, [whole], names=[self.path])
        picture = self._half(whole)
        if self.instances is None:
            if wanted:
                raise ImageError.of(self.path, "it has no instance map: set `data.A.instances`")
            return picture
        try:
            both = with_instances(picture, read_native_picture(self.instances, indices=True))
        except ImageError as error:
            reason = f"its instance map {self.instances}: {error.reason}"
            raise ImageError.of(self.path, reason) from None
        return both if wanted else picture

    def _half(self, whole: Picture) -> Picture:
        if self.half is None:
            return self._masked(whole)
        width = whole.size[1]
        if width % 2:
            raise ImageError.of(
                self.path, f"width {width} is odd, so it cannot be split into two images"
            )
        start = 0 if self.half == "left" else width // 2
        return self._masked(whole.columns(start, start + width // 2))

    def _masked(self, picture: Picture) -> Picture:
        """With its mask; raises ImageError where there is nothing to see."""
        if self.nodata is not None and self.domain is None:
            picture = picture.without(self.nodata)
        if self.slice is None and picture.valid is not None and not picture.valid.any():
            raise ImageError.of(self.path, "no pixel holds data: all are nodata, or not finite")
        if self.mask is None:
            return picture
        if self.mask == ALPHA:
            opacity = picture.alpha
            if self.domain is not None and self.domain.channels[-1] == ALPHA:
                opacity = picture.pixels[..., -1]
            return picture if opacity is None else replace(picture, mask=opacity > 0)
        assert isinstance(self.mask, Path)
        try:
            mask = self._mask(self.mask)
            width = picture.size[1]
            if self.half is not None and mask.size[1] == 2 * width:  # of both images
                mask = mask.columns(*((0, width) if self.half == "left" else (width, 2 * width)))
            return replace(picture, mask=weights_of(mask, picture) > 0)
        except ImageError as error:
            raise ImageError.of(self.path, f"its mask {self.mask}: {error.reason}") from None

    def _mask(self, path: Path) -> Picture:
        """The picture of a mask: of a slice, that of the same number, if the mask is a volume."""
        if self.slice is None:
            return read_native_picture(path)
        mask, axis = VOLUMES.read(path), self.slice.axis
        if (count := count_slices(mask, axis)) not in {1, self.slice.count}:
            raise ImageError(f"{count} slices, but the image has {self.slice.count}")
        return slice_of(mask, axis, self.slice.index or 0)


@dataclass(frozen=True)
class Pair:
    """The same thing in domain A and in domain B. `name` is unique in a folder.

    Attributes:
        target: the domain whose image is changed to the other's size if they differ.
        unequal: what to do with it if the shapes differ too; see `brought_to`.
    """

    name: str
    A: ImageSource
    B: ImageSource
    target: Literal["A", "B"] = "B"
    unequal: Unequal = "refuse"

    @property
    def files(self) -> tuple[ImageSource, ...]:
        """The files to decode; a file with both images is named once."""
        return self.A.files if self.A.path == self.B.path else (*self.A.files, *self.B.files)

    @property
    def count(self) -> int:
        """How many samples it is."""
        return self.A.count

    def samples(self) -> Iterator["Pair"]:
        """Each slice of two volumes; the pair itself if they are none."""
        if self.A.slice is None:
            yield self
        else:
            yield from map(self.at, range(self.A.slice.count))

    def at(self, index: int | None) -> "Pair":
        """A slice of both volumes; None: the whole of them."""
        if self.A.slice is None or self.A.slice.index == index:
            return self
        A, B = self.A.at(index), self.B.at(index)
        return replace(self, name=self.name.removesuffix(self.A.number) + A.number, A=A, B=B)

    def with_sources(self, change: "Callable[[Side, ImageSource], ImageSource]") -> "Pair":
        """The same pair, with a function of its domain, `A` or `B`, applied to each image."""
        return replace(self, A=change("A", self.A), B=change("B", self.B))

    def read(self) -> tuple[Picture, Picture]:
        """Read both images, in one size; a file with both is decoded once.

        Raises:
            ImageError: a file cannot be decoded, or the two images differ in shape.
        """
        one_file = self.B.path == self.A.path and self.A.labels == self.B.labels
        if one_file and isinstance(whole := self.A.image(), Picture):
            A, B = self.A.cut(whole), self.B.cut(whole)
        else:
            A, B = self.A.read(), self.B.read()
        one, other = (A, B) if self.target == "B" else (B, A)
        changed = brought_to(other, one.size, self.unequal)
        if changed is None:
            raise ImageError.of(
                self.B.path, f"{_shape(B)} pixels, but {self.A.path} has {_shape(A)}"
            )
        return (A, changed) if self.target == "B" else (changed, B)

    def rasters(self) -> tuple[Raster, Raster]:
        """Both images as networks are given them, of one size."""
        A, B = self.read()
        return Raster.of(A, self.A.domain), Raster.of(B, self.B.domain)


Item = Pair | ImageSource


def _shape(picture: Picture) -> str:
    height, width = picture.size
    return f"{width} x {height}"


def sources_by_name(folder: Path, wanted: SideConfig | None = None) -> dict[str, ImageSource]:
    """The images in a folder by their path without the suffix, and slices by their number too.

    Raises:
        DataError: there are no images.
    """
    return {
        f"{name}{source.number}": source
        for name, (file, *_) in images_by_name(folder).items()
        for source in ImageSource.of(file, wanted).samples()
    }
