"""Accepts keys by the names that they had in earlier versions."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from img2img.errors import ConfigError

# By the old dotted key, the new one.
RENAMED = {
    "checkpointing": "activation_checkpointing",
}


def renewed(tree: Mapping[str, Any], say: Callable[[str], None] | None = None) -> dict[str, Any]:
    """A copy of a tree with the present names of its keys.

    Args:
        say: called with a line for each old key.

    Raises:
        ConfigError: both the old and the new key are given.
    """
    new_tree = copy.deepcopy(dict(tree))
    for old, new in RENAMED.items():
        *sections, key = old.split(".")
        section: Any = new_tree
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section:
            continue
        value = section.pop(key)
        *sections, key = new.split(".")
        section = new_tree
        for name in sections:
            section = section.setdefault(name, {})
        if key in section:
            raise ConfigError(f"{old} is the old name of {new}: set only one of them")
        section[key] = value
        if say is not None:
            say(f"{old} is now called {new}")
    return new_tree
