"""What is written for a translated file, and noted."""

import errno
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np

from img2img.errors import ImageError, Img2ImgError, StorageError
from img2img.images import Frames, Picture, of_depth, resized, write_image, write_picture
from img2img.runtime.files import remove_leftovers
from img2img.translate.gallery import QUALITY, Card, thumbnail
from img2img.translate.manifest import Entry, FileState, Made, Manifest, file_state
from img2img.translate.naming import names
from img2img.translate.plan import Job, Plan
from img2img.video.containers import MATROSKA

# What makes all further writing pointless; anything else is the matter of one file.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
# What is being written may be another command's: seconds after which it no longer is.
LEFT = 3600.0

# What a file holds.
Image = Picture | Frames


@dataclass(frozen=True)
class Loaded:
    """A file that has been read."""

    job: Job
    state: FileState
    image: Image


@dataclass(frozen=True)
class Failed:
    """A file of which nothing is made, and why."""

    job: Job
    reason: str

    @classmethod
    def by(cls, job: Job, error: Exception) -> Self:
        """The file itself is named by whoever reports this."""
        if isinstance(error, Img2ImgError) and error.path == job.source:
            return cls(job, error.reason)
        return cls(job, str(error))


@dataclass(frozen=True)
class Results:
    """Where the results of a file go, and how."""

    folder: Path
    """What the names in the manifest start from."""
    manifest: Manifest | None
    settings: str
    """Of what images are made by, as far as it changes them."""
    video_settings: str
    """The same of videos."""
    quality: int
    compare: Path | None
    gallery: Path | None

    def write(self, loaded: Loaded, image: Image) -> tuple[Job, Entry] | Failed:
        """Write all that is made of a file, and note it.

        Raises:
            StorageError: it makes no sense to go on.
        """
        job, before, after = loaded.job, frames_of(loaded.image), frames_of(image)
        beside: list[Path] = []
        try:
            if self.gallery:
                for path, frame in zip(self._thumbnails(job), (before[0], after[0]), strict=True):
                    write_picture(path, thumbnail(frame), QUALITY)
                    beside.append(path)
            if self.compare:
                frames = [_beside(*pair) for pair in zip(before, after, strict=True)]
                beside.append(self._write_compared(job, with_frames(image, frames)))
            if self.manifest and job.in_place:
                # Noted before, so that what ends in between is not translated once more.
                self.manifest.add(Entry(job.name, loaded.state, self.settings, after[0].size, {}))
            # Last: it may replace the input, and where it stands all is done.
            write_image(job.target, image, self.quality)
            made = {self._name(path): file_state(path) for path in (job.target, *beside)}
            entry = Entry(job.name, loaded.state, self.settings, after[0].size, made)
            if self.manifest:
                self.manifest.add(entry)
        except (Img2ImgError, MemoryError, OSError) as error:
            for path in beside:  # of what failed, nothing stays
                with suppress(OSError):
                    path.unlink()
            if is_pointless(error):
                raise
            return Failed.by(job, error)
        return job, entry

    def elsewhere(self, job: Job, planned: Plan, path: Path) -> Path:
        """The name for a video's result that cannot have the container planned.

        Args:
            path: the name it might have, which is another's or a file of somebody's own.
        """
        taken = {other.target for other in planned.jobs}
        entries = Made(self.folder).by_source.get(job.name, [])
        own = {name for entry in entries for name in entry.made}
        return next(
            free
            for free in (path.with_name(name) for name in names(job.target, path.suffix))
            if free not in taken and (self._name(free) in own or not os.path.lexists(free))
        )

    def put_in_place(self, job: Job, state: FileState, size: tuple[int, int], made: Path) -> None:
        """Have a video replace its input.

        Raises:
            OSError: the disk refused.
            StorageError: likewise.
        """
        if self.manifest:  # before, so that what ends in between is not translated once more
            self.manifest.add(Entry(job.name, state, self.video_settings, size, {}))
        made.replace(job.target)

    def note_video(self, job: Job, state: FileState, size: tuple[int, int], made: Path) -> Entry:
        """Note that a video, or a folder of its frames, has been made.

        Raises:
            StorageError: the disk refused.
        """
        states = {self._name(made): file_state(made)}
        entry = Entry(job.name, state, self.video_settings, size, states)
        if self.manifest:
            self.manifest.add(entry)
        return entry

    def made_before(self, planned: Plan) -> dict[Job, Entry]:
        """Which files need not be translated again."""
        made = Made(self.folder)
        found = {}
        for job in planned.jobs:
            # Where the result has replaced the input, the result is all that there is to look at.
            for paths in [[job.target]] if job.in_place else self._outputs(job):
                with suppress(OSError):
                    state = None if job.in_place else state_of(job)
                    settings = self.video_settings if job.is_video else self.settings
                    entry = made.find(job.name, state, settings, [*map(self._name, paths)])
                    if entry:
                        found[job] = entry
        return found

    def card(self, job: Job, entry: Entry) -> Card | None:
        """What the gallery shows of a file; None if its result, made without, cannot be undone."""
        before, after = self._thumbnails(job)
        if self._name(before) not in entry.made:
            return None
        return Card(job.name, entry.size, job.target, before, after)

    def remove_leftovers(self, jobs: Sequence[Job]) -> None:
        """Remove what killed processes were writing to the folders that the jobs write to."""
        paths = (path for job in jobs for path in self._outputs(job)[0])
        for folder in {path.parent for path in paths}:
            remove_leftovers(folder, older=LEFT)

    def _outputs(self, job: Job) -> list[list[Path]]:
        """All that is made of a file, in each of the ways that there are."""
        if job.is_video:
            others = islice(names(job.target, MATROSKA), 3)
            return [[job.target], *([job.target.with_name(name)] for name in others)]
        paths = [job.target, *(self._thumbnails(job) if self.gallery else ())]
        return [[*paths, path] for path in self._compared(job)] if self.compare else [paths]

    def _write_compared(self, job: Job, image: Image) -> Path:
        path, instead = self._compared(job)
        try:
            write_image(path, image, self.quality)
        except ImageError:
            write_image(instead, image)
            return instead
        return path

    def _compared(self, job: Job) -> tuple[Path, Path]:
        """Of the result's format; and where that has no room for twice the width, PNG."""
        assert self.compare
        path = self.compare / job.target.relative_to(self.folder)
        return path, path.with_name(f"{path.name}.png")

    def _thumbnails(self, job: Job) -> tuple[Path, Path]:
        """Of input and result; their names are the same in every call."""
        assert self.gallery
        name = hashlib.blake2b(os.fsencode(job.name), digest_size=10).hexdigest()
        return self.gallery / f"{name}-before.jpg", self.gallery / f"{name}-after.jpg"

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def state_of(job: Job) -> FileState:
    """What an input is known by again; of a sequence, of all files of it together."""
    states = [file_state(file) for file in job.frames or [job.source]]
    return sum(size for size, _ in states), max(time for _, time in states)


def is_pointless(error: Exception) -> bool:
    """Whether after such an error all further writing would fail, too."""
    cause = error.__cause__ if isinstance(error, StorageError) else None
    return isinstance(cause, OSError) and cause.errno in FULL


def frames_of(image: Image) -> Sequence[Picture]:
    """The pictures that a file holds, at least one."""
    return image.frames if isinstance(image, Frames) else (image,)


def with_frames(image: Image, frames: Sequence[Picture]) -> Image:
    """As `image` in all but its pictures."""
    return replace(image, frames=tuple(frames)) if isinstance(image, Frames) else frames[0]


def held_by(image: Image) -> int:
    """Bytes of its pixels in memory."""
    arrays = [array for frame in frames_of(image) for array in (frame.pixels, frame.alpha)]
    return sum(array.nbytes for array in arrays if array is not None)


def _beside(left: Picture, right: Picture) -> Picture:
    """Input and result as one picture, the input at the size of the result."""
    levels = left.levels, right.levels
    dtype = max((each.dtype for each in levels), key=lambda dtype: dtype.itemsize)
    sides = [resized(of_depth(each, dtype), right.size) for each in levels]
    alpha = None
    if left.alpha is not None and right.alpha is not None:
        both = (of_depth(each, dtype) for each in (left.alpha, right.alpha))
        alpha = np.hstack([resized(each, right.size) for each in both])
    return replace(right, pixels=np.hstack(sides), alpha=alpha, values=None)
