"""The outcome of a call: in one process, and in all of them together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from img2img.engine.sizing import AppliedScale, Scale
from img2img.engine.translator import Translator
from img2img.errors import Img2ImgError
from img2img.images.display import shown_of
from img2img.translate.gallery import write_gallery
from img2img.translate.manifest import Entry
from img2img.translate.plan import Job
from img2img.translate.tasks import Tasks
from img2img.video.convert import Converted


@dataclass
class Report:
    """The outcome of a call of `translate_folder`."""

    output: Path
    """The folder of the results, or the single result if `output` named it."""
    written: list[Path] = field(default_factory=list)
    """The results that this call has written."""
    skipped: list[Path] = field(default_factory=list)
    """Inputs whose result was already there."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Inputs that could not be translated, and why."""
    unsupported: dict[str, int] = field(default_factory=dict)
    """Number of files in formats that cannot be read, by suffix."""
    left_out: list[Path] = field(default_factory=list)
    """Results of other calls and run folders among the inputs, which were not translated."""
    videos: dict[Path, Converted] = field(default_factory=dict)
    """Details on each video, by input."""
    scale: Scale = "auto"
    """The option `scale`."""
    applied_scales: dict[AppliedScale, int] = field(default_factory=dict)
    """Number of images written that were translated at each scale."""
    seconds: float = 0.0
    gallery: Path | None = None
    """The gallery page, if there is one."""

    @property
    def images_per_second(self) -> float:
        """Results that this call has written, per second."""
        return len(self.written) / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """The report as JSON can hold it, with paths as text."""
        return {
            "output": str(self.output),
            "written": [str(path) for path in self.written],
            "skipped": [str(path) for path in self.skipped],
            "failed": {str(path): reason for path, reason in self.failed.items()},
            "unsupported": self.unsupported,
            "left_out": [str(path) for path in self.left_out],
            "videos": {
                str(path): {**asdict(made), "target": str(made.target)}
                for path, made in self.videos.items()
            },
            "scale": {"asked": self.scale, **self.applied_scales},
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 3),
            "gallery": None if self.gallery is None else str(self.gallery),
        }


@dataclass
class Outcome:
    """The outcome of the jobs so far."""

    made: dict[Job, Entry] = field(default_factory=dict)
    failed: dict[Job, str] = field(default_factory=dict)
    """Why each job failed."""
    videos: dict[Job, Converted] = field(default_factory=dict)
    stopped: Img2ImgError | None = None
    """Why the work ended early: a full disk, or a signal; None if it did not."""

    @classmethod
    def together(cls, parts: Sequence["Outcome"]) -> "Outcome":
        """The outcomes of several processes as one."""
        whole = cls(stopped=next((part.stopped for part in parts if part.stopped), None))
        for part in parts:
            whole.made |= part.made
            whole.failed |= part.failed
            whole.videos |= part.videos
        return whole

    def fail(self, job: Job, error: Exception) -> None:
        """Record why a job failed. The report names the file, so the reason leaves it out."""
        reason = str(error)
        if isinstance(error, Img2ImgError) and error.path == job.source:
            reason = error.reason
        elif isinstance(error, OSError) and error.filename in (None, str(job.source)):
            reason = error.strerror or reason
        self.failed[job] = reason

    def report(self, tasks: Tasks, translator: Translator, seconds: float) -> Report:
        """The report on these jobs."""
        planned, videos = tasks.planned, self.videos
        targets = {job: videos[job].target if job in videos else job.target for job in planned.jobs}
        images = (entry.size for job, entry in self.made.items() if not job.is_video)
        return Report(
            output=targets[planned.jobs[0]] if planned.named else planned.folder,
            written=[targets[job] for job in planned.jobs if job in self.made],
            skipped=[job.source for job in planned.jobs if job in tasks.skipped],
            failed={**tasks.refused}
            | {job.source: self.failed[job] for job in planned.jobs if job in self.failed},
            unsupported=dict(planned.unsupported),
            left_out=planned.left_out,
            videos={job.source: converted for job, converted in videos.items()},
            scale=translator.scale,
            applied_scales=dict(Counter(map(translator.applied_scale, images))),
            seconds=seconds,
        )


def write_page(
    path: Path,
    tasks: Tasks,
    made: Mapping[Job, Entry],
    failed: Mapping[Path, str],
    translator: Translator,
) -> None:
    """Write the gallery page, with the results of this call and those it skipped.

    Raises:
        StorageError: the page cannot be written.
    """
    there = {**tasks.skipped, **made}
    jobs = [job for job in tasks.planned.jobs if job in there]
    cards = [card for job in jobs if (card := tasks.results.card(job, there[job]))]
    domains = {"input": translator.spec.input, "result": translator.spec.output}
    write_gallery(path, tasks.planned.folder.resolve().name, cards, failed, shown_of(domains))
