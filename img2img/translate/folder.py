"""Translating files: a picture or video, a folder with all that is in it, or a glob."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from img2img.engine.sizing import AppliedScale, Scale
from img2img.engine.translator import Translator
from img2img.errors import (
    DataError,
    StorageError,
    TranslationInterrupted,
    TranslationStopped,
    some_names,
)
from img2img.images import OURS
from img2img.runtime.files import write_text
from img2img.runtime.processes import ALONE, Processes
from img2img.translate.effects import VIDEOS, check_options
from img2img.translate.gallery import write_gallery
from img2img.translate.manifest import Entry, Manifest
from img2img.translate.plan import Job, Plan, plan
from img2img.translate.results import Results
from img2img.translate.video import VideoOptions
from img2img.translate.work import Progress, VideoProgress, Work
from img2img.video.codecs import check_choices
from img2img.video.convert import Converted

# Why a file is not translated that an earlier call has replaced by its result.
AGAIN = "the result of an earlier call, whose original is gone"

# Of JPEG and WebP, where nobody says.
QUALITY = 95


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
    ways: dict[AppliedScale, int] = field(default_factory=dict)
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


def translate_folder(  # noqa: PLR0912, PLR0915
    translator: Translator,
    source: Path | str,
    output: Path | str,
    *,
    image_format: str | None = None,
    quality: int | None = None,
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
    with `skip_existing`, and for any later call which files may be replaced.

    Args:
        source: a file, a folder, or a glob such as `scans/**/*.tif`.
        output: a folder; or, for a single file, or numbered pictures that become a video or an
            animation, a file name.
        image_format: suffix of all images made, such as `png`; None keeps each file's own.
        quality: of JPEG and lossy WebP, 1 to 100; None: 95.
        skip_existing: leave what this model made with these settings, where neither input nor
            result has changed since (by size and time).
        overwrite: let results replace their inputs, where `output` is the folder of the input,
            and files that are no results of an earlier call. A result that has replaced its input
            is not translated again.
        compare: write input and result of images side by side, too, in the folder `compare`.
        gallery: make a page of the images to look at, `gallery/index.html`.
        video: how videos are translated, and what else is taken for frames in their order:
            animations, and folders of numbered pictures, where it asks for what only frames have.
            A video that was interrupted is gone on with.
        processes: all of them make this call, and share the files; each gets the whole report.
        progress: called with (files done, files) of this process.
        video_progress: called with (name, frames done, frames) of the video at work.
        say: told of what is not as one might expect of a video.

    Raises:
        ConfigError: a codec, quality, preset, pixel format and container do not go together.
        DataError: nothing there, no images or videos, or the results would overwrite the input or
            a file of somebody else's; an option would do nothing for what is there; or inputs have
            been replaced by earlier results, and `skip_existing` is not given.
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
            over_time=video.over_time,
            part=video.part,
        )
    )
    _check_effects(planned, video, image_format, quality, compare=compare, gallery=gallery)
    quality = QUALITY if quality is None else quality
    steady = (
        [video.stabilize, *map(str, (video.start, video.end, video.every))]
        if video.over_time
        else []
    )
    results = Results(
        folder=planned.folder,
        manifest=Manifest(planned.folder, processes.rank, say),
        settings=json.dumps([translator.identity, quality, *steady]),
        video_settings=json.dumps([translator.identity, video.settings(quality)]),
        quality=quality,
        compare=processes.from_first(planned.apart("compare")) if compare else None,
        gallery=processes.from_first(planned.apart("gallery")) if gallery else None,
    )
    before: dict[Job, Entry] = {}
    if skip_existing:
        before = processes.from_first(results.made_before(planned) if processes.first else {})
    if video.stabilize != "off":
        before = _whole_scenes(before, planned.jobs)
    again = planned.again - before.keys()
    replaced = {job.source: AGAIN for job in planned.jobs if job in again}
    if replaced and not skip_existing:
        raise _made_from_results(replaced)
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
            ways=dict(
                Counter(translator.applied_scale(e.size) for j, e in made.items() if not j.is_video)
            ),
            seconds=time.monotonic() - begun,
        )

    work = Work(translator, results, planned, video, progress, video_progress, say)
    stopped: TranslationStopped | StorageError | None = None
    try:
        work.do(_share(todo, processes, whole_scenes=video.stabilize != "off"))
    except (KeyboardInterrupt, TranslationInterrupted) as error:
        done = len(before) + len(work.made)
        report = report_of(work.made, work.failed, work.videos)
        if isinstance(error, TranslationInterrupted) and len(planned.jobs) == 1:
            error.report = report
            raise
        raise TranslationInterrupted("Ctrl-C", done, len(planned.jobs), report=report) from None
    except (StorageError, TranslationStopped) as error:
        stopped = error
    parts = processes.gather((work.made, work.failed, work.videos, stopped))
    made = {job: entry for part, _, _, _ in parts for job, entry in part.items()}
    failed = {job: why for _, part, _, _ in parts for job, why in part.items()}
    videos = {job: converted for _, _, part, _ in parts for job, converted in part.items()}
    report = report_of(made, failed, videos)
    if first := next((error for *_, error in parts if error), None):
        if isinstance(first, TranslationStopped) and len(planned.jobs) == 1:
            first.report = report
            raise first
        cause = first.cause if isinstance(first, TranslationStopped) else str(first)
        done = len(before) + len(made)
        raise TranslationStopped(cause, done, len(planned.jobs), report=report)

    if results.gallery:
        report.gallery = results.gallery / "index.html"
        if processes.first:
            _write_page(report, results, planned, before | made)
    return report


def _check_effects(
    planned: Plan,
    video: VideoOptions,
    image_format: str | None,
    quality: int | None,
    *,
    compare: bool,
    gallery: bool,
) -> None:
    """Raises DataError where an option that is given would do nothing, ConfigError if it cannot."""
    given = video.given | {"format": image_format is not None, "quality": quality is not None}
    given |= {"compare": compare, "gallery": gallery}
    options = [option for option, is_given in given.items() if is_given]
    check_options(options, {job.source: job.kind for job in planned.jobs})
    for suffix in {job.target.suffix for job in planned.jobs if job.kind in VIDEOS}:
        check_choices(video.encoding, suffix)


def _made_from_results(replaced: Mapping[Path, str]) -> DataError:
    names = some_names([*map(str, replaced)], most=3)
    return DataError(
        f"{names}: {AGAIN}; leave such files as they are with --skip-existing, or choose"
        " another --output"
    )


def _write_page(
    report: Report, results: Results, planned: Plan, there: Mapping[Job, Entry]
) -> None:
    """The gallery, of all results that are there."""
    assert report.gallery is not None
    found = [results.card(job, there[job]) for job in planned.jobs if job in there]
    cards = [card for card in found if card]
    write_gallery(report.gallery, planned.folder.resolve().name, cards, report.failed)


def _whole_scenes(before: Mapping[Job, Entry], jobs: Sequence[Job]) -> dict[Job, Entry]:
    """What need not be made again, where the frames of a scene depend on those before."""
    begun_anew = {job.scene for job in jobs if job not in before}
    return {job: entry for job, entry in before.items() if job.scene not in begun_anew}


def _share(todo: Sequence[Job], processes: Processes, *, whole_scenes: bool) -> Sequence[Job]:
    """The jobs of this process."""
    if not whole_scenes:
        return todo[processes.rank :: processes.count]
    scenes = [*dict.fromkeys(job.scene for job in todo)][processes.rank :: processes.count]
    return [job for job in todo if job.scene in {*scenes}]
