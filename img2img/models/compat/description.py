"""A generator's settings that its weights do not show, in a small JSON file beside them."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from img2img import __version__
from img2img.errors import ModelFileError, shortened
from img2img.models.spec import ModelSpec
from img2img.runtime.files import parse_json, write_text

_MOST_BYTES = 2**20


class Description(BaseModel):
    """The description of a generator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    img2img: str = __version__
    """The version that wrote it."""
    format_version: Literal[1] = 1
    network: ModelSpec


def description_path(path: Path) -> Path:
    """Where the description of a file of weights is, if there is one."""
    return path.with_suffix(".json")


def write_description(path: Path, spec: ModelSpec) -> Path:
    """Describe the network whose weights are in a file.

    Raises:
        StorageError: the disk refused.
    """
    target = description_path(path)
    write_text(target, Description(network=spec).model_dump_json(indent=2) + "\n")
    return target


def read_description(path: Path) -> Description | None:
    """The description of the network in a file; None where there is none of ours.

    Raises:
        ModelFileError: there is one, and it is damaged.
    """
    file = description_path(path)
    if file == path or not file.is_file() or file.stat().st_size > _MOST_BYTES:
        return None
    try:
        content = parse_json(file.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or "img2img" not in content:
        return None  # of another program, which may well call its settings so
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        detail = error.errors()[0]
        reason = shortened(": ".join([*map(str, detail["loc"]), detail["msg"]]))
        raise ModelFileError.of(file, f"its description is not valid: {reason}") from None
