"""Checks options that name models, before anything slow is loaded."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import typer

from img2img.errors import ModelFileError, nearest_path

Models = TypeVar("Models", Path, list[Path], None)


def check_model_option(context: typer.Context, given: Models) -> Models:
    """Callback of options that name models: refuse files that cannot be models.

    Raises:
        ModelFileError: a file is not a model.
    """
    from img2img.archives.plausibility import refuse_impossible

    if not context.resilient_parsing:  # which completes a command line, and runs nothing
        several: Iterable[Path] = given if isinstance(given, list) else [given] if given else []
        for path in several:
            refuse_impossible(path)
    return given


def require_model(model: Path) -> None:
    """Refuse a model that does not exist, before torch is loaded.

    Raises:
        ModelFileError: it does not exist.
    """
    if not model.exists():
        raise ModelFileError.of(model, f"no such file or folder{nearest_path(model)}")
