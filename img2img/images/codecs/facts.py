"""What a file says that it holds, without decoding it."""

from dataclasses import dataclass
from typing import Literal

from img2img.errors import ImageError
from img2img.images.formats import MAX_PIXELS
from img2img.images.picture import Size

Palette = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class FileFacts:
    """What a file says that it holds, as `read_native` gives it.

    Attributes:
        size: height and width, of the first picture.
        channels: of a picture, without alpha.
        dtype: of the pixels, such as `uint16`.
        names: of the channels, where the file has any.
        pictures: how many there are.
        axis: what lies between them: `page`, `z`, `t`, or `frame` of an animation; None of one.
        alpha: whether there is an alpha channel besides.
        nodata: the value of pixels that hold no data.
        palette: the colours that stand behind the numbers in the file.
        area: the pixels of all pictures, where they differ in size.
        decided: what is not said in the file, such as `13 pages read as slices of 1 channel`.
        instead: what else the pages can be said to be.
    """

    size: Size
    channels: int
    dtype: str
    names: tuple[str, ...] | None = None
    pictures: int = 1
    axis: str | None = None
    alpha: bool = False
    nodata: float | None = None
    palette: Palette | None = None
    area: int | None = None
    decided: str = ""
    instead: Literal["slices", "channels"] | None = None

    @property
    def pixels(self) -> int:
        """Of all pictures."""
        return self.size[0] * self.size[1] * self.pictures if self.area is None else self.area

    @property
    def beside(self) -> "FileFacts":
        """The same of all pictures as channels of one."""
        channels = self.channels * self.pictures
        decided = f"{self.pictures} {self.called} read as {channels} channels"
        return FileFacts(self.size, channels, self.dtype, None, nodata=self.nodata, decided=decided)

    @property
    def called(self) -> str:
        """What its pictures are."""
        names = {"z": "slices", "t": "points in time", "frame": "frames"}
        return names.get(self.axis or "", "pages")

    def check_size(self) -> None:
        """Raises ImageError for more than is decoded. Fewer than three channels count as three."""
        if self.pixels * max(self.channels, 3) > 3 * MAX_PIXELS:
            size = f"{self.size[1]} x {self.size[0]} pixels"
            size += f" in {self.channels} channels" if self.channels > 3 else ""
            size += f" of {self.pictures} {self.called}" if self.pictures > 1 else ""
            most = f"{3 * MAX_PIXELS} values" if self.channels > 3 else str(MAX_PIXELS)
            raise ImageError(f"{size} are more than the {most} that are supported")

    def check_single(self) -> None:
        """Raises ImageError where there are several pictures."""
        if self.pictures > 1:
            what = self.called
            each = what.removesuffix("s") if what != "points in time" else "one"
            other = f"; {self.alternative('pages')}" if self.instead else ""
            raise ImageError(
                f"{self.pictures} {what}, but a single picture is needed: save each {each} as its"
                f" own file{other}"
            )

    def alternative(self, key: str) -> str:
        """How the pages can be read as something else, by a setting."""
        return f"`{key}={self.instead}` reads them as {self.instead}"

    def explained(self, key: str) -> str:
        """What was decided, and how to decide otherwise; empty if the file says what it is."""
        return f"{self.decided}; {self.alternative(key)}" if self.instead else self.decided
