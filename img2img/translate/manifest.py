"""The record of the results in a folder: which input they were made from, and how.

It is a hidden file of JSON lines, one for each translated input, appended once its results are
written. Each of several processes has its own file. The record only saves work: a line that is lost
or torn, by `kill -9` for example, costs one translation and nothing else.
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
"""Bytes, and the time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Entry:
    """One input and its results. Names are relative, with slashes."""

    source: str
    """The input, as seen from the root of the inputs."""
    state: FileState
    """The input's, before it was read."""
    settings: str
    """The model and all that changes the results."""
    size: tuple[int, int]
    """Height and width of the picture."""
    made: dict[str, FileState]
    """The files written, as seen from the manifest's folder, as they were then."""


def file_state(path: Path) -> FileState:
    """Raises OSError where there is no such file."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


class Manifest:
    """Appends to the manifest of a folder, which is created. Safe to use from several threads.

    The first process rewrites damaged manifests with their intact lines; files whose lines are lost
    are translated again.

    Args:
        rank: number of this process, where several write to the folder.
        say: called with a line on each that was damaged.

    Raises:
        StorageError: the folder cannot be made or written to.
    """

    def __init__(
        self, folder: Path, rank: int = 0, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._path = folder / (f".img2img-{rank}.jsonl" if rank else ".img2img.jsonl")
        self._lock = threading.Lock()
        if self._path.exists() and not self._path.is_file():
            raise StorageError.of(
                self._path, "not a regular file, but the list of results is kept there; remove it"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                if file.tell() and not _ends_a_line(self._path):
                    file.write(b"\n")  # the torn line stays a line of its own
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {error.strerror or error}") from error
        for path in () if rank else _manifests(folder):
            entries = [_parsed(line) for line in json_lines(path)]
            if None in entries:
                write_text(path, "".join(_line(entry) for entry in entries if entry))
                say(f"{path}: was damaged and has been rebuilt from its intact lines")

    def add(self, entry: Entry) -> None:
        """Note that the results are there.

        Raises:
            StorageError: the disk refused.
        """
        line = _line(entry).encode()
        try:
            # In one write, so that commands that share a folder do not mix their lines.
            with self._lock, self._path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            message = f"cannot write {self._path}: {error.strerror or error}"
            raise StorageError(message) from error


class Made:
    """What the manifests of a folder contain, when they were read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.by_source: dict[str, list[Entry]] = {}
        self.any = False
        """Whether there is any line, even a damaged one: the folder holds results."""
        self._states: set[tuple[str, FileState]] = set()
        for path in _manifests(folder):
            for entry in map(_parsed, json_lines(path)):
                self.any = True
                if entry is not None:
                    self.by_source.setdefault(entry.source, []).append(entry)
                    self._states.update(entry.made.items())

    @property
    def results(self) -> set[str]:
        """The results, except those that have replaced their input."""
        made = {name for entries in self.by_source.values() for e in entries for name in e.made}
        return made - self.by_source.keys()

    def stands(self, name: str) -> bool:
        """Whether the file of that name is an unchanged result."""
        with suppress(OSError):
            state = file_state(self._folder / name)
            entries = self.by_source.get(name, [])
            # Of an entry that says nothing of what was made, the result was about to replace its
            # input, and has done so if that is another file now.
            replaced = bool(entries) and not entries[-1].made and entries[-1].state != state
            return replaced or (name, state) in self._states
        return False

    def stands_as_made(self, name: str) -> bool:
        """Whether the file of that name is an unchanged result, of any input."""
        with suppress(OSError):
            return (name, file_state(self._folder / name)) in self._states
        return False

    def find(
        self, source: str, state: FileState | None, settings: str, wanted: Sequence[str]
    ) -> Entry | None:
        """The entry of an input whose wanted results have these settings and are unchanged.

        Args:
            state: the input's now; None if it does not matter, as where its result replaced it.
        """
        entries = self.by_source.get(source, [])
        if entries and not entries[-1].made:
            return entries[-1] if self.stands(source) else None
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
    """The entry of a line; None if it is damaged."""
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
