"""The facts of a run, `facts.json`: what is known before the first step of a session."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from img2img.runs.log import Change, is_number
from img2img.runtime.files import parse_json, write_text


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run that are known before its first step."""

    output: Path
    method: str
    device: str
    precision: str
    images: str
    """How many images are trained on and held out, and where they were found, as text."""
    batches: str
    """How many images a step uses, and in which batches, as text."""
    load_size: tuple[int, int] | None
    """(height, width) in pixels, as for `crop_size`; None if images are not resized."""
    crop_size: tuple[int, int]
    parameters: Mapping[str, int]
    """Number of weights by name of the network."""
    step: int
    """The step at which the session starts: 0, or the one it resumes from."""
    total_steps: int | None
    """The length in steps; None if it is in minutes and not yet converted."""
    minutes: float | None
    """The length in minutes, if it is set in minutes."""
    seconds: float
    """Training time in earlier sessions."""
    step_seconds: float
    """Duration of a trial step."""
    memory_bytes: int | None
    """Peak memory of a trial step plus what the optimizers will add; None if unknown."""
    disk_bytes: int
    """The most disk space that models and states will need."""
    free_disk_bytes: int
    side_by_side: bool = False
    """Whether each image is a pair, side by side."""
    held_out: Sequence[str] = ()
    """The names of the files that are held out; see `runs.data`."""
    left_out: Sequence[str] = ()
    """The names of the files that cannot be used (`data.skip_bad`)."""
    changes: Sequence[Change] = ()
    """Settings of a resumed run that differ from those it was started with."""
    values: str = ""
    """The values in the files of both domains and their ranges, as text."""
    translates: bool = True
    """Whether the model translates images; False if it makes images from noise."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """The versions of this program, torch and Python."""


@dataclass(frozen=True)
class SavedFacts:
    """The facts that a run folder holds; None for those that an earlier version did not write."""

    images: str | None = None
    batches: str | None = None
    values: str | None = None
    parameters: Mapping[str, int] | None = None
    memory_bytes: int | None = None
    side_by_side: bool = False
    held_out: frozenset[str] | None = None
    left_out: frozenset[str] | None = None
    versions: Mapping[str, str] | None = None


def save_facts(path: Path, facts: RunFacts) -> None:
    """Write `facts.json`.

    Raises:
        StorageError: writing to disk failed.
    """
    write_text(path, f"{json.dumps(asdict(facts), indent=2, default=str)}\n")


def read_facts(path: Path) -> SavedFacts:
    """Read `facts.json`. Facts that are missing or damaged are None."""
    try:
        found = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return SavedFacts()
    if not isinstance(found, dict):
        return SavedFacts()
    words = {key: found.get(key) for key in ("images", "batches", "values")}
    memory = found.get("memory_bytes")
    return SavedFacts(
        **{key: value for key, value in words.items() if isinstance(value, str)},
        parameters=_mapping(found.get("parameters")),
        memory_bytes=int(memory) if is_number(memory) else None,
        side_by_side=_side_by_side(found),
        held_out=_names(found.get("held_out")),
        left_out=_names(found.get("left_out")),
        versions=_mapping(found.get("versions")),
    )


def _side_by_side(found: Mapping[str, Any]) -> bool:
    """Whether each image is a pair, side by side; version 0.1.0 says so only in a text."""
    if "side_by_side" in found:
        return found["side_by_side"] is True
    return "side-by-side images in" in str(found.get("images"))


def _names(value: object) -> frozenset[str] | None:
    return frozenset(map(str, value)) if isinstance(value, list) else None


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None
