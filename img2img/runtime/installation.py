"""Commands that install missing packages into this Python."""

import re
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

_DISTRIBUTION = "img2img-gan"
# How the requirements of an extra are marked.
_OF_EXTRA = re.compile(r"""(.+?)\s*;\s*extra\s*==\s*["']([\w-]+)["']""")


def install_extra(extra: str) -> str:
    """The command that installs an extra of this program.

    It names the extra's packages, because this program itself may not be on any index.
    """
    try:
        required = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a checkout
        required = []
    found = [match for match in map(_OF_EXTRA.fullmatch, required) if match]
    packages = [match[1] for match in found if match[2] == extra]
    return install(packages or ["-e", f"{Path(__file__).parents[2]}[{extra}]"])


def install(packages: Sequence[str]) -> str:
    """The command that installs packages into the running Python."""
    if any(metadata.distributions(name="pip")):
        return shlex.join([sys.executable, "-m", "pip", "install", *packages])
    return shlex.join(["uv", "pip", "install", "--python", sys.executable, *packages])
