"""Shell completion of methods, configurations and models, without large imports."""

import glob
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from img2img.catalogue import entries
from img2img.plugins import configurations as of_plugins
from img2img.runtime.resources import bundled

# Whatever there is in a folder, one keystroke may not take long.
MOST_LOOKED_AT = 2000
MODEL_FILES = {".safetensors", ".onnx", ".xml", ".pt2", ".pth", ".pt"}


def methods(incomplete: str) -> list[tuple[str, str]]:
    """Methods with their summaries, and run folders, because `train --resume` needs no method."""
    found = [(each.name, each.summary) for each in entries("methods")]
    return [*(pair for pair in found if pair[0].startswith(incomplete)), *runs(incomplete)]


def backends(incomplete: str) -> list[tuple[str, str]]:
    """Backends with their summaries."""
    found = [(each.name, each.summary) for each in entries("backends")]
    return [pair for pair in found if pair[0].startswith(incomplete)]


def configurations(incomplete: str) -> list[tuple[str, str]]:
    """The user's files, and the names of those that ship with the program."""
    own = [(path, "") for path in _near(incomplete) if Path(path).suffix in {".yaml", ".yml"}]
    shipped = [(path.name, "shipped") for path in sorted(bundled("configs").glob("*.yaml"))]
    shipped += [(path.name, f"from {origin}") for path, origin in of_plugins()]
    return [*own, *(each for each in shipped if each[0].startswith(incomplete))]


def runs(incomplete: str) -> list[tuple[str, str]]:
    """Run folders."""
    return [(path, "run") for path in _near(incomplete) if Path(path, "config.yaml").is_file()]


def models(incomplete: str) -> list[tuple[str, str]]:
    """Run folders with a model, and files that may be models."""
    return [
        (path, "")
        for path in _near(incomplete)
        if Path(path).suffix in MODEL_FILES or Path(path, "model.safetensors").is_file()
    ]


def _near(incomplete: str) -> Iterator[str]:
    """The paths that begin with this text, and those one folder deeper."""
    begun = glob.escape(incomplete)
    for pattern in (f"{begun}*", f"{begun}*/*"):
        yield from sorted(islice(glob.iglob(pattern), MOST_LOOKED_AT))  # noqa: PTH207
