"""The jobs of a call: those of the plan, without those that an earlier call has done."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from img2img.errors import DataError, some_names
from img2img.runtime.processes import Processes
from img2img.translate.inputs import check_inputs, with_inputs
from img2img.translate.kinds import TO_VIDEO, check_options
from img2img.translate.manifest import Entry
from img2img.translate.masks import Masks
from img2img.translate.options import FolderOptions
from img2img.translate.plan import Job, Plan, plan
from img2img.translate.results import Results
from img2img.video.codecs import check_choices

# Why an input is not translated if it is itself the result of an earlier call.
ALREADY_REPLACED = "already replaced by the result of an earlier call"


@dataclass(frozen=True)
class Tasks:
    """The work of all processes of a call."""

    planned: Plan
    results: Results
    skipped: Mapping[Job, Entry]
    """Jobs that an earlier call has done; their results are kept."""
    refused: Mapping[Path, str]
    """Files that are not translated, and why."""
    todo: Sequence[Job]
    whole_scenes: bool
    """Whether each frame of a scene depends on the ones before, so that one process takes all."""

    @classmethod
    def of(
        cls,
        sources: Sequence[str],
        output: Path,
        options: FolderOptions,
        model: str,
        names: Sequence[str],
        kept: Collection[str],
        processes: Processes,
        say: Callable[[str], None],
    ) -> "Tasks":
        """Plan the call. All processes do this, so that all raise the same errors.

        Args:
            sources: one, or several that together are the input.
            model: a text that differs between models whose results may differ.
            names: of the inputs of the model, if it has several.
            kept: see `plan`.

        Raises:
            The errors of `img2img.translate_folder`.
        """
        check_inputs(sources, names)
        planned = plan(sources[0], output, options, kept=kept)
        if len(sources) > 1:
            planned = with_inputs(planned, sources, names)
        planned = processes.from_first(planned)
        masks = Masks.of(options)
        check_options(options.given, {job.source: job.kind for job in planned.jobs})
        for suffix in {job.target.suffix for job in planned.jobs if job.kind in TO_VIDEO}:
            check_choices(options.encoding, suffix)
        results = Results.of(planned, options, model, masks, processes, say)
        skipped: dict[Job, Entry] = {}
        if options.skip_existing:
            skipped = processes.from_first(results.made_before() if processes.first else {})
        whole_scenes = options.stabilize != "off"
        if whole_scenes:
            begun_anew = {job.scene for job in planned.jobs if job not in skipped}
            skipped = {job: entry for job, entry in skipped.items() if job.scene not in begun_anew}
        replaced = {
            job.source: ALREADY_REPLACED
            for job in planned.jobs
            if job in planned.replaced - skipped.keys()
        }
        if replaced and not options.skip_existing:
            raise DataError(
                f"{some_names([*map(str, replaced)], most=3)}: {ALREADY_REPLACED}; skip such files"
                " with `skip_existing`, or choose another `output`"
            )
        if processes.first:
            results.prepare()
        todo = [job for job in planned.jobs if job not in skipped and job.source not in replaced]
        return cls(planned, results, skipped, planned.refused | replaced, todo, whole_scenes)

    def share(self, processes: Processes) -> Sequence[Job]:
        """The jobs of this process."""
        if not self.whole_scenes:
            return self.todo[processes.rank :: processes.count]
        scenes = dict.fromkeys(job.scene for job in self.todo)
        own = {*[*scenes][processes.rank :: processes.count]}
        return [job for job in self.todo if job.scene in own]
