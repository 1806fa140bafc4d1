"""A page of before/after sliders, which a browser shows from the disk without any server."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from img2img.files import write_text
from img2img.images import Picture, eight_bit, resized

# The longer side of the page's pictures, in pixels.
THUMBNAIL = 1024
QUALITY = 88

_PAGE = Template(Path(__file__).with_name("gallery.html").read_text(encoding="utf-8"))
_CARD = Template("""\
<figure>
<div class="pair" style="--shape: $width / $height">
<img src="$before" alt="" width="$width" height="$height" loading="lazy" decoding="async">
<img src="$after" alt="" width="$width" height="$height" loading="lazy" decoding="async">
<input type="range" value="50" step="0.1" aria-label="$name: more of the input, or of the result">
</div>
<figcaption><a href="$link">$name</a> <span>$size</span></figcaption>
</figure>""")


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
    pixels = eight_bit(resized(picture.composited(), _fitting(picture.size)))
    return Picture(pixels, icc=picture.icc)


def write_gallery(
    page: Path, title: str, cards: Sequence[Card], failed: Mapping[Path, str]
) -> None:
    """Write the page; its pictures are where the cards say.

    Raises:
        StorageError: the disk refused.
    """
    counts = [f"{len(cards)} translated"] + [f"{len(failed)} failed"] * bool(failed)
    reasons = "\n".join(
        f"<tr><th>{_text(str(path))}</th><td>{_text(why)}</td></tr>" for path, why in failed.items()
    )
    filled = _PAGE.substitute(
        title=_text(title),
        counts=" · ".join(counts),
        failed=f"<h2>Failed</h2>\n<table>\n{reasons}\n</table>" if failed else "",
        cards="\n".join(_card(card, page.parent) for card in cards),
    )
    write_text(page, filled)


def _card(card: Card, folder: Path) -> str:
    height, width = _fitting(card.size)
    return _CARD.substitute(
        name=_text(card.name),
        size=f"{card.size[1]} × {card.size[0]}",
        width=width,
        height=height,
        link=_link(card.result, folder),
        before=_link(card.before, folder),
        after=_link(card.after, folder),
    )


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    factor = min(1.0, THUMBNAIL / max(size))
    height, width = (max(1, round(factor * side)) for side in size)
    return height, width


def _link(path: Path, folder: Path) -> str:
    """Relative, with all that means something in an address or in HTML escaped."""
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))


def _text(name: str) -> str:
    return escape(os.fsencode(name).decode(errors="replace"))
