"""Plug-ins: other packages that provide parts, methods and recipes.

An entry point in the group `img2img.plugins` names a module or package. Importing it registers its
parts, with the same decorators that the program's own parts use; its recipes are in its folder
`configs`. A plug-in is used because it is installed: no model file or configuration can name a
module to import.
"""

import importlib
import importlib.util
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from img2img import __version__

GROUP = "img2img.plugins"
OWN = f"img2img-gan {__version__}"
"""This program as a package, with its version."""


@dataclass(frozen=True)
class Plugin:
    """An installed plug-in.

    Attributes:
        module: the dotted name in its entry point.
        distribution: the installed package and its version, such as `img2img-dcgan 0.1`.
    """

    module: str
    distribution: str

    @property
    def path(self) -> Path | None:
        """The folder of the package, or the file of a single module. Nothing is imported."""
        return module_path(self.module)

    def modules(self) -> Iterator[str]:
        """The dotted names of all its modules."""
        path = self.path
        if path is not None and path.is_dir():
            for file in sorted(path.rglob("*.py")):
                parts = file.relative_to(path).with_suffix("").parts
                yield ".".join([self.module, *(part for part in parts if part != "__init__")])
        elif path is not None:
            yield self.module


@cache
def plugins() -> tuple[Plugin, ...]:
    """The installed plug-ins, sorted by package. None is imported."""
    found = {
        Plugin(point.value, f"{point.dist.name} {point.dist.version}" if point.dist else point.name)
        for point in entry_points(group=GROUP)
    }
    return tuple(sorted(found, key=lambda plugin: (plugin.distribution, plugin.module)))


def configurations() -> Iterator[tuple[Path, str]]:
    """The YAML files of plug-ins, each with its package."""
    for plugin in plugins():
        path = plugin.path
        if path is not None:
            yield from ((file, plugin.distribution) for file in sorted(path.glob("configs/*.yaml")))


def owner(module: str) -> str:
    """The package that a module belongs to."""
    if module.partition(".")[0] == __package__:
        return OWN
    for plugin in plugins():
        if f"{module}.".startswith(f"{plugin.module}."):
            return plugin.distribution
    return module


_turn = threading.RLock()
_begun: set[Plugin] = set()
_failures: list[str] = []


def load_plugins() -> list[str]:
    """Import all plug-ins, the first time that this is called.

    Returns:
        A line for each plug-in that cannot be imported, with the reason. Each gives one warning.
    """
    with _turn:
        for plugin in plugins():
            if plugin in _begun:
                continue
            _begun.add(plugin)  # before the import: it may look parts up
            try:
                importlib.import_module(plugin.module)
            except Exception as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                _failures.append(f"the plug-in {plugin.distribution} cannot be loaded: {reason}")
                warnings.warn(_failures[-1], stacklevel=1)
    return _failures


def module_path(name: str) -> Path | None:
    """The file of a module, or the folder of a package. Nothing is imported."""
    top, *below = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        return Path(spec.origin) if spec.origin and not below else None
    for location in spec.submodule_search_locations:
        path = Path(location, *below)
        if path.is_dir():
            return path
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
    return None
