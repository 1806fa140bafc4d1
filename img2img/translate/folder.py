"""Translating files: a picture, a video, a folder with its subfolders, or a glob."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from img2img.engine.translator import Translator
from img2img.errors import DataError, Img2ImgError, TranslationInterrupted, TranslationStopped
from img2img.images import suffix_of, writable_suffixes
from img2img.runtime.processes import ALONE, Processes
from img2img.translate.options import FolderOptions
from img2img.translate.plan import DEFAULTS
from img2img.translate.report import Outcome, Report, write_page
from img2img.translate.tasks import Tasks
from img2img.translate.work import OnFiles, OnFrames, Work

# Of files that hold label maps.
INDEXED = (".png", ".tif", ".tiff")


def translate_folder(
    translator: Translator,
    source: Path | str | Sequence[Path | str],
    output: Path | str,
    options: FolderOptions = DEFAULTS,
    *,
    processes: Processes = ALONE,
    progress: OnFiles | None = None,
    video_progress: OnFrames | None = None,
    say: Callable[[str], None] = lambda _: None,
    **choices: Any,
) -> Report:
    """Translate files. A file that fails is reported and does not stop the others.

    A manifest in the output folder records each result and the settings it was made with. From it,
    later calls know which files they can skip (`skip_existing`) and which they may replace. An
    interrupted video is resumed by the same call.

    Args:
        source: a file, a folder, or a glob such as `scans/**/*.tif`; of a model that has several
            inputs, as many, in its order or called by its names.
        output: a folder; or a file name, if `source` is a single file or a sequence of numbered
            pictures that becomes a video or an animation.
        options: how to translate and write.
        processes: the processes that share the files. All of them make this call, and each gets
            the complete report.
        progress, video_progress: called after each file and each frame.
        say: called with a line on anything unexpected.
        choices: fields of `FolderOptions` that override those of `options`.

    Raises:
        ConfigError: an option is out of range, or the options for videos contradict each other.
        DataError: there are no images or videos; a result would replace its input or a file that
            img2img did not make; an option would have no effect; or an input is already the result
            of an earlier call and `skip_existing` is not set.
        ModelFileError: the model does not translate RGB to RGB.
        StorageError: the output folder cannot be written to.
        TranslationStopped: the disk is full, or Ctrl-C was pressed. The results so far are
            complete, and the error's `report` lists them.
    """
    begun = time.monotonic()
    options = replace(options, **choices)
    labels = translator.spec.output.kind == "labels"
    sources = [str(source)] if isinstance(source, str | Path) else [*map(str, source)]
    if not all(sources):
        raise DataError("`source` is empty")
    if not str(output):
        raise DataError("`output` is empty")
    names = [*translator.spec.input.by_input]
    model = translator.identity
    kept = INDEXED if labels else writable_suffixes()
    tasks = Tasks.of(sources, Path(output), options, model, names, kept, processes, say)
    if options.mask is not None:
        translator.require_same_domain()
    for job in tasks.todo if labels else ():
        if suffix_of(job.target) not in INDEXED:
            raise DataError.of(job.target, f"label maps are written as {', '.join(INDEXED)}")
    images = sum(not job.is_video for job in tasks.todo)
    if images < len(tasks.todo):
        translator.require_rgb()
    translator.expect(-(-images // processes.count))
    work = Work(translator, tasks.results, options, progress, video_progress, say)
    outcome = work.do(tasks.share(processes))
    if not isinstance(outcome.stopped, TranslationInterrupted):  # else nobody is waited for
        outcome = Outcome.together(processes.gather(outcome))
    report = outcome.report(tasks, translator, time.monotonic() - begun)
    if outcome.stopped:
        done, total = len(tasks.skipped) + len(outcome.made), len(tasks.planned.jobs)
        raise _stopped(outcome.stopped, done, total, report) from None
    if tasks.results.gallery:
        report.gallery = tasks.results.gallery / "index.html"
        if processes.first:
            write_page(report.gallery, tasks, outcome.made, report.failed, translator)
    return report


def _stopped(cause: Img2ImgError, done: int, total: int, report: Report) -> TranslationStopped:
    """The error to raise when work ended early; for a single video, it counts frames."""
    if isinstance(cause, TranslationStopped):
        if cause.video and total == 1:
            cause.report = report
            return cause
        return type(cause)(cause.cause, done, total, report=report)
    return TranslationStopped(str(cause), done, total, report=report)
