"""Reading, translating and writing the files of a call.

The three run at the same time, each a bounded number of files ahead of the next step: disk,
decoders and network are all busy, and memory stays bounded.

A picture goes through `images.read_native`, `engine.translator` (batching, runner, backend) and
`images.write_image`; one that is larger than memory through `large`, and the frames of a video
through `video`.
"""

import errno
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, groupby
from pathlib import Path
from typing import Any

from img2img.data.slices import explained
from img2img.engine.translator import Translator
from img2img.errors import (
    ImageError,
    Img2ImgError,
    StorageError,
    TranslationInterrupted,
    TranslationStopped,
    counted,
)
from img2img.images import (
    Animation,
    Extent,
    Picture,
    Weights,
    check_format,
    measure,
    read_native,
    suffix_of,
    write_image,
    write_picture,
)
from img2img.runtime.devices import give_back_freed_memory
from img2img.runtime.pipeline import ahead
from img2img.translate import video
from img2img.translate.frames import FrameTranslator
from img2img.translate.gallery import QUALITY as THUMBNAIL_QUALITY
from img2img.translate.gallery import thumbnail
from img2img.translate.kinds import TO_VIDEO, Kind
from img2img.translate.large import goes_by_rows, translate_by_rows
from img2img.translate.manifest import FileState
from img2img.translate.masks import Masks, masked
from img2img.translate.options import FolderOptions
from img2img.translate.pictures import (
    Image,
    frames_of,
    held_by,
    is_shown,
    lossy,
    shallow,
    side_by_side,
    with_frames,
)
from img2img.translate.plan import Job
from img2img.translate.report import Outcome
from img2img.translate.results import Results, state_of
from img2img.translate.sequences import part_of

# Number of reading threads, and of writing threads.
THREADS = min(8, os.cpu_count() or 1)
# After these errors every later write would fail, too. Other errors concern one file.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}

OnFiles = Callable[[int, int], None]
"""Called with (files done, total) of this process."""
OnFrames = Callable[[str, int, int | None], None]
"""Called with (name, frames done, total) of the current video."""


@dataclass(frozen=True)
class _Loaded:
    """A file that has been read."""

    job: Job
    state: FileState
    image: Image
    views: Sequence[Picture]
    """What the network is given of it, slice by slice."""
    weights: list[Weights] | None = None
    """How much of the result is taken at each pixel of its pictures; None: all."""


class Work:
    """Reads, translates and writes files, and records the outcome of each."""

    def __init__(
        self,
        translator: Translator,
        results: Results,
        options: FolderOptions,
        progress: OnFiles | None,
        video_progress: OnFrames | None,
        say: Callable[[str], None],
    ) -> None:
        self._translator, self._results, self._options = translator, results, options
        self._progress, self._video_progress, self._say = progress, video_progress, say
        self._most = translator.budget.ahead
        self._outcome, self._files = Outcome(), 0
        self._unchanged: list[str] = []

    def do(self, jobs: Sequence[Job]) -> Outcome:
        """Translate the images and then the videos, until all are done or work has to stop."""
        self._files = len(jobs)
        images = [job for job in jobs if not job.is_video]
        if remark := shallow(self._translator.spec.output, [job.target for job in images]):
            self._say(remark)
        if masks := self._results.masks:
            for remark in _not_exact(jobs, masks, self._options.quality_used):
                self._say(remark)
        if images and self._options.stabilize != "off" and self._translator.spec.dropout:
            self._say(video.DROPOUT_OFF)
        self._moved()
        try:
            self._do_images(images)
            for job in jobs:
                if job.is_video:
                    self._do_video(job)
                    self._moved()
        except KeyboardInterrupt:
            self._outcome.stopped = TranslationInterrupted("Ctrl-C")
        except (StorageError, TranslationStopped) as error:
            self._outcome.stopped = error
        if self._unchanged:
            self._say(
                f"{counted(len(self._unchanged), 'mask')} with nothing inside, such as that of"
                f" {self._unchanged[0]}: these images stay as they are"
            )
        return self._outcome

    def _do_video(self, job: Job) -> None:
        """Translate a video frame by frame, or images that become a video or an animation."""
        results, options = self._results, self._options
        # A result that replaces its input is written next to it first.
        target = job.target.with_name(f".img2img-{job.target.name}") if job.in_place else job.target
        # A name that the caller chose is not changed.
        elsewhere = None if results.planned.named else partial(results.elsewhere, job)
        told: dict[str, Any] = {
            "progress": partial(self._video_progress, job.name) if self._video_progress else None,
            "say": lambda line: self._say(f"{job.name}: {line}"),
        }
        try:
            state = state_of(job)
            if results.masks:
                options = replace(options, mask=results.masks.place_of(job.name, job.frames))
            given = (
                self._translator,
                video.footage_of(job, self._translator, options),
                target,
                options,
            )
            if job.kind in TO_VIDEO:
                made = video.translate_video(*given, elsewhere=elsewhere, **told)
            else:
                animated = job.kind is not Kind.VIDEO_TO_FRAMES
                made = video.translate_to_images(*given, animated=animated, **told)
            if made.target == target != job.target:
                results.note(job, state, made.size)
                target.replace(job.target)
                made = replace(made, target=job.target)
            self._outcome.videos[job] = made
            self._outcome.made[job] = results.note(job, state, made.size, made.target)
            self._translator.remark()
        except TranslationStopped:
            raise
        except (Img2ImgError, MemoryError, OSError) as error:
            if _is_pointless(error):
                raise
            self._outcome.fail(job, error)

    def _do_images(self, jobs: Sequence[Job]) -> None:
        """Small images are processed together; a large one runs alone, with all the memory."""
        numbers = count(1)

        def run(item: tuple[Job, Extent | None]) -> int:
            return next(numbers) if self._is_large(item[1]) else 0

        with closing(ahead(self._weigh, jobs, workers=THREADS)) as weighed:
            for alone, together in groupby(weighed, run):
                if not alone:
                    self._do_run(together)
                    continue
                ((job, extent),) = together
                if extent and goes_by_rows(extent, self._translator, self._results, self._options):
                    self._do_by_rows(job)
                else:
                    self._do_run([(job, extent)])
        self._moved()  # the last files may have failed before they were written

    def _weigh(self, job: Job) -> tuple[Job, Extent | None]:
        """The job with the size in the file's header; None if unreadable, as `_read` reports."""
        first = next(iter(self._translator.values.input.by_input.values()))
        try:
            state_of(job)
            return job, measure(job.source, pages=first.pages)
        except (Img2ImgError, OSError):
            return job, None

    def _do_run(self, weighed: Iterable[tuple[Job, Extent | None]]) -> None:
        read = ahead(
            self._read,
            weighed,
            workers=THREADS,
            weight=lambda item: item[1].held if item[1] else 0,
            most=self._most,
        )
        translated = self._translated(read)
        written = ahead(
            self._write,
            translated,
            workers=THREADS,
            weight=lambda item: held_by(item[1]),
            most=self._most,
        )
        # Closed from the last step to the first, so that no thread is left working on return.
        with closing(read), closing(translated), closing(written):
            for _ in written:
                self._moved()

    def _do_by_rows(self, job: Job) -> None:
        try:
            entry = translate_by_rows(job, self._translator, self._results)
            self._outcome.made[job] = entry
            self._translator.remark()
        except (Img2ImgError, MemoryError, OSError) as error:
            if _is_pointless(error):
                raise
            self._outcome.fail(job, error)
        self._moved()

    def _moved(self) -> None:
        if self._progress:
            self._progress(len(self._outcome.made) + len(self._outcome.failed), self._files)

    def _is_large(self, extent: Extent | None) -> bool:
        return extent is not None and extent.held > self._most

    def _read(self, item: tuple[Job, Extent | None]) -> _Loaded | None:
        job, extent = item
        try:
            state = state_of(job)
            if extent:
                compared = bool(self._results.compare or self._results.masks)
                self._translator.budget.check(extent, compared=compared)
            indices = self._translator.spec.input.kind == "labels"
            paths = job.inputs or (job.source,)
            inputs = self._translator.values.input.by_input.values()
            images = {
                path: read_native(path, indices=indices, pages=domain.pages)
                for path, domain in zip(paths, inputs, strict=True)
            }
            image = images[job.source]
            if isinstance(image, Animation):
                images[job.source] = image = part_of(image, self._options.span)
            masks = self._results.masks
            weights = masks.weights(job.name, image) if masks else None
            if weights and not any(each.any() for each in weights):
                self._unchanged.append(job.name)
            values = self._translator.values
            views: Sequence[Picture]
            if values.input.is_plain:
                try:
                    views = [values.with_range(each) for each in frames_of(image)]
                except ImageError as error:
                    raise explained(error, job.source, values.input) from None
                images[job.source] = image = with_frames(image, views)
            if not values.input.is_plain or values.input.axis != "z":
                views = values.views([*images.values()], [*images])
            if self._is_large(extent):
                give_back_freed_memory()  # that the decoder has freed
            check_format(job.target, image)  # before the image is translated
            return _Loaded(job, state, image, views, weights)
        except (Img2ImgError, OSError) as error:
            self._outcome.fail(job, error)
            return None

    def _frames(
        self, read: Iterable[_Loaded | None]
    ) -> Iterator[tuple[tuple[_Loaded, bool], Picture]]:
        """Each frame, with its file and whether it is the file's last frame."""
        for loaded in filter(None, read):
            for number, view in enumerate(loaded.views, 1):
                yield (loaded, number == len(loaded.views)), view

    def _translated(
        self, read: Iterable[_Loaded | None]
    ) -> Generator[tuple[_Loaded, Image], None, None]:
        """Translate frame by frame, and assemble the frames of each file again."""
        steady = self._options.stabilize != "off"
        each = self._steadied if steady else self._translator.translate_each
        frames: list[Picture] = []
        errors: list[Img2ImgError] = []
        for (loaded, last), frame in each(self._frames(read)):
            if isinstance(frame, Img2ImgError):
                errors.append(frame)
            else:
                frames.append(frame)
            if not last:
                continue
            if errors:
                self._outcome.fail(loaded.job, errors[0])
            else:
                made = self._translator.values.assembled(frames, loaded.image)
                # The input is released if it is not needed any more: a large one takes much memory.
                beside = self._results.compare or self._results.gallery or loaded.weights
                given = loaded if beside else replace(loaded, image=made, views=())
                del loaded, frame
                if held_by(made) > self._most:
                    give_back_freed_memory()
                yield given, made
                del given, made
            frames, errors = [], []

    def _steadied(
        self, items: Iterable[tuple[tuple[_Loaded, bool], Picture]]
    ) -> Iterator[tuple[tuple[_Loaded, bool], Picture | Img2ImgError]]:
        """Like `Translator.translate_each`, but in order and stabilised, scene by scene."""
        for _, scene in groupby(items, lambda item: item[0][0].job.scene):
            steady = FrameTranslator(self._translator, self._options.stabilize)
            yield from steady.translate_each(scene)
        self._translator.remark()

    def _write(self, item: tuple[_Loaded, Image]) -> None:
        """Write everything that is made from a file, and record it in the manifest.

        Raises:
            StorageError: every later write would fail, too.
        """
        (loaded, image), results = item, self._results
        job, size = loaded.job, frames_of(image)[0].size
        beside: list[Path] = []
        try:
            if loaded.weights is not None:
                image = masked(loaded.image, image, loaded.weights, self._translator.values)
            if results.gallery:
                both = frames_of(loaded.image)[0], frames_of(image)[0]
                for path, frame in zip(results.thumbnails(job), both, strict=True):
                    write_picture(path, thumbnail(frame), THUMBNAIL_QUALITY)
                    beside.append(path)
            if results.compare:
                beside.append(self._write_compared(job, loaded.image, image))
            if job.in_place:
                results.note(job, loaded.state, size)
            # Last, because it may replace the input, and because it shows that all is done.
            write_image(job.target, image, self._options.quality_used)
            self._outcome.made[job] = results.note(job, loaded.state, size, job.target, *beside)
        except (Img2ImgError, MemoryError, OSError) as error:
            for path in beside:  # a failed file leaves nothing behind
                with suppress(OSError):
                    path.unlink()
            if _is_pointless(error):
                raise
            self._outcome.fail(job, error)

    def _write_compared(self, job: Job, before: Image, after: Image) -> Path:
        path, instead = self._results.compared(job)
        image = side_by_side(before, after)
        if not is_shown(before, after):
            with suppress(ImageError):
                write_image(path, image, self._options.quality_used)
                return path
        write_image(instead, image)
        return instead


def _not_exact(jobs: Sequence[Job], masks: Masks, quality: int) -> Iterator[str]:
    """Remarks on pixels outside of a mask that do not stay exactly as they are."""
    if suffixes := lossy((job.target for job in jobs), quality):
        yield (
            f"{suffixes} changes pixels a little when it is written, also outside of the mask"
            " (`image_format=png` or `image_format=tif` keeps them)"
        )
    if any(job.kind in {Kind.VIDEO, *TO_VIDEO} for job in jobs):
        yield (
            "a video changes pixels a little when it is written, also outside of the mask"
            " (`frames` keeps them)"
        )
    if suffixes := lossy(file for file in masks.files if suffix_of(file) != ".gif"):
        yield (
            f"masks in {suffixes} may have grey where they were black, which is inside a little;"
            " PNG and TIFF keep masks exactly"
        )


def _is_pointless(error: Exception) -> bool:
    """Whether every later write would fail, too, after such an error."""
    cause = error.__cause__ if isinstance(error, StorageError) else None
    return isinstance(cause, OSError) and cause.errno in FULL
