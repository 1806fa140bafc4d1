"""A page of before/after sliders, which a browser shows from the disk without any server."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from img2img.html import fitting, render
from img2img.images import Picture, eight_bit, resized
from img2img.runtime.files import write_text

# The longer side of the page's pictures, in pixels.
THUMBNAIL = 1024
QUALITY = 88
# Cards of a page that are loaded at once, so that prints and screenshots have them all.
AT_ONCE = 200


@dataclass(frozen=True)
class Card:
    """One translated picture on the page."""

    name: str
    size: tuple[int, int]
    """Height and width of the picture itself."""
    result: Path
    before: Path
    after: Path


def thumbnail(picture: Picture) -> Picture:
    """The picture as the page shows it: 8 bits deep, opaque, no larger than `THUMBNAIL`."""
    pixels = eight_bit(resized(picture.composited(), fitting(picture.size, THUMBNAIL)))
    return Picture(pixels, icc=picture.icc)


def write_gallery(
    path: Path, title: str, cards: Sequence[Card], failed: Mapping[Path, str]
) -> None:
    """Write the page; its pictures are where the cards say.

    Raises:
        StorageError: the disk refused.
    """
    cards_shown = [
        {
            "name": card.name,
            "size": card.size,
            "shown_size": fitting(card.size, THUMBNAIL),
            "result": _link(card.result, path.parent),
            "pictures": [_link(each, path.parent) for each in (card.before, card.after)],
        }
        for card in cards
    ]
    page = render(
        "img2img.translate",
        "gallery.html",
        title=title,
        cards=cards_shown,
        lazy=len(cards) > AT_ONCE,
        failed={str(file): reason for file, reason in failed.items()},
    )
    write_text(path, page)


def _link(path: Path, folder: Path) -> str:
    """A relative address, with all that means something in an address escaped."""
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))
