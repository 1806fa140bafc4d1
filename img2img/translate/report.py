"""What became of the files: of one process, and of all together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from img2img.engine.sizing import AppliedScale, Scale
from img2img.engine.translator import Translator
from img2img.errors import Img2ImgError
from img2img.translate.gallery import write_gallery
from img2img.translate.manifest import Entry
from img2img.translate.plan import Job
from img2img.translate.tasks import Tasks
from img2img.video.convert import Converted


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
    """How many of the images written were translated at which scale."""
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


@dataclass
class Outcome:
    """What has come of the jobs so far."""

    made: dict[Job, Entry] = field(default_factory=dict)
    failed: dict[Job, str] = field(default_factory=dict)
    """The reason by job."""
    videos: dict[Job, Converted] = field(default_factory=dict)
    stopped: Img2ImgError | None = None
    """What ended the work early: the disk is full, or a signal came; None: nothing."""

    @classmethod
    def together(cls, parts: Sequence["Outcome"]) -> "Outcome":
        """That of several processes."""
        whole = cls(stopped=next((part.stopped for part in parts if part.stopped), None))
        for part in parts:
            whole.made |= part.made
            whole.failed |= part.failed
            whole.videos |= part.videos
        return whole

    def fail(self, job: Job, error: Exception) -> None:
        """Note why a job has no result. The report names the file, so the reason does not."""
        reason = str(error)
        if isinstance(error, Img2ImgError) and error.path == job.source:
            reason = error.reason
        elif isinstance(error, OSError) and error.filename in (None, str(job.source)):
            reason = error.strerror or reason
        self.failed[job] = reason

    def report(self, tasks: Tasks, translator: Translator, seconds: float) -> Report:
        """The report of all of them."""
        planned, videos = tasks.planned, self.videos
        targets = {job: videos[job].target if job in videos else job.target for job in planned.jobs}
        images = (entry.size for job, entry in self.made.items() if not job.is_video)
        return Report(
            output=targets[planned.jobs[0]] if planned.named else planned.folder,
            written=[targets[job] for job in planned.jobs if job in self.made],
            skipped=[job.source for job in planned.jobs if job in tasks.before],
            failed={**tasks.refused}
            | {job.source: self.failed[job] for job in planned.jobs if job in self.failed},
            passed_over=dict(planned.passed_over),
            left_out=planned.own,
            videos={job.source: converted for job, converted in videos.items()},
            scale=translator.scale,
            ways=dict(Counter(map(translator.applied_scale, images))),
            seconds=seconds,
        )


def write_page(
    path: Path, tasks: Tasks, made: Mapping[Job, Entry], failed: Mapping[Path, str]
) -> None:
    """The gallery, of all results that are there.

    Raises:
        StorageError: the disk refused.
    """
    there = {**tasks.before, **made}
    jobs = [job for job in tasks.planned.jobs if job in there]
    cards = [card for job in jobs if (card := tasks.results.card(job, there[job]))]
    write_gallery(path, tasks.planned.folder.resolve().name, cards, failed)
