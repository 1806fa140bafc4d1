"""Options that name models, looked at before anything slow is loaded."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import typer

from img2img.errors import ModelFileError, nearest_path

Models = TypeVar("Models", Path, list[Path], None)


def plausible(context: typer.Context, given: Models) -> Models:
    """The callback of such options: what cannot be a model is refused at once.

    Raises:
        ModelFileError: a file is none.
    """
    from img2img.archives.plausibility import refuse_impossible

    if not context.resilient_parsing:  # which completes a command line, and runs nothing
        several: Iterable[Path] = given if isinstance(given, list) else [given] if given else []
        for path in several:
            refuse_impossible(path)
    return given


def require(model: Path) -> None:
    """Refuse a model that is not there, before torch is loaded.

    Raises:
        ModelFileError: it is not.
    """
    if not model.exists():
        raise ModelFileError.of(model, f"no such file or folder{nearest_path(model)}")
