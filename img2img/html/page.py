"""The frame of a page, and the slider between two pictures."""

import os
import unicodedata
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

_HERE = files(__name__.rpartition(".")[0])
_PAGE = Template(_HERE.joinpath("page.html").read_text(encoding="utf-8"))
_STYLE = _HERE.joinpath("style.css").read_text(encoding="utf-8")
_SLIDER = _HERE.joinpath("slider.js").read_text(encoding="utf-8")
# What is in the page itself, this one script, and nothing from elsewhere.
_POLICY = Template(
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;'
    " style-src 'unsafe-inline'; script-src 'sha256-$digest'; base-uri 'none';"
    " form-action 'none'\">\n"
)


def page(
    title: str, remarks: str, body: str, *, style: str = "", script: str = "", sealed: bool = False
) -> str:
    """A whole page.

    Args:
        title: plain text; all else is HTML.
        remarks: stands beside the title.
        style: CSS in addition to that of all pages.
        script: JavaScript in addition to that of the sliders.
        sealed: all it shows is in it: the browser is told to load nothing else and to run nothing
            but this script.
    """
    script = f"\n{_SLIDER}{script}"
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return _PAGE.substitute(
        title=text(title),
        remarks=remarks,
        body=body,
        style=_STYLE + style,
        script=script,
        policy=_POLICY.substitute(digest=digest) if sealed else "",
    )


def slider(
    pictures: Sequence[tuple[str, str]],
    size: tuple[int, int],
    label: str,
    *,
    left: int = 0,
    lazy: bool = False,
) -> str:
    """Pictures of one thing: one on the left of a handle, and the last on its right.

    Args:
        pictures: for each its address, and what to say of it to those who do not see it.
        size: height and width at which they are shown, in pixels.
        label: what the handle does.
        left: which one is on the left; those that are on neither side are hidden.
        lazy: load each picture only when it comes near the window, for pages of very many.
    """
    height, width = size
    last = len(pictures) - 1
    loading = ' loading="lazy"' if lazy else ""
    role = {left: "", last: " class=right"}
    images = "\n".join(
        f'<img{role.get(index, " hidden")} src="{source}" alt="{text(alt)}"'
        f' width="{width}" height="{height}"{loading}>'
        for index, (source, alt) in enumerate(pictures)
    )
    return (
        f'<div class="pair" style="--shape: {width} / {height}">\n{images}\n'
        f'<input type="range" value="50" step="1" aria-label="{text(label)}">\n</div>'
    )


def text(name: str) -> str:
    """Any text, as file names may be, escaped for HTML and for the values of attributes."""
    shown = os.fsencode(name).decode(errors="replace")
    # Marks that turn the direction of writing would show another name.
    return escape("".join("�" if unicodedata.category(c) == "Cf" else c for c in shown))
