"""What one call has to do: the jobs of a plan, without those that an earlier call has done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from img2img.errors import DataError, some_names
from img2img.runtime.processes import Processes
from img2img.translate.kinds import TO_VIDEO, check_options
from img2img.translate.manifest import Entry
from img2img.translate.options import FolderOptions
from img2img.translate.plan import Job, Plan, plan
from img2img.translate.results import Results
from img2img.video.codecs import check_choices

# Why a file is not translated that an earlier call has replaced by its result.
AGAIN = "already replaced by the result of an earlier call"


@dataclass(frozen=True)
class Tasks:
    """What all processes of a call have to do."""

    planned: Plan
    results: Results
    before: Mapping[Job, Entry]
    """Jobs that an earlier call has done, and whose results are kept."""
    refused: Mapping[Path, str]
    """Files that are not translated, and why."""
    todo: Sequence[Job]
    whole_scenes: bool
    """Whether the frames of a scene depend on those before."""

    @classmethod
    def of(
        cls,
        source: str,
        output: Path,
        options: FolderOptions,
        model: str,
        processes: Processes,
        say: Callable[[str], None],
    ) -> "Tasks":
        """Plan the call. All processes do it, so that all raise the same errors.

        Args:
            model: differs where the results of two models could.

        Raises:
            As `img2img.translate_folder`.
        """
        planned = processes.from_first(plan(source, output, options))
        check_options(options.given, {job.source: job.kind for job in planned.jobs})
        for suffix in {job.target.suffix for job in planned.jobs if job.kind in TO_VIDEO}:
            check_choices(options.encoding, suffix)
        results = Results.of(planned, options, model, processes, say)
        before: dict[Job, Entry] = {}
        if options.skip_existing:
            before = processes.from_first(results.made_before() if processes.first else {})
        whole_scenes = options.stabilize != "off"
        if whole_scenes:
            begun_anew = {job.scene for job in planned.jobs if job not in before}
            before = {job: entry for job, entry in before.items() if job.scene not in begun_anew}
        again = planned.again - before.keys()
        replaced = {job.source: AGAIN for job in planned.jobs if job in again}
        if replaced and not options.skip_existing:
            raise DataError(
                f"{some_names([*map(str, replaced)], most=3)}: {AGAIN}; leave such files as they"
                " are with `skip_existing`, or choose another `output`"
            )
        if processes.first:
            results.prepare()
        todo = [job for job in planned.jobs if job not in before and job.source not in replaced]
        return cls(planned, results, before, planned.refused | replaced, todo, whole_scenes)

    def share(self, processes: Processes) -> Sequence[Job]:
        """The jobs of this process."""
        if not self.whole_scenes:
            return self.todo[processes.rank :: processes.count]
        scenes = dict.fromkeys(job.scene for job in self.todo)
        own = {*[*scenes][processes.rank :: processes.count]}
        return [job for job in self.todo if job.scene in own]
