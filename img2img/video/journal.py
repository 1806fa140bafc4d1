"""The finished part of a long conversion, kept in a hidden folder until the result is complete.

The folder contains closed segments and a journal: one line of JSON on what is converted and how,
then one for each segment, written once the segment is on disk. A process that dies leaves at worst
a file without a line, or half a line; both are ignored.
"""

import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from img2img.errors import DataError, StorageError
from img2img.runtime.files import atomic_write, locked, parse_json, remove_leftovers, write_text

State = dict[str, npt.NDArray[Any]]

_FORMAT = 1
_NAME, _LOCK = "journal.jsonl", ".lock"
_OURS = re.compile(r"journal\.jsonl|\.lock|\d{6}\.(nut|npz)|\.img2img-part-.*", re.ASCII)
# States are as large as frames. Only the newest is needed, and one more in case that is damaged.
_STATES_KEPT = 2
# Bytes read at the beginning and end of an input to recognise it; less if it has several files.
_PROBE_BYTES, _LEAST_PROBED = 1 << 20, 1 << 12
# Maximum length of a file name in bytes, in all common file systems.
_LONGEST_NAME = 255


class Shot(NamedTuple):
    """The properties of a `Frame` that the journal needs."""

    pts: int
    duration: int
    concealed: bool


@dataclass(frozen=True)
class Segment:
    """A closed segment.

    Attributes:
        file: its name in the folder.
        size, checksum: its size in bytes, and its SHA-256.
        first, last: times of its first and last frame.
        duration: how long its last frame is shown; 0 if unknown.
        frames: number of frames.
        concealed: number of frames that replace one that could not be decoded.
        state: name of the file with the state of the transform at its end; None if there is none.
        state_checksum: SHA-256 of that file.
    """

    file: str
    size: int
    checksum: str
    first: int
    last: int
    duration: int
    frames: int
    concealed: int
    state: str | None = None
    state_checksum: str | None = None

    @classmethod
    def of_line(cls, number: int, line: str) -> "Segment":
        """The segment that a line of the journal describes.

        Raises:
            ValueError, TypeError: the line was not written by `add`.
        """
        segment = cls(**parse_json(line))
        numbers = (
            *(segment.size, segment.first, segment.last, segment.duration),
            *(segment.frames, segment.concealed),
        )
        names = (segment.file, segment.state)
        if names not in {(_segment(number), None), (_segment(number), _state(number))} or not all(
            type(value) is int for value in numbers
        ):
            raise ValueError(f"no segment {number}")
        return segment


def work_folder(target: Path) -> Path:
    """The hidden folder with the unfinished work on a file."""
    name = f".{target.name}.img2img"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        told_apart = hashlib.blake2b(os.fsencode(target.name), digest_size=8).hexdigest()
        end = f"-{told_apart}.img2img"
        begin = os.fsencode(name)[: _LONGEST_NAME - len(end)].decode(errors="ignore")
        name = begin + end
    return target.parent / name


class Journal:
    """The segments made so far, in order, and their folder.

    Args:
        target: the file that they will be joined into; their folder is next to it.
        sources: the files that are converted.
        settings: everything else that the segments depend on, as text.
    """

    def __init__(self, target: Path, sources: Sequence[Path], settings: str) -> None:
        self.folder = work_folder(target)
        self.segments: list[Segment] = []
        self._target = target
        self._path = self.folder / _NAME
        self._header = {"format": _FORMAT, "input": _identity(sources), "settings": settings}

    @contextmanager
    def opened(self, say: Callable[[str], None]) -> Iterator[None]:
        """Lock the folder within this context, and read the usable part of its journal.

        At the end, a folder without segments is removed.

        Args:
            say: called with the reason if earlier work cannot be used.

        Raises:
            DataError: something else has the folder's name, or another process is using it.
            StorageError: it cannot be created or written to.
        """
        self._check_place()
        busy = DataError.of(
            self._target,
            "another process is making this file; wait for it, or choose another `output`",
        )
        try:
            with locked(self.folder / _LOCK, busy):
                try:
                    self._read(say)
                    yield
                finally:
                    if not self.segments:
                        self.remove()
        finally:
            with suppress(OSError):  # of a folder with something in it
                self.folder.rmdir()

    @property
    def frames(self) -> int:
        """Number of frames in all segments."""
        return sum(segment.frames for segment in self.segments)

    @property
    def paths(self) -> list[Path]:
        return [self.folder / segment.file for segment in self.segments]

    def next_path(self) -> Path:
        """Path of the next segment."""
        return self.folder / _segment(len(self.segments))

    def add(self, path: Path, shots: Sequence[Shot], state: State) -> None:
        """Record a segment that is closed and on disk, its frames, and the state at its end.

        Raises:
            StorageError: the journal or the state cannot be written.
        """
        kept = self._save_state(state) if state else None
        segment = Segment(
            file=path.name,
            size=path.stat().st_size,
            checksum=_checksum(path),
            first=shots[0].pts,
            last=shots[-1].pts,
            duration=shots[-1].duration,
            frames=len(shots),
            concealed=sum(shot.concealed for shot in shots),
            state=kept.name if kept else None,
            state_checksum=_checksum(kept) if kept else None,
        )
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(segment)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}") from error
        self.segments.append(segment)
        for old in self.segments[:-_STATES_KEPT]:
            if old.state:
                (self.folder / old.state).unlink(missing_ok=True)

    def state(self) -> State:
        """The state of the transform at the end of the last segment; empty if there is none."""
        return self._load_state(self.segments[-1]) if self.segments else {}

    def remove(self) -> None:
        """Remove everything; the journal first, so that it never lists missing files."""
        self.segments = []
        self._path.unlink(missing_ok=True)
        self._remove_others(set())

    def _check_place(self) -> None:
        folder = self.folder
        if not folder.is_symlink() and not folder.exists():
            return
        ours = folder.is_dir() and not folder.is_symlink()
        if not ours or not all(_OURS.fullmatch(path.name) for path in folder.iterdir()):
            raise DataError.of(
                folder,
                f"unfinished work on {self._target.name} would be kept under this name, but it is"
                " taken; move it, or choose another `output`",
            )

    def _read(self, say: Callable[[str], None]) -> None:
        """Keep the segments before the first that cannot be used, and drop the rest."""
        header, segments = self._lines()
        if header is not None and header != self._header:
            same = header.get("input") == self._header["input"]
            what = "settings" if same else "input"
            say(f"the {what} changed since an earlier call; starting from the beginning")
            segments = []
        self.segments = [*self._whole(segments)]
        while self.segments and not self._has_state(self.segments[-1]):
            self.segments.pop()
        if len(self.segments) < len(segments):
            say(
                f"{segments[len(self.segments)].file} or its state is damaged or missing; resuming"
                f" from segment {len(self.segments)}"
            )
        lines = [self._header, *map(asdict, self.segments)]
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in lines))
        kept = {segment.file for segment in self.segments}
        self._remove_others(kept | {segment.state or "" for segment in self.segments})

    def _lines(self) -> tuple[dict[str, Any] | None, list[Segment]]:
        """Header and segments, up to the first damaged line."""
        header, segments = None, []
        with suppress(OSError, ValueError, TypeError):
            header, *lines = self._path.read_text(encoding="utf-8").splitlines()
            header = parse_json(header)
            for number, line in enumerate(lines):
                segments.append(Segment.of_line(number, line))
        return header if isinstance(header, dict) else None, segments

    def _whole(self, segments: list[Segment]) -> Iterator[Segment]:
        """The segments before the first whose file has changed."""
        for segment in segments:
            path = self.folder / segment.file
            try:
                if path.stat().st_size != segment.size or _checksum(path) != segment.checksum:
                    return
            except OSError:
                return
            yield segment

    def _has_state(self, segment: Segment) -> bool:
        if segment.state is None:
            return True
        # Errors that NumPy raises for a file in another format, or with objects.
        with suppress(OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
            path = self.folder / segment.state
            return _checksum(path) == segment.state_checksum and bool(self._load_state(segment))
        return False

    def _load_state(self, segment: Segment) -> State:
        if segment.state is None:
            return {}
        with np.load(self.folder / segment.state, allow_pickle=False) as arrays:
            return dict(arrays)

    def _save_state(self, state: State) -> Path:
        path = self.folder / _state(len(self.segments))
        with atomic_write(path) as temporary:
            np.savez_compressed(temporary, **state)  # type: ignore[arg-type]
        return path

    def _remove_others(self, kept: set[str]) -> None:
        remove_leftovers(self.folder)
        for path in self.folder.iterdir():
            if path.name not in {_NAME, _LOCK, *kept} and path.is_file():
                path.unlink(missing_ok=True)


def _segment(number: int) -> str:
    return f"{number:06d}.nut"


def _state(number: int) -> str:
    return f"{number:06d}.npz"


def _identity(paths: Sequence[Path]) -> dict[str, Any]:
    """By what files are recognised: sizes, times, and a hash of their beginnings and ends."""
    size, latest, digest = 0, 0, hashlib.sha256()
    share = max(_LEAST_PROBED, _PROBE_BYTES // len(paths))
    for path in paths:
        try:
            stat = path.stat()
            with path.open("rb") as file:
                digest.update(file.read(share))
                file.seek(max(0, stat.st_size - share))
                digest.update(file.read(share))
        except OSError as error:
            raise DataError.of(path, f"cannot be read: {error.strerror}") from error
        size, latest = size + stat.st_size, max(latest, stat.st_mtime_ns)
    return {"size": size, "time": latest, "hash": digest.hexdigest()}


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
