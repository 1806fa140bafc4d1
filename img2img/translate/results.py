"""The results of a call: where they are, and how they are recorded for later calls."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Any

from img2img.errors import ImageError
from img2img.images import OURS
from img2img.runtime.files import remove_leftovers, write_text
from img2img.runtime.processes import Processes
from img2img.translate.gallery import Card
from img2img.translate.manifest import Entry, FileState, Manifest, Record, file_state
from img2img.translate.masks import Masks
from img2img.translate.naming import names
from img2img.translate.options import FolderOptions
from img2img.translate.plan import Job, Plan
from img2img.video.containers import MATROSKA

# Temporary files older than this, in seconds, cannot be another command's work in progress.
LEFT = 3600.0


@dataclass(frozen=True)
class Results:
    """Where the results of a call go, and the settings that affect them."""

    planned: Plan
    manifest: Manifest
    settings: Sequence[Any]
    """The model, and the options that affect images."""
    video_settings: Sequence[Any]
    """The model, and the options that affect videos."""
    masks: Masks | None
    compare: Path | None
    """The folder of comparisons; None if there is none."""
    gallery: Path | None
    """The folder of the gallery; None if there is none."""

    @classmethod
    def of(
        cls,
        planned: Plan,
        options: FolderOptions,
        model: str,
        masks: Masks | None,
        processes: Processes,
        say: Callable[[str], None],
    ) -> "Results":
        """The results of a plan.

        Args:
            model: a text that differs between models whose results may differ.

        Raises:
            StorageError: the output folder cannot be written to.
        """
        folders = [
            processes.from_first(planned.free_folder(name)) if wanted else None
            for name, wanted in (("compare", options.compare), ("gallery", options.gallery))
        ]
        return cls(
            planned,
            Manifest(planned.folder, processes.rank, say),
            [model, *options.image_settings],
            [model, options.video_settings],
            masks,
            *folders,
        )

    def made_before(self) -> dict[Job, Entry]:
        """The jobs that need not be done again, with their entries in the manifest."""
        record = Record(self.planned.folder)
        found = {}
        for job in self.planned.jobs:
            # If the result has replaced the input, only the result can be checked.
            for paths in [[job.target]] if job.in_place else self._outputs(job):
                with suppress(OSError, ImageError):
                    state = None if job.in_place else state_of(job)
                    wanted = [*map(self._name, paths)]
                    entry = record.find(job.name, state, self._settings(job), wanted)
                    if entry:
                        found[job] = entry
        return found

    def note(self, job: Job, state: FileState, size: tuple[int, int], *paths: Path) -> Entry:
        """Record the results of an input; without paths, that it is about to be replaced.

        Recording the latter first ensures that after an interruption no result is translated again.

        Raises:
            StorageError: the manifest cannot be written.
        """
        made = {self._name(path): file_state(path) for path in paths}
        entry = Entry(job.name, state, self._settings(job), size, made)
        self.manifest.add(entry)
        return entry

    def elsewhere(self, job: Job, path: Path) -> Path:
        """A free name for a video whose container had to be changed.

        Args:
            path: the planned name with the new suffix, which another file may already have.
        """
        taken = {other.target for other in self.planned.jobs}
        entries = Record(self.planned.folder).by_source.get(job.name, [])
        own = {name for entry in entries for name in entry.made}
        return next(
            free
            for free in (path.with_name(name) for name in names(job.target, path.suffix))
            if free not in taken and (self._name(free) in own or not os.path.lexists(free))
        )

    def compared(self, job: Job) -> tuple[Path, Path]:
        """Paths of the comparison: in the result's format, and as PNG if that cannot hold it."""
        assert self.compare
        path = self.compare / job.target.relative_to(self.planned.folder)
        return path, path.with_name(f"{path.name}.png")

    def thumbnails(self, job: Job) -> tuple[Path, Path]:
        """Paths of the thumbnails of input and result, the same in every call."""
        assert self.gallery
        name = hashlib.blake2b(os.fsencode(job.name), digest_size=10).hexdigest()
        return self.gallery / f"{name}-before.jpg", self.gallery / f"{name}-after.jpg"

    def card(self, job: Job, entry: Entry) -> Card | None:
        """The gallery card of a file; None if it has no thumbnails."""
        before, after = self.thumbnails(job)
        if self._name(before) not in entry.made:
            return None
        return Card(job.name, entry.size, job.target, before, after)

    def prepare(self) -> None:
        """Create the extra folders, and remove unfinished files that killed processes left.

        Raises:
            StorageError: a folder cannot be created.
        """
        for folder in filter(None, (self.compare, self.gallery)):
            write_text(folder / OURS, "")
        paths = (path for job in self.planned.jobs for path in self._outputs(job)[0])
        for folder in {path.parent for path in paths}:
            remove_leftovers(folder, older=LEFT)

    def _outputs(self, job: Job) -> list[list[Path]]:
        """All files that a job writes, for each name that the last of them may have."""
        if job.is_video:
            others = islice(names(job.target, MATROSKA), 3)
            return [[job.target], *([job.target.with_name(name)] for name in others)]
        paths = [job.target, *(self.thumbnails(job) if self.gallery else ())]
        return [[*paths, path] for path in self.compared(job)] if self.compare else [paths]

    def _settings(self, job: Job) -> str:
        """Everything besides the input that its result depends on."""
        own = self.video_settings if job.is_video else self.settings
        frames = job.frames if job.is_video else None
        masks = self.masks.identity(job.name, frames) if self.masks else ()
        return json.dumps([*own, *(masks)])

    def _name(self, path: Path) -> str:
        return path.relative_to(self.planned.folder).as_posix()


def state_of(job: Job) -> FileState:
    """Size and time by which an input is recognised; of several files together.

    Raises:
        ImageError: it is not a regular file: opening a pipe would wait forever.
        OSError: it does not exist.
    """
    files = job.frames or job.inputs or [job.source]
    if astray := next((file for file in files if not S_ISREG(file.stat().st_mode)), None):
        raise ImageError.of(astray, "not a regular file")
    states = [file_state(file) for file in files]
    return sum(size for size, _ in states), max(time for _, time in states)
