"""A page of before/after sliders that a browser shows straight from disk, without a server."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from img2img.html import fit_within, render
from img2img.images import Picture
from img2img.images.display import visible
from img2img.runtime.files import write_text

# The longer side of the page's pictures, in pixels.
THUMBNAIL = 1024
QUALITY = 88
# Up to this many cards, all are loaded at once, so that they appear in prints and screenshots.
AT_ONCE = 200


@dataclass(frozen=True)
class Card:
    """One translated picture on the page."""

    name: str
    size: tuple[int, int]
    """Height and width of the picture, not of the thumbnails."""
    result: Path
    before: Path
    after: Path


def thumbnail(picture: Picture) -> Picture:
    """The picture as the page shows it: 8 bits deep, opaque, no larger than `THUMBNAIL`."""
    return Picture(visible(picture, fit_within(picture.size, THUMBNAIL)), icc=picture.icc)


def write_gallery(
    path: Path, title: str, cards: Sequence[Card], failed: Mapping[Path, str], shown: str = ""
) -> None:
    """Write the page. The thumbnails that the cards refer to must exist.

    Args:
        shown: what is shown of the pictures; see `images.display.shown_of`.

    Raises:
        StorageError: the page cannot be written.
    """
    cards_shown = [
        {
            "name": card.name,
            "size": card.size,
            "shown_size": fit_within(card.size, THUMBNAIL),
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
        shown=shown,
    )
    write_text(path, page)


def _link(path: Path, folder: Path) -> str:
    """The path as a relative URL, with special characters escaped."""
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))
