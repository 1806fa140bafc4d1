"""The results of files: where they are, and what is recorded of them for later calls."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from stat import S_ISREG

from img2img.errors import ImageError
from img2img.images import OURS
from img2img.runtime.files import remove_leftovers, write_text
from img2img.runtime.processes import Processes
from img2img.translate.gallery import Card
from img2img.translate.manifest import Entry, FileState, Made, Manifest, file_state
from img2img.translate.naming import names
from img2img.translate.options import FolderOptions
from img2img.translate.plan import Job, Plan
from img2img.video.containers import MATROSKA

# Temporary files older than so many seconds are not another command's work in progress.
LEFT = 3600.0


@dataclass(frozen=True)
class Results:
    """Where the results of a call are, and how they are made, as far as that changes them."""

    planned: Plan
    manifest: Manifest
    settings: str
    """Of images: the model and the options."""
    video_settings: str
    compare: Path | None
    gallery: Path | None
    """The folders of comparisons and of the page; None: there are none."""

    @classmethod
    def of(
        cls,
        planned: Plan,
        options: FolderOptions,
        model: str,
        processes: Processes,
        say: Callable[[str], None],
    ) -> "Results":
        """Those of a plan.

        Args:
            model: differs where the results of two models could.

        Raises:
            StorageError: nothing can be written there.
        """
        apart = [
            processes.from_first(planned.apart(name)) if wanted else None
            for name, wanted in (("compare", options.compare), ("gallery", options.gallery))
        ]
        return cls(
            planned,
            Manifest(planned.folder, processes.rank, say),
            json.dumps([model, *options.image_settings]),
            json.dumps([model, options.video_settings]),
            *apart,
        )

    def made_before(self) -> dict[Job, Entry]:
        """Which files need not be translated again."""
        made = Made(self.planned.folder)
        found = {}
        for job in self.planned.jobs:
            # Where the result has replaced the input, the result is all that there is to look at.
            for paths in [[job.target]] if job.in_place else self._outputs(job):
                with suppress(OSError, ImageError):
                    state = None if job.in_place else state_of(job)
                    settings = self.video_settings if job.is_video else self.settings
                    entry = made.find(job.name, state, settings, [*map(self._name, paths)])
                    if entry:
                        found[job] = entry
        return found

    def note(self, job: Job, state: FileState, size: tuple[int, int], *paths: Path) -> Entry:
        """Record the results of an input; without paths, that it is about to be replaced.

        Recording this first makes sure that an interrupted call does not translate a result again.

        Raises:
            StorageError: the disk refused.
        """
        settings = self.video_settings if job.is_video else self.settings
        made = {self._name(path): file_state(path) for path in paths}
        entry = Entry(job.name, state, settings, size, made)
        self.manifest.add(entry)
        return entry

    def elsewhere(self, job: Job, path: Path) -> Path:
        """The name of a video's result whose container had to be changed.

        Args:
            path: the planned name with the new suffix, which may be taken.
        """
        taken = {other.target for other in self.planned.jobs}
        entries = Made(self.planned.folder).by_source.get(job.name, [])
        own = {name for entry in entries for name in entry.made}
        return next(
            free
            for free in (path.with_name(name) for name in names(job.target, path.suffix))
            if free not in taken and (self._name(free) in own or not os.path.lexists(free))
        )

    def compared(self, job: Job) -> tuple[Path, Path]:
        """Where the comparison goes: in the result's format, or, if that is too narrow, as PNG."""
        assert self.compare
        path = self.compare / job.target.relative_to(self.planned.folder)
        return path, path.with_name(f"{path.name}.png")

    def thumbnails(self, job: Job) -> tuple[Path, Path]:
        """Where the thumbnails of input and result go; their names are the same in every call."""
        assert self.gallery
        name = hashlib.blake2b(os.fsencode(job.name), digest_size=10).hexdigest()
        return self.gallery / f"{name}-before.jpg", self.gallery / f"{name}-after.jpg"

    def card(self, job: Job, entry: Entry) -> Card | None:
        """What the gallery shows of a file; None if there are no thumbnails of it."""
        before, after = self.thumbnails(job)
        if self._name(before) not in entry.made:
            return None
        return Card(job.name, entry.size, job.target, before, after)

    def prepare(self) -> None:
        """Make the folders apart, and remove what killed processes were writing to any.

        Raises:
            StorageError: the disk refused.
        """
        for folder in filter(None, (self.compare, self.gallery)):
            write_text(folder / OURS, "")
        paths = (path for job in self.planned.jobs for path in self._outputs(job)[0])
        for folder in {path.parent for path in paths}:
            remove_leftovers(folder, older=LEFT)

    def _outputs(self, job: Job) -> list[list[Path]]:
        """All files that a job writes, for each name that the last of them may get."""
        if job.is_video:
            others = islice(names(job.target, MATROSKA), 3)
            return [[job.target], *([job.target.with_name(name)] for name in others)]
        paths = [job.target, *(self.thumbnails(job) if self.gallery else ())]
        return [[*paths, path] for path in self.compared(job)] if self.compare else [paths]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.planned.folder).as_posix()


def state_of(job: Job) -> FileState:
    """Size and time that an input is recognised by; those of a sequence are combined.

    Raises:
        ImageError: it is not a regular file: to open a pipe would wait for ever.
        OSError: it is not there.
    """
    files = job.frames or [job.source]
    if astray := next((file for file in files if not S_ISREG(file.stat().st_mode)), None):
        raise ImageError.of(astray, "not a regular file")
    states = [file_state(file) for file in files]
    return sum(size for size, _ in states), max(time for _, time in states)
