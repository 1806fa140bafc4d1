"""The record of the results in a folder: which input each was made from, and how.

It is a hidden file of JSON lines, one for each translated input, appended once its results are
written. If there are several processes, each has its own file. The record only saves work: a line
that is lost or incomplete, after `kill -9` for example, costs one translation and nothing else.
"""

import json
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from img2img.errors import StorageError
from img2img.runtime.files import json_lines, write_text

MANIFESTS = ".img2img*.jsonl"

FileState = tuple[int, int]
"""Size in bytes, and the time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Entry:
    """One input and its results. All names are relative, with slashes."""

    source: str
    """The input, relative to the root of the inputs."""
    state: FileState
    """The input's state before it was read."""
    settings: str
    """The model, and every setting that affects the results."""
    size: tuple[int, int]
    """Height and width of the picture."""
    made: dict[str, FileState]
    """The state of each result when it was written, by its name in the manifest's folder."""


def file_state(path: Path) -> FileState:
    """The state of a file; raises OSError if there is none."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


class Manifest:
    """Appends to the manifest of a folder, which it creates. Safe to use from several threads.

    The first process repairs damaged manifests by keeping their intact lines; files whose lines are
    lost are translated again.

    Args:
        rank: the number of this process, if several write to the folder.
        say: called with a line on each manifest that was damaged.

    Raises:
        StorageError: the folder cannot be created or written to.
    """

    def __init__(
        self, folder: Path, rank: int = 0, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._path = folder / (f".img2img-{rank}.jsonl" if rank else ".img2img.jsonl")
        self._lock = threading.Lock()
        if self._path.exists() and not self._path.is_file():
            raise StorageError.of(
                self._path,
                "img2img keeps its list of results under this name, but this is not a regular"
                " file; remove it",
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                if file.tell() and not _ends_a_line(self._path):
                    file.write(b"\n")  # keeps the incomplete line apart from the next
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {error.strerror or error}") from error
        for path in () if rank else _manifests(folder):
            entries = [_parsed(line) for line in json_lines(path)]
            if None in entries:
                write_text(path, "".join(_line(entry) for entry in entries if entry))
                say(f"{path}: damaged; repaired by keeping its intact lines")

    def add(self, entry: Entry) -> None:
        """Record results that are written.

        Raises:
            StorageError: the manifest cannot be written.
        """
        line = _line(entry).encode()
        try:
            # A single write, so that commands that share a folder do not mix their lines.
            with self._lock, self._path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            message = f"cannot write {self._path}: {error.strerror or error}"
            raise StorageError(message) from error


class Record:
    """The entries of all manifests in a folder, as they were when it was created."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.by_source: dict[str, list[Entry]] = {}
        self.has_lines = False
        """Whether there is any line, even a damaged one: then the folder has results."""
        self._states: set[tuple[str, FileState]] = set()
        for path in _manifests(folder):
            for entry in map(_parsed, json_lines(path)):
                self.has_lines = True
                if entry is not None:
                    self.by_source.setdefault(entry.source, []).append(entry)
                    self._states.update(entry.made.items())

    @property
    def results(self) -> set[str]:
        """Names of the results, except those that replaced their input."""
        made = {name for entries in self.by_source.values() for e in entries for name in e.made}
        return made - self.by_source.keys()

    def is_result(self, name: str) -> bool:
        """Whether the file is an unchanged result, or has just replaced its input."""
        with suppress(OSError):
            state = file_state(self._folder / name)
            entries = self.by_source.get(name, [])
            # An entry without results was written just before a result replaced its input. The
            # result has done so if the input is a different file now.
            replaced = bool(entries) and not entries[-1].made and entries[-1].state != state
            return replaced or (name, state) in self._states
        return False

    def is_recorded(self, name: str) -> bool:
        """Whether the file is, unchanged, the recorded result of any input."""
        with suppress(OSError):
            return (name, file_state(self._folder / name)) in self._states
        return False

    def find(
        self, source: str, state: FileState | None, settings: str, wanted: Sequence[str]
    ) -> Entry | None:
        """The entry of an input, if its wanted results have these settings and are unchanged.

        Args:
            state: the current state of the input; None accepts any, as when the result replaced it.
        """
        entries = self.by_source.get(source, [])
        if entries and not entries[-1].made:
            return entries[-1] if self.is_result(source) else None
        for entry in reversed(entries):
            if (
                entry.settings == settings
                and state in (None, entry.state)
                and all(self._is_as_made(name, entry) for name in wanted)
            ):
                return entry
        return None

    def _is_as_made(self, name: str, entry: Entry) -> bool:
        try:
            return entry.made.get(name) == file_state(self._folder / name)
        except OSError:
            return False


def _manifests(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob(MANIFESTS)) if path.is_file()]


def _line(entry: Entry) -> str:
    return f"{json.dumps(asdict(entry))}\n"


def _parsed(fields: Any) -> Entry | None:
    """The entry in a line; None if the line is damaged."""
    try:
        (size, time), (height, width) = fields["state"], fields["size"]
        made = {name: (size, time) for name, (size, time) in fields["made"].items()}
        entry = Entry(fields["source"], (size, time), fields["settings"], (height, width), made)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    numbers = (*entry.state, *entry.size, *(number for state in made.values() for number in state))
    sound = all(type(number) is int for number in numbers)
    return entry if sound and all(type(t) is str for t in (entry.source, entry.settings)) else None


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
