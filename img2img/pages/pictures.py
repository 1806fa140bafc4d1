"""Pictures that a page holds, and the bytes that they may take."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from markupsafe import Markup

from img2img.html import embedded
from img2img.images import Picture

# The longer side of a picture in a page, in pixels, and what it may take in bytes.
LONGEST = 640
MOST_BYTES = 150_000
T = TypeVar("T")


@dataclass(frozen=True)
class Shown(Generic[T]):
    """Pictures of one thing, to stand in a slider.

    Attributes:
        of: what they show.
        size: height and width of the first picture itself.
        pictures: what each is, such as `input`, and an address that holds it.
    """

    of: T
    name: str
    size: tuple[int, int]
    pictures: list[tuple[str, Markup]]

    @property
    def names(self) -> list[str]:
        """What each picture is."""
        return [what for what, _ in self.pictures]

    @property
    def described(self) -> list[tuple[Markup, str]]:
        """The address of each picture, and what to say of it to those who do not see it."""
        return [(address, f"{self.name}: {what}") for what, address in self.pictures]


def shown(of: T, name: str, pictures: Iterable[tuple[str, Picture]], most: int) -> Shown[T]:
    """Embed pictures in addresses of at most so many bytes each."""
    known = list(pictures)
    addresses = [(what, embedded(picture, LONGEST, most)) for what, picture in known]
    return Shown(of, name, known[0][1].size, addresses)


def bytes_each(together: int, count: int) -> int:
    """What each of so many pictures may take where all may take `together`."""
    return min(MOST_BYTES, together // max(1, count))
