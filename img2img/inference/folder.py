"""Translating files: a picture, a folder with all that is in it, or a glob.

A file is read, translated and written in a chain in which each step works ahead of the next, so
that disk, decoders and network are busy at once; how far ahead is bounded, and so is the memory.
"""

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image as Header

from img2img.errors import (
    ImageError,
    Img2ImgError,
    StorageError,
    TranslationInterrupted,
    TranslationStopped,
)
from img2img.images import Picture, read_picture, write_picture
from img2img.inference.gallery import QUALITY, Card, thumbnail, write_gallery
from img2img.inference.manifest import Entry, FileState, Made, Manifest, file_state
from img2img.inference.pipeline import ahead
from img2img.inference.plan import Job, Plan, plan
from img2img.inference.translator import Translator
from img2img.processes import ALONE, Processes

# Threads that read, and as many that write.
THREADS = min(8, os.cpu_count() or 1)
# Pixels that are read and not yet taken by the network, and that are translated and not yet
# written: 200 MB of 8-bit RGB each. One picture of more is alone.
PIXELS_AHEAD = 64 * 2**20
# What makes all further writing pointless; anything else is the matter of one file.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}

Image = Picture
Progress = Callable[[int, int], None]


@dataclass
class Report:
    """What became of the files."""

    output: Path
    """The folder of the results, or the one result that was given a name."""
    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    """Inputs whose result was there already."""
    failed: dict[Path, str] = field(default_factory=dict)
    """The reason by input."""
    passed_over: dict[str, int] = field(default_factory=dict)
    """How many files are pictures of a kind that is not read, by suffix."""
    seconds: float = 0.0
    gallery: Path | None = None
    """The page, if one was asked for."""

    @property
    def images_per_second(self) -> float:
        """Of those translated by this call."""
        return len(self.written) / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it: paths as text."""
        return {
            "output": str(self.output),
            "written": [str(path) for path in self.written],
            "skipped": [str(path) for path in self.skipped],
            "failed": {str(path): reason for path, reason in self.failed.items()},
            "passed_over": self.passed_over,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 3),
            "gallery": None if self.gallery is None else str(self.gallery),
        }


def translate_folder(
    translator: Translator,
    source: Path | str,
    output: Path | str,
    *,
    image_format: str | None = None,
    quality: int = 95,
    skip_existing: bool = False,
    overwrite: bool = False,
    compare: bool = False,
    gallery: bool = False,
    processes: Processes = ALONE,
    progress: Progress | None = None,
) -> Report:
    """Translate file after file. One that fails is noted and does not stop the others.

    A manifest in the output folder remembers what was made of which file, how, for a later call
    with `skip_existing`. (A single result with a name of its own has one only with
    `skip_existing`.)

    Args:
        source: a file, a folder, or a glob such as `scans/**/*.tif`.
        output: a folder; or, for a single file, a file name.
        image_format: suffix of all results, such as `png`; None keeps each file's own.
        quality: of JPEG and lossy WebP, 1 to 100.
        skip_existing: leave what this model made with these settings, where neither input nor
            result has changed since (by size and time).
        overwrite: let results replace their inputs, where `output` is the folder of the input.
        compare: write input and result side by side, too, in the folder `compare`.
        gallery: make a page to look at, `gallery/index.html`.
        processes: all of them make this call, and share the files; each gets the whole report.
        progress: called with (files done, files) of this process.

    Raises:
        DataError: nothing there, no images, or the results would overwrite the input.
        StorageError: nothing can be written to the output folder.
        TranslationStopped: the disk is full, or Ctrl-C; what is written is whole.
    """
    begun = time.monotonic()
    # All look, so that all see the same mistake; what the first one sees is what is done.
    planned = processes.from_first(
        plan(str(source), Path(output), image_format, overwrite=overwrite)
    )
    kept = skip_existing or not planned.named
    writer = _Writer(
        folder=planned.folder,
        manifest=Manifest(planned.folder, processes.rank) if kept else None,
        settings=json.dumps([_identity(translator), quality]),
        quality=quality,
        compare=planned.apart("compare") if compare else None,
        gallery=planned.apart("gallery") if gallery else None,
    )
    before: dict[Job, Entry] = {}
    if skip_existing:
        before = processes.from_first(writer.made_before(planned) if processes.first else {})
    todo = [job for job in planned.jobs if job not in before]

    work = _Work(translator, writer, progress)
    stopped = work.do(todo[processes.rank :: processes.count])
    parts = processes.gather((work.made, work.failed, stopped))
    made = {job: entry for part, _, _ in parts for job, entry in part.items()}
    failed = {job: why for _, part, _ in parts for job, why in part.items()}
    for reason in (reason for _, _, reason in parts if reason):
        done = len(before) + len(made)
        raise TranslationStopped(_how_to_go_on(reason, done, len(planned.jobs)))

    report = Report(
        output=planned.jobs[0].target if planned.named else planned.folder,
        written=[job.target for job in planned.jobs if job in made],
        skipped=[job.source for job in planned.jobs if job in before],
        failed=planned.refused | {job.source: failed[job] for job in todo if job in failed},
        passed_over=dict(planned.passed_over),
        seconds=time.monotonic() - begun,
    )
    if writer.gallery:
        report.gallery = writer.gallery / "index.html"
        if processes.first:
            there = before | made
            cards = [writer.card(job, there[job]) for job in planned.jobs if job in there]
            write_gallery(report.gallery, planned.folder.resolve().name, cards, report.failed)
    return report


@dataclass(frozen=True)
class _Loaded:
    """A file that has been read."""

    job: Job
    state: FileState
    image: Image


@dataclass(frozen=True)
class _Failed:
    """A file of which nothing is made, and why."""

    job: Job
    reason: str

    @classmethod
    def by(cls, job: Job, error: Exception) -> Self:
        # The file is named by whoever reports this.
        return cls(job, str(error).removeprefix(f"{job.source}: "))


class _Work:
    """The chain from files to files, and what has come out of it."""

    def __init__(
        self, translator: Translator, writer: "_Writer", progress: Progress | None
    ) -> None:
        self._translator, self._writer = translator, writer
        self._progress = progress or (lambda done, total: None)
        self.made: dict[Job, Entry] = {}
        self.failed: dict[Job, str] = {}

    def do(self, jobs: Sequence[Job]) -> str | None:
        """Translate; returns what has stopped it early, if something has.

        Raises:
            TranslationInterrupted: by Ctrl-C.
        """
        self._progress(0, len(jobs))
        weighed = ahead(_weigh, jobs, workers=THREADS)
        read = ahead(
            lambda item: _read(item[0]),
            weighed,
            workers=THREADS,
            weight=lambda item: item[1],
            most=PIXELS_AHEAD,
        )
        translated = self._translated(read)
        written = ahead(
            lambda item: self._writer.write(*item),
            translated,
            workers=THREADS,
            weight=lambda item: _pixels(item[1]),
            most=PIXELS_AHEAD,
        )
        # Closed from the end to the beginning, so that nobody works on when this returns.
        with closing(weighed), closing(read), closing(translated), closing(written):
            try:
                for result in written:
                    if isinstance(result, _Failed):
                        self.failed[result.job] = result.reason
                    else:
                        job, entry = result
                        self.made[job] = entry
                    self._progress(len(self.made) + len(self.failed), len(jobs))
            except StorageError as error:
                return str(error)
            except KeyboardInterrupt:
                message = _how_to_go_on("Ctrl-C", len(self.made), len(jobs))
                raise TranslationInterrupted(message) from None
        return None

    def _translated(
        self, read: Iterable[_Loaded | _Failed]
    ) -> Generator[tuple[_Loaded, Image], None, None]:
        """Frame by frame through the network, and put together again."""
        frames: list[Picture] = []
        errors: list[Img2ImgError] = []
        for (loaded, last), frame in self._translator.translate_each(self._frames(read)):
            if isinstance(frame, Img2ImgError):
                errors.append(frame)
            else:
                frames.append(frame)
            if not last:
                continue
            if errors:
                self.failed[loaded.job] = _Failed.by(loaded.job, errors[0]).reason
            else:
                yield loaded, _with_frames(loaded.image, frames)
            frames, errors = [], []

    def _frames(
        self, read: Iterable[_Loaded | _Failed]
    ) -> Iterator[tuple[tuple[_Loaded, bool], Picture]]:
        """Each frame, with the file it is of and whether it is its last."""
        for item in read:
            if isinstance(item, _Failed):
                self.failed[item.job] = item.reason
            else:
                *others, last = _frames(item.image)
                yield from (((item, False), frame) for frame in others)
                yield (item, True), last


@dataclass(frozen=True)
class _Writer:
    """Where the results of a file go, and how."""

    folder: Path
    """What the names in the manifest start from."""
    manifest: Manifest | None
    settings: str
    quality: int
    compare: Path | None
    gallery: Path | None

    def write(self, loaded: _Loaded, image: Image) -> tuple[Job, Entry] | _Failed:
        """Write all that is made of a file, and note it.

        Raises:
            StorageError: it makes no sense to go on.
        """
        job, before, after = loaded.job, _frames(loaded.image), _frames(image)
        try:
            if self.gallery:
                for path, frame in zip(self._thumbnails(job), (before[0], after[0]), strict=True):
                    write_picture(path, thumbnail(frame), QUALITY)
            if self.compare:
                frames = [_beside(*pair) for pair in zip(before, after, strict=True)]
                _write(self._compared(job), _with_frames(image, frames), self.quality)
            # Last: it may replace the input, and where it stands all is done.
            _write(job.target, image, self.quality)
            made = {self._name(path): file_state(path) for path in self._outputs(job)}
            entry = Entry(job.name, loaded.state, self.settings, after[0].size, made)
            if self.manifest:
                self.manifest.add(entry)
        except StorageError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
                raise
            return _Failed.by(job, error)
        except (Img2ImgError, MemoryError, OSError) as error:
            return _Failed.by(job, error)
        return job, entry

    def made_before(self, planned: Plan) -> dict[Job, Entry]:
        """Which files need not be translated again."""
        made = Made(self.folder)
        found = {}
        for job in planned.jobs:
            # Where the result has replaced the input, the result is all that there is to look at.
            paths = [job.target] if job.in_place else self._outputs(job)
            with suppress(OSError):
                state = None if job.in_place else file_state(job.source)
                entry = made.find(job.name, state, self.settings, [*map(self._name, paths)])
                if entry:
                    found[job] = entry
        return found

    def card(self, job: Job, entry: Entry) -> Card:
        """What the gallery shows of a file."""
        return Card(job.name, entry.size, job.target, *self._thumbnails(job))

    def _outputs(self, job: Job) -> list[Path]:
        paths = [job.target]
        if self.compare:
            paths.append(self._compared(job))
        if self.gallery:
            paths += self._thumbnails(job)
        return paths

    def _compared(self, job: Job) -> Path:
        assert self.compare
        return self.compare / job.target.relative_to(self.folder)

    def _thumbnails(self, job: Job) -> tuple[Path, Path]:
        """Of input and result; their names are the same in every call."""
        assert self.gallery
        name = hashlib.blake2b(os.fsencode(job.name), digest_size=10).hexdigest()
        return self.gallery / f"{name}-before.jpg", self.gallery / f"{name}-after.jpg"

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _weigh(job: Job) -> tuple[Job, int]:
    """The file's pixels, as its header says; 0 where that fails, which reading will explain."""
    try:
        _regular(job.source)
        with Header.open(job.source) as image:
            return job, image.width * image.height * getattr(image, "n_frames", 1)
    except Exception:  # decoders raise whatever the damage leads them to
        return job, 0


def _read(job: Job) -> _Loaded | _Failed:
    try:
        state = _regular(job.source)
        return _Loaded(job, state, read_picture(job.source))
    except Img2ImgError as error:
        return _Failed.by(job, error)
    except OSError as error:
        return _Failed(job, error.strerror or str(error))


def _regular(path: Path) -> FileState:
    """The state of what is a file indeed: to open a pipe would wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ImageError(f"{path}: not a regular file")
    return file_state(path)


def _frames(image: Image) -> Sequence[Picture]:
    return (image,)


def _with_frames(image: Image, frames: Sequence[Picture]) -> Image:
    return frames[0]


def _write(path: Path, image: Image, quality: int) -> None:
    write_picture(path, image, quality)


def _pixels(image: Image) -> int:
    return sum(frame.size[0] * frame.size[1] for frame in _frames(image))


def _beside(left: Picture, right: Picture) -> Picture:
    """Two pictures of one size as one."""
    alpha = None
    if left.alpha is not None and right.alpha is not None:
        alpha = np.hstack([left.alpha, right.alpha])
    return replace(right, pixels=np.hstack([left.pixels, right.pixels]), alpha=alpha)


def _identity(translator: Translator) -> str:
    """The model and what of its settings changes pixels."""
    return f"{translator.spec.model_dump_json()} {translator._factor}"


def _how_to_go_on(reason: str, done: int, files: int) -> str:
    return (
        f"stopped: {reason}; {done} of {files} files are done, and the same command with"
        " --skip-existing goes on from there"
    )
