"""The facts of a run, `facts.json`: what was known before the first step of its last session."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from img2img.runs.log import Change, is_number
from img2img.runtime.files import parse_json, write_text


@dataclass(frozen=True)
class RunFacts:
    """What is known before the first step."""

    output: Path
    method: str
    device: str
    precision: str
    images: str
    """What is trained on and held out, and where it was found, in words to be shown."""
    batches: str
    """How many images a step takes, and how, in words to be shown."""
    load_size: tuple[int, int] | None
    """(height, width) in pixels, as `crop_size`; None where images are left as they are."""
    crop_size: tuple[int, int]
    parameters: Mapping[str, int]
    """By network name."""
    step: int
    """Where the session starts: 0, or the step it is resumed at."""
    total_steps: int | None
    """None when the length is in minutes and not yet measured."""
    minutes: float | None
    """The length, where it is in minutes."""
    seconds: float
    """Spent training in earlier sessions."""
    step_seconds: float
    """Duration of one step in a trial."""
    memory_bytes: int | None
    """Peak memory of a trial step and what the optimizers will add; None if unknown here."""
    disk_bytes: int
    """The most that models and states will take."""
    free_disk_bytes: int
    side_by_side: bool = False
    """Whether each image holds both domains."""
    held_out: Sequence[str] = ()
    """The files that are held out; see `runs.data`."""
    left_out: Sequence[str] = ()
    """The files that cannot be used (`data.skip_bad`)."""
    changes: Sequence[Change] = ()
    """Settings that differ from those that a resumed run was started with."""
    values: str = ""
    """What the values in the files of both domains are, in words to be shown."""
    translates: bool = True
    """Whether the model's input is images; not of one that makes images from noise."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of this program, of torch and of Python."""


@dataclass(frozen=True)
class SavedFacts:
    """What a run folder says of them; None for what an earlier version has not written."""

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
        StorageError: the disk refused.
    """
    write_text(path, f"{json.dumps(asdict(facts), indent=2, default=str)}\n")


def read_facts(path: Path) -> SavedFacts:
    """Read `facts.json`. What is missing or damaged is None: nothing else depends on it."""
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
    """Whether images hold both domains; version 0.1.0 says so only in words."""
    if "side_by_side" in found:
        return found["side_by_side"] is True
    return "side-by-side images in" in str(found.get("images"))


def _names(value: object) -> frozenset[str] | None:
    return frozenset(map(str, value)) if isinstance(value, list) else None


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None
