"""The log of a run, `metrics.jsonl`: a line of JSON for each observation.

Every line has `step`, `images` and `epoch`. Each number has a tag: `G/...` and `D/...` are losses
and scores of generators and critics; the constants below are the beginnings of the other tags.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, TypeGuard

from img2img.errors import ConfigError, StorageError
from img2img.runtime.files import json_lines, write_text

# Measures of held-out images, what the untouched inputs have of each, and of their targets.
VAL, BASELINE, TARGETS = "val/", "baseline/", "targets/"
# What translations of a few images show of the generators' health; see `doctor.diagnostics`.
DIAGNOSTICS = "diagnostics/"
# Keys that are no tags: settings that differ from here on (`Change`), and what was not finite.
CHANGED, DIVERGED = "changed", "diverged"

Line = dict[str, Any]

# Tags of version 0.1.0.
_OLD_TAG = re.compile(r"signs/(\w+?)(_wanted|_guessed|)(_AtoB|_BtoA|)")
_OLD_NAMES = {
    "likeness": "correlation",
    "ends": "saturation",
    "trained": "train_l1",
    "held_out": "held_out_l1",
    "_wanted": "_target",
    "_guessed": "_expected",
}


@dataclass(frozen=True)
class Change:
    """A setting that differs from the one the run was started with."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key} was {self.before} when the run was started, and is {self.after} now"


def read_log(path: Path) -> list[Line]:
    """Read the lines of a log; a last line cut short by a crash is left out.

    Raises:
        ConfigError: another line is damaged, or the file cannot be read.
    """
    try:
        found = list(json_lines(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    lines = []
    for number, line in enumerate(found, start=1):
        if isinstance(line, dict) and _is_step(line.get("step")):
            lines.append(_renewed(line))
        elif number < len(found):
            raise ConfigError.of(
                path, f"line {number} is damaged; remove this line, or restore the file"
            )
    return lines


def lines_until(path: Path, step: int, changes: Sequence[Change] = ()) -> list[Line]:
    """The lines of a log up to the step of a resumed run, with the settings changed there.

    Raises:
        ConfigError: see `read_log`.
    """
    kept = [line for line in read_log(path) if line["step"] <= step and DIVERGED not in line]
    if changes and kept:
        where = {key: value for key, value in kept[-1].items() if "/" not in key}
        kept.append({**where, CHANGED: [asdict(change) for change in changes]})
    return kept


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number; losses of a diverged run may not be."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


class LogWriter:
    """Appends lines to a log. Nothing is written before `begin`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def begin(self, step: int, changes: Sequence[Change] = ()) -> None:
        """Continue after a step; lines of later steps are dropped, as they are made again."""
        kept = lines_until(self._path, step, changes)
        write_text(self._path, "".join(f"{json.dumps(line)}\n" for line in kept))
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            StorageError: the disk refused.
        """
        if self._file is None:
            return
        try:
            self._file.write(f"{json.dumps(line)}\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            # Closing tries again what could not be written, an error that was raised before.
            with suppress(OSError):
                self._file.close()
            self._file = None


def _is_step(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63


def _renewed(line: Line) -> Line:
    """A line of any earlier version with the present tags, and with its changes by key."""
    renewed = {_tag(key): value for key, value in line.items()}
    changes = renewed.get(CHANGED)
    if isinstance(changes, list):
        renewed[CHANGED] = [each if isinstance(each, dict) else _change(each) for each in changes]
    return renewed


def _tag(tag: str) -> str:
    if (old := _OLD_TAG.fullmatch(tag)) is None:
        return tag
    name, reference, direction = (_OLD_NAMES.get(part, part) for part in old.groups())
    return f"{DIAGNOSTICS}{name}{reference}{direction}"


def _change(sentence: object) -> dict[str, Any]:
    """A change that version 0.1.0 wrote as `KEY was BEFORE when the run was started, ...`."""
    return {"key": str(sentence).partition(" ")[0], "before": None, "after": None}
