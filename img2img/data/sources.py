"""The source of an image, or of a pair of images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from img2img.config import Unequal
from img2img.data.raster import Raster
from img2img.data.sizes import brought_to
from img2img.errors import ImageError
from img2img.images import Domain, Picture, read_native_picture

# Called with the number of items done and the number of all items.
CountProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImageSource:
    """An image file, or one half of a file with two images side by side.

    Attributes:
        domain: its channels and what its values mean; None: as the file has them.
    """

    path: Path
    half: Literal["left", "right"] | None = None
    domain: Domain | None = None

    @property
    def files(self) -> tuple["ImageSource", ...]:
        """The files to decode."""
        return (self,)

    def seen_as(self, domain: Domain | None) -> "ImageSource":
        """The same source, with its values read by a domain."""
        return replace(self, domain=domain)

    def read(self) -> Picture:
        """Read the image.

        Raises:
            ImageError: the file does not decode, its width is odd and it is to be halved, or it has
                other channels than the domain.
        """
        return self.cut(read_native_picture(self.path))

    def raster(self) -> Raster:
        """The image as networks are given it, at the size of the file."""
        return Raster.of(self.read(), self.domain)

    def cut(self, whole: Picture) -> Picture:
        """The part of the file's picture that belongs to this source."""
        if self.domain is not None:
            try:
                whole = self.domain.seen(whole)
            except ImageError as error:
                raise ImageError.of(self.path, error.reason) from None
        if self.half is None:
            return whole
        width = whole.size[1]
        if width % 2:
            raise ImageError.of(
                self.path, f"width {width} is odd, so it cannot be split into two images"
            )
        start = 0 if self.half == "left" else width // 2
        return whole.columns(start, start + width // 2)


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
        return (self.A,) if self.A.path == self.B.path else (self.A, self.B)

    def seen_as(self, domains: Mapping[str, Domain | None]) -> "Pair":
        """The same pair, with the values of A and B read by their domains."""
        return replace(self, A=self.A.seen_as(domains["A"]), B=self.B.seen_as(domains["B"]))

    def read(self) -> tuple[Picture, Picture]:
        """Read both images, in one size; a file with both is decoded once.

        Raises:
            ImageError: a file cannot be decoded, or the two images differ in shape.
        """
        A = read_native_picture(self.A.path)
        B = A if self.B.path == self.A.path else read_native_picture(self.B.path)
        A, B = self.A.cut(A), self.B.cut(B)
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
