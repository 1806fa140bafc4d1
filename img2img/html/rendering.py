"""Jinja templates of pages that a browser shows from the disk, without a server."""

import os
import unicodedata
from base64 import b64encode
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from shlex import quote
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(package: str, template: str, **values: Any) -> str:
    """Fill in a template of the folder `templates` of a package.

    Templates can extend and import those of this package: `frame.html` and `slider.html`. Values
    are escaped, unless they are `Markup`; file names may hold any bytes.
    """
    return _environment(package).get_template(template).render(**values)


@lru_cache
def _environment(package: str) -> Environment:
    loaders = [PackageLoader(name) for name in (package, __name__.rpartition(".")[0])]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_displayable,
    )
    environment.filters |= {
        "digits": _digits,
        "duration": _duration,
        "sha256": _sha256,
        "shell": _shell,
        "thousands": "{:,}".format,
    }
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def _displayable(value: Any) -> Any:
    """Text in which bytes that are not Unicode and invisible format characters are replaced.

    Some of these turn the direction of writing, and would show another name.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or value.isascii():
        return value
    shown = os.fsencode(value).decode(errors="replace")
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_format(c) else c for c in shown)


def _is_format(character: str) -> bool:
    return unicodedata.category(character) == "Cf"


def _sha256(script: str) -> str:
    """The digest by which a Content-Security-Policy allows a script."""
    return b64encode(sha256(script.encode()).digest()).decode()


def _digits(value: float, count: int = 4) -> str:
    """A number with so many significant digits."""
    return f"{value:.{count}g}"


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


def _shell(word: object) -> str:
    """One word of a command line."""
    return quote(str(word))
