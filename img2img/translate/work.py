"""The chain from files to files.

A file is read, translated and written in a chain in which each step works ahead of the next, so
that disk, decoders and network are busy at once; how far ahead is bounded, and so is the memory.
"""

import os
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count, groupby
from pathlib import Path

import numpy as np

from img2img.engine.translator import Translator
from img2img.errors import ImageError, Img2ImgError, TranslationStopped
from img2img.images import (
    DEEP_SUFFIXES,
    Animation,
    Extent,
    Picture,
    check_format,
    measure,
    of_depth,
    read_image,
)
from img2img.runtime.devices import give_back_freed_memory
from img2img.runtime.pipeline import ahead
from img2img.translate import effects
from img2img.translate.manifest import Entry, FileState, file_state
from img2img.translate.plan import Job, Plan
from img2img.translate.results import (
    Failed,
    Image,
    Loaded,
    Results,
    frames_of,
    held_by,
    is_pointless,
    state_of,
    with_frames,
)
from img2img.translate.sequences import RATE
from img2img.translate.video import (
    DROPOUT_OFF,
    Frames,
    VideoOptions,
    translate_to_animation,
    translate_to_images,
    translate_video,
)
from img2img.video import Frame, is_video
from img2img.video.convert import Converted
from img2img.video.footage import Film, Footage, Stills

# Threads that read, and as many that write.
THREADS = min(8, os.cpu_count() or 1)
# What makes of footage what is no video.
_STILLS = {effects.AS_ANIMATION: translate_to_animation, effects.AS_FRAMES: translate_to_images}
Progress = Callable[[int, int], None]
VideoProgress = Callable[[str, int, int | None], None]


class Work:
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
        images = [job for job in jobs if not job.is_video]
        if images and self._video.stabilize != "off" and self._translator.spec.dropout:
            self._say(DROPOUT_OFF)
        self._moved(len(jobs))
        self._do_images(images, len(jobs))
        for job in jobs:
            if job.is_video:
                self._do_video(job)
                self._moved(len(jobs))

    def _do_video(self, job: Job) -> None:
        def progress(done: int, frames: int | None) -> None:
            if self._video_progress:
                self._video_progress(job.name, done, frames)

        def say(line: str) -> None:
            self._say(f"{job.name}: {line}")

        elsewhere = None  # one that was named by a person has no other name
        if not self._planned.named:
            elsewhere = partial(self._results.elsewhere, job, self._planned)
        try:
            state = _state(job)
            footage = _footage(job, self._video)
            if isinstance(footage, Stills):
                footage = replace(footage, seen=self._translator.values.full_range)
            stills = next((make for way, make in _STILLS.items() if job.kind.endswith(way)), None)
            if stills:
                made = stills(
                    self._translator,
                    footage,
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
                    footage,
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
            self._translator.remark()
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
        steady = self._video.stabilize != "off"
        translated = self._steadied(read) if steady else self._translated(read)
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
            if isinstance(image, Animation):
                image = self._video.part_of(image)
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

    def _steadied(
        self, read: Iterable[Loaded | Failed]
    ) -> Generator[tuple[Loaded, Image], None, None]:
        """The same, each scene by itself, its frames in their order and stabilised."""
        for _, scene in groupby(read, lambda item: item.job.scene):
            taken: deque[tuple[Loaded, bool, Picture]] = deque()
            frames: list[Picture] = []
            try:
                steady = Frames(self._translator, self._video.stabilize)
                for made in steady(self._taken(scene, taken)):
                    loaded, last, picture = taken.popleft()
                    whole = replace(picture, pixels=made.pixels, alpha=made.alpha, values=None)
                    frames.append(self._translator.values.file_values(whole, picture.pixels.dtype))
                    if last:
                        yield loaded, with_frames(loaded.image, frames)
                        frames = []
            except Img2ImgError as error:
                left = [item for item in scene if isinstance(item, Loaded)]
                for job in {loaded.job: None for loaded, _, _ in taken} | {
                    loaded.job: None for loaded in left
                }:
                    self._note(Failed.by(job, error))
        self._translator.remark()

    def _taken(
        self,
        scene: Iterable[Loaded | Failed],
        taken: deque[tuple[Loaded, bool, Picture]],
    ) -> Iterator[Frame]:
        """Pictures as frames, one unit of time apart, that are noted as they are taken."""
        values = self._translator.values
        for number, ((loaded, last), picture) in enumerate(self._frames(scene)):
            spread = values.full_range(picture)
            pixels = spread.pixels
            if values.needs_16_bits(pixels):
                pixels = of_depth(pixels, np.uint16)
            taken.append((loaded, last, picture))
            yield Frame(pixels, number, 1, concealed=False, alpha=spread.alpha)

    def _frames(
        self, read: Iterable[Loaded | Failed]
    ) -> Iterator[tuple[tuple[Loaded, bool], Picture]]:
        """Each frame, with the file it is of and whether it is its last."""
        for item in read:
            if isinstance(item, Failed):
                self._note(item)
            else:
                frames = [
                    self._translator.values.with_range(frame) for frame in frames_of(item.image)
                ]
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
    if output.whole or output.dtype == "uint8" or not shallow:
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


def _footage(job: Job, video: VideoOptions) -> Footage:
    if job.frames:
        return Stills.of_files(job.frames, video.fps or RATE)
    if is_video(job.source):
        return Film(job.source)
    image = read_image(job.source)
    if not isinstance(image, Animation):
        raise ImageError.of(job.source, "a single picture, which cannot become a video")
    return Stills.of_animation(job.source, image)


def _state(job: Job) -> FileState:
    for file in job.frames or [job.source]:
        _regular(file)
    return state_of(job)


def _regular(path: Path) -> FileState:
    """The state of what is a file indeed: to open a pipe would wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ImageError.of(path, "not a regular file")
    return file_state(path)
