"""Images to translate, with the targets that some of them have."""

from collections.abc import Sequence
from typing import Literal, TypeVar

from img2img.data.sources import Item, Pair
from img2img.errors import ImageError
from img2img.images import Picture, to_tensor
from img2img.metrics.paired import l1

Direction = Literal["AtoB", "BtoA"]
# The longer side of a picture in a page, in pixels, and what it may take in bytes.
LONGEST = 640
_MOST_BYTES = 150_000
T = TypeVar("T")


def named(pairs: Sequence[Pair], direction: Direction, *, aligned: bool) -> list[tuple[str, Item]]:
    """What there is to translate in one direction, with its name: pairs, or inputs alone.

    Args:
        aligned: whether a pair's images show the same thing; else an image may be in several pairs.
    """
    if aligned:
        return [(pair.name, pair) for pair in pairs]
    sources = dict.fromkeys(pair.A if direction == "AtoB" else pair.B for pair in pairs)
    return [(source.path.name, source) for source in sources]


def read(item: Item, direction: Direction) -> tuple[Picture, Picture | None]:
    """The input, and the target if there is one.

    Raises:
        ImageError: a file does not decode, or the two differ in size.
    """
    if not isinstance(item, Pair):
        return item.read(), None
    A, B = item.read()
    return (A, B) if direction == "AtoB" else (B, A)


def difference(one: Picture, other: Picture) -> float:
    """Mean absolute difference of two pictures, of pixels in [0, 1].

    Raises:
        ImageError: their sizes differ.
    """
    if one.size != other.size:
        raise ImageError("the result is not of the target's size")
    a, b = (to_tensor(picture.composited())[None] for picture in (one, other))
    return l1(a, b).item()


def bytes_each(together: int, count: int) -> int:
    """What each of so many pictures may take where all may take `together`."""
    return min(_MOST_BYTES, together // max(1, count))


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of them, at equal distances, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(index * (len(items) - 1) / max(1, most - 1))] for index in range(most)]
