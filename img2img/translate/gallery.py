"""A page of before/after sliders, which a browser shows from the disk without any server."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from urllib.parse import quote

from img2img.html import fitting, page, slider, text
from img2img.images import Picture, eight_bit, resized
from img2img.runtime.files import write_text

# The longer side of the page's pictures, in pixels.
THUMBNAIL = 1024
QUALITY = 88
# Cards of a page that are loaded at once, so that prints and screenshots have them all.
AT_ONCE = 200

_CARD = Template("""\
<figure>
$slider
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
    pixels = eight_bit(resized(picture.composited(), fitting(picture.size, THUMBNAIL)))
    return Picture(pixels, icc=picture.icc)


def write_gallery(
    path: Path, title: str, cards: Sequence[Card], failed: Mapping[Path, str]
) -> None:
    """Write the page; its pictures are where the cards say.

    Raises:
        StorageError: the disk refused.
    """
    counts = [f"{len(cards)} translated"] + [f"{len(failed)} failed"] * bool(failed)
    reasons = "\n".join(
        f"<tr><th>{text(str(file))}</th><td>{text(why)}</td></tr>" for file, why in failed.items()
    )
    remarks = f"<p>{' · '.join(counts)}</p><p>left: input, right: result</p>"
    lazy = len(cards) > AT_ONCE
    figures = "\n".join(_card(card, path.parent, lazy) for card in cards)
    body = f'<main class="grid">\n{figures}\n</main>'
    if failed:
        body += f"\n<h2>Failed</h2>\n<table>\n{reasons}\n</table>"
    write_text(path, page(title, remarks, body))


def _card(card: Card, folder: Path, lazy: bool) -> str:
    # The caption has the name: to tell both pictures apart is left to the slider's label.
    pictures = [(_link(path, folder), "") for path in (card.before, card.after)]
    label = f"{card.name}: more of the input, or of the result"
    return _CARD.substitute(
        slider=slider(pictures, fitting(card.size, THUMBNAIL), label, lazy=lazy),
        name=text(card.name),
        size=f"{card.size[1]} × {card.size[0]}",
        link=_link(card.result, folder),
    )


def _link(path: Path, folder: Path) -> str:
    """Relative, with all that means something in an address or in HTML escaped."""
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))
