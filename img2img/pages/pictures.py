"""Sliders between the pictures of a page, and how many bytes each picture may take."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from markupsafe import Markup

from img2img.html import embedded
from img2img.images import Picture

# The longer side of an embedded picture in pixels, and its size in bytes.
MAX_SIDE = 640
MAX_BYTES = 150_000
T = TypeVar("T")


@dataclass(frozen=True)
class Slider(Generic[T]):
    """Pictures of one test image, any two of which are compared by a slider.

    Attributes:
        image: the test image, with what was measured of it.
        size: height and width of the first picture.
        pictures: the label, such as `input`, and the data URL of each.
    """

    image: T
    name: str
    size: tuple[int, int]
    pictures: list[tuple[str, Markup]]

    @property
    def labels(self) -> list[str]:
        """The label of each picture."""
        return [label for label, _ in self.pictures]

    @property
    def sources(self) -> list[tuple[Markup, str]]:
        """The data URL of each picture, and its alternative text."""
        return [(url, f"{self.name}: {label}") for label, url in self.pictures]


def slider_of(
    image: T, name: str, pictures: Iterable[tuple[str, Picture]], max_bytes: int
) -> Slider[T]:
    """Embed labelled pictures, each in at most `max_bytes`."""
    known = list(pictures)
    urls = [(label, embedded(picture, MAX_SIDE, max_bytes)) for label, picture in known]
    return Slider(image, name, known[0][1].size, urls)


def bytes_per_picture(total: int, count: int) -> int:
    """The most bytes of each of `count` pictures that share `total`."""
    return min(MAX_BYTES, total // max(1, count))
