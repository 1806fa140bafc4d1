"""Translating files: a picture or video, a folder with all that is in it, or a glob.

A file is read, translated and written in a chain in which each step works ahead of the next, so
that disk, decoders and network are busy at once; how far ahead is bounded, and so is the memory.
"""

import json
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import count, groupby
from pathlib import Path
from typing import Any, TypedDict

from img2img.devices import give_back_freed_memory
from img2img.errors import (
    DataError,
    ImageError,
    Img2ImgError,
    StorageError,
    TranslationInterrupted,
    TranslationStopped,
    some_names,
)
from img2img.files import write_text
from img2img.images import DEEP_SUFFIXES, OURS, Extent, Picture, check_format, measure, read_image
from img2img.inference.gallery import write_gallery
from img2img.inference.manifest import Entry, FileState, Manifest, file_state
from img2img.inference.plan import Job, Plan, plan
from img2img.inference.results import (
    Failed,
    Image,
    Loaded,
    Results,
    frames_of,
    held_by,
    is_pointless,
    with_frames,
)
from img2img.inference.sizing import Scale, Way
from img2img.inference.translator import Translator
from img2img.inference.video import VideoOptions, translate_to_images, translate_video
from img2img.pipeline import ahead
from img2img.processes import ALONE, Processes
from img2img.video.convert import Converted

# Threads that read, and as many that write.
THREADS = min(8, os.cpu_count() or 1)
# Why a file is not translated that an earlier call has replaced by its result.
AGAIN = "the result of an earlier call, whose original is gone"

Progress = Callable[[int, int], None]
VideoProgress = Callable[[str, int, int | None], None]


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
    left_out: list[Path] = field(default_factory=list)
    """Results of other calls and run folders among the inputs."""
    videos: dict[Path, Converted] = field(default_factory=dict)
    """What became of the videos among them, by input."""
    scale: Scale = "auto"
    """How it was to be decided at which size pictures are translated."""
    ways: dict[Way, int] = field(default_factory=dict)
    """How many of the images written came which way."""
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
            "left_out": [str(path) for path in self.left_out],
            "videos": {
                str(path): {**asdict(made), "target": str(made.target)}
                for path, made in self.videos.items()
            },
            "scale": {"asked": self.scale, **self.ways},
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 3),
            "gallery": None if self.gallery is None else str(self.gallery),
        }


class FolderOptions(TypedDict, total=False):
    """Keywords of `translate_folder`, which says what they mean."""

    image_format: str | None
    quality: int
    skip_existing: bool
    overwrite: bool
    compare: bool
    gallery: bool
    video: VideoOptions | None
    progress: Progress | None
    video_progress: VideoProgress | None
    say: Callable[[str], None]


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
    video: VideoOptions | None = None,
    processes: Processes = ALONE,
    progress: Progress | None = None,
    video_progress: VideoProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Translate file after file. One that fails is noted and does not stop the others.

    A manifest in the output folder remembers what was made of which file, how, for a later call
    with `skip_existing`. (A single result with a name of its own has one only with
    `skip_existing`.)

    Args:
        source: a file, a folder, or a glob such as `scans/**/*.tif`.
        output: a folder; or, for a single file, a file name.
        image_format: suffix of all images made, such as `png`; None keeps each file's own.
        quality: of JPEG and lossy WebP, 1 to 100.
        skip_existing: leave what this model made with these settings, where neither input nor
            result has changed since (by size and time).
        overwrite: let results replace their inputs, where `output` is the folder of the input.
            A result that has replaced its input is not translated again.
        compare: write input and result of images side by side, too, in the folder `compare`.
        gallery: make a page of the images to look at, `gallery/index.html`.
        video: how videos are translated; one that was interrupted is gone on with.
        processes: all of them make this call, and share the files; each gets the whole report.
        progress: called with (files done, files) of this process.
        video_progress: called with (name, frames done, frames) of the video at work.
        say: told of what is not as one might expect of a video.

    Raises:
        DataError: nothing there, no images or videos, or the results would overwrite the input; or
            inputs have been replaced by earlier results, and `skip_existing` is not given.
        StorageError: nothing can be written to the output folder.
        TranslationStopped: the disk is full, or Ctrl-C; what is written is whole, and `report` of
            the error says what that is.
    """
    begun = time.monotonic()
    for option, given in (("--input", source), ("--output", output)):
        if not str(given):
            raise DataError(f"{option}: empty, where a name is wanted")
    video = video or VideoOptions()
    # All look, so that all see the same mistake; what the first one sees is what is done.
    planned = processes.from_first(
        plan(
            str(source),
            Path(output),
            image_format,
            container=video.container,
            frames=video.frames,
            overwrite=overwrite,
        )
    )
    kept = skip_existing or not planned.named
    results = Results(
        folder=planned.folder,
        manifest=Manifest(planned.folder, processes.rank, say) if kept else None,
        settings=json.dumps([translator.identity, quality]),
        video_settings=json.dumps([translator.identity, video.settings(quality)]),
        quality=quality,
        compare=processes.from_first(planned.apart("compare")) if compare else None,
        gallery=processes.from_first(planned.apart("gallery")) if gallery else None,
    )
    before: dict[Job, Entry] = {}
    if skip_existing:
        before = processes.from_first(results.made_before(planned) if processes.first else {})
    again = planned.again - before.keys()
    replaced = {job.source: AGAIN for job in planned.jobs if job in again}
    if replaced and not skip_existing:
        names = some_names([*map(str, replaced)], most=3)
        raise DataError(
            f"{names}: {AGAIN}; leave such files as they are with --skip-existing, or choose"
            " another --output"
        )
    refused = planned.refused | replaced
    todo = [job for job in planned.jobs if job not in before and job.source not in replaced]
    if processes.first:
        for folder in filter(None, (results.compare, results.gallery)):
            write_text(folder / OURS, "")
        results.remove_leftovers(planned.jobs)
    translator.expect(-(-sum(not job.is_video for job in todo) // processes.count))

    def report_of(
        made: Mapping[Job, Entry], failed: Mapping[Job, str], videos: Mapping[Job, Converted]
    ) -> Report:
        targets = {job: videos[job].target if job in videos else job.target for job in planned.jobs}
        return Report(
            output=targets[planned.jobs[0]] if planned.named else planned.folder,
            written=[targets[job] for job in planned.jobs if job in made],
            skipped=[job.source for job in planned.jobs if job in before],
            failed=refused | {job.source: failed[job] for job in todo if job in failed},
            passed_over=dict(planned.passed_over),
            left_out=planned.own,
            videos={job.source: converted for job, converted in videos.items()},
            scale=translator.scale,
            ways=dict(Counter(translator.way(e.size) for j, e in made.items() if not j.is_video)),
            seconds=time.monotonic() - begun,
        )

    work = _Work(translator, results, planned, video, progress, video_progress, say)
    stopped = None
    try:
        work.do(todo[processes.rank :: processes.count])
    except (KeyboardInterrupt, TranslationInterrupted) as error:
        done = len(before) + len(work.made)
        message = _how_to_go_on(str(error) or "Ctrl-C", done, len(planned.jobs))
        report = report_of(work.made, work.failed, work.videos)
        raise TranslationInterrupted(message, report) from None
    except (StorageError, TranslationStopped) as error:
        stopped = str(error)
    parts = processes.gather((work.made, work.failed, work.videos, stopped))
    made = {job: entry for part, _, _, _ in parts for job, entry in part.items()}
    failed = {job: why for _, part, _, _ in parts for job, why in part.items()}
    videos = {job: converted for _, _, part, _ in parts for job, converted in part.items()}
    report = report_of(made, failed, videos)
    for reason in (reason for *_, reason in parts if reason):
        done = len(before) + len(made)
        raise TranslationStopped(_how_to_go_on(reason, done, len(planned.jobs)), report)

    if results.gallery:
        report.gallery = results.gallery / "index.html"
        if processes.first:
            there = before | made
            found = [results.card(job, there[job]) for job in planned.jobs if job in there]
            cards = [card for card in found if card]
            write_gallery(report.gallery, planned.folder.resolve().name, cards, report.failed)
    return report


class _Work:
    """The chain from files to files, and what has come out of it."""

    def __init__(
        self,
        translator: Translator,
        results: Results,
        planned: Plan,
        video: VideoOptions,
        progress: Progress | None,
        video_progress: VideoProgress | None,
        say: Callable[[str], None],
    ) -> None:
        self._translator, self._results = translator, results
        self._planned, self._video = planned, video
        self._progress, self._video_progress, self._say = progress, video_progress, say
        self.made: dict[Job, Entry] = {}
        self.failed: dict[Job, str] = {}
        self.videos: dict[Job, Converted] = {}

    def do(self, jobs: Sequence[Job]) -> None:
        """Translate, first the images and then the videos.

        Raises:
            StorageError: it makes no sense to go on. All that has been done is in `made`.
            TranslationStopped: the same, within a video.
        """
        if remark := _shallow(self._translator, jobs):
            self._say(remark)
        self._moved(len(jobs))
        self._do_images([job for job in jobs if not job.is_video], len(jobs))
        for job in jobs:
            if job.is_video:
                self._do_video(job)
                self._moved(len(jobs))

    def _do_video(self, job: Job) -> None:
        def progress(done: int, frames: int | None) -> None:
            if self._video_progress:
                self._video_progress(job.name, done, frames)

        def say(line: str) -> None:
            self._say(f"{job.name}: {line.removeprefix(f'{job.target.name}: ')}")

        elsewhere = None  # one that was named by a person has no other name
        if not self._planned.named:
            elsewhere = partial(self._results.elsewhere, job, self._planned)
        try:
            state = _regular(job.source)
            if self._video.frames:
                made = translate_to_images(
                    self._translator,
                    job.source,
                    job.target,
                    self._video,
                    quality=self._results.quality,
                    progress=progress,
                    say=say,
                )
            else:
                # What replaces its input is made beside it first.
                beside = job.target.with_name(f".img2img-{job.target.name}")
                made = translate_video(
                    self._translator,
                    job.source,
                    beside if job.in_place else job.target,
                    self._video,
                    elsewhere=elsewhere,
                    progress=progress,
                    say=say,
                )
                if made.target == beside:
                    self._results.put_in_place(job, state, made.size, beside)
                    made = replace(made, target=job.target)
            self.videos[job] = made
            self.made[job] = self._results.note_video(job, state, made.size, made.target)
        except TranslationStopped:
            raise
        except OSError as error:
            self.failed[job] = error.strerror or str(error)
        except (Img2ImgError, MemoryError) as error:
            if is_pointless(error):
                raise
            self.failed[job] = Failed.by(job, error).reason

    def _do_images(self, jobs: Sequence[Job], files: int) -> None:
        """Small ones in one chain; a large one alone, with nothing else on its way."""
        numbers = count(1)

        def run(item: tuple[Job, Extent | None]) -> int:
            _, extent = item
            return next(numbers) if extent and extent.held > self._translator.budget.ahead else 0

        with closing(ahead(_weigh, jobs, workers=THREADS)) as weighed:
            for _, together in groupby(weighed, run):
                self._do_run(together, files)
        self._moved(files)  # the last ones may have failed on the way

    def _do_run(self, weighed: Iterable[tuple[Job, Extent | None]], files: int) -> None:
        most = self._translator.budget.ahead
        read = ahead(
            self._read,
            weighed,
            workers=THREADS,
            weight=lambda item: item[1].held if item[1] else 0,
            most=most,
        )
        translated = self._translated(read)
        written = ahead(
            lambda item: self._note(self._results.write(*item)),
            translated,
            workers=THREADS,
            weight=lambda item: held_by(item[1]),
            most=most,
        )
        # Closed from the end to the beginning, so that nobody works on when this returns.
        with closing(read), closing(translated), closing(written):
            for _ in written:
                self._moved(files)

    def _read(self, item: tuple[Job, Extent | None]) -> Loaded | Failed:
        job, extent = item
        try:
            state = _regular(job.source)
            if extent:
                compared = self._results.compare is not None
                self._translator.budget.check(extent, compared=compared)
            image = read_image(job.source)
            if extent and extent.held > self._translator.budget.ahead:
                give_back_freed_memory()  # what the decoder has left
            check_format(job.target, image)  # before any work goes into it
            return Loaded(job, state, image)
        except Img2ImgError as error:
            return Failed.by(job, error)
        except OSError as error:
            return Failed(job, error.strerror or str(error))

    def _moved(self, files: int) -> None:
        if self._progress:
            self._progress(len(self.made) + len(self.failed), files)

    def _note(self, result: tuple[Job, Entry] | Failed) -> None:
        """At once, not when its turn comes: of what is interrupted, all that is done counts."""
        if isinstance(result, Failed):
            self.failed[result.job] = result.reason
        else:
            job, entry = result
            self.made[job] = entry

    def _translated(
        self, read: Iterable[Loaded | Failed]
    ) -> Generator[tuple[Loaded, Image], None, None]:
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
                self._note(Failed.by(loaded.job, errors[0]))
            else:
                made = with_frames(loaded.image, frames)
                # The input is let go where nothing more is made of it: a large one is in the way.
                beside = self._results.compare or self._results.gallery
                given = loaded if beside else replace(loaded, image=made)
                del loaded, frame
                if held_by(made) > self._translator.budget.ahead:
                    give_back_freed_memory()
                yield given, made
                del given, made
            frames, errors = [], []

    def _frames(
        self, read: Iterable[Loaded | Failed]
    ) -> Iterator[tuple[tuple[Loaded, bool], Picture]]:
        """Each frame, with the file it is of and whether it is its last."""
        for item in read:
            if isinstance(item, Failed):
                self._note(item)
            else:
                frames = [self._translator.seen(frame) for frame in frames_of(item.image)]
                seen = replace(item, image=with_frames(item.image, frames))
                *others, last = frames
                yield from (((seen, False), frame) for frame in others)
                yield (seen, True), last


def _shallow(translator: Translator, jobs: Sequence[Job]) -> str | None:
    """What there is to say where results in numbers of their own go into files of 8 bits."""
    output = translator.spec.output
    shallow = {
        job.target.suffix.lower()
        for job in jobs
        if not job.is_video and job.target.suffix.lower() not in DEEP_SUFFIXES
    }
    if output is None or output.whole or output.dtype == "uint8" or not shallow:
        return None
    return (
        f"results have the values {output.range}, which {', '.join(sorted(shallow))} cannot hold:"
        " there they become 0..255 (--format png or tif keeps them)"
    )


def _weigh(job: Job) -> tuple[Job, Extent | None]:
    """What the file's header says; None where that fails, which reading will explain."""
    try:
        _regular(job.source)
        return job, measure(job.source)
    except (Img2ImgError, OSError):
        return job, None


def _regular(path: Path) -> FileState:
    """The state of what is a file indeed: to open a pipe would wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ImageError(f"{path}: not a regular file")
    return file_state(path)


def _how_to_go_on(reason: str, done: int, files: int) -> str:
    reason = reason.removeprefix("stopped: ")
    if files == 1 and "goes on" in reason:  # a video says so itself
        return f"stopped: {reason}"
    return (
        f"stopped: {reason}; {done} of {files} files are done, and the same command with"
        " --skip-existing goes on from there"
    )
