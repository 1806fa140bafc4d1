"""Several files that together are the input of a model, by their names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from img2img.errors import ConfigError, counted
from img2img.images import suffix_of
from img2img.translate.finding import find
from img2img.translate.plan import Job, Plan


def check_inputs(sources: Sequence[str], names: Sequence[str]) -> None:
    """Check how many inputs are given.

    Args:
        names: of the inputs of the model; one without a name if it has a single one.

    Raises:
        ConfigError: there are more or fewer than the model takes.
    """
    if len(sources) != len(names):
        takes = counted(len(names), "input") + (f" ({', '.join(names)})" if names[0] else "")
        raise ConfigError(f"`source`: {len(sources)} given, but the model takes {takes}")


def with_inputs(planned: Plan, sources: Sequence[str], names: Sequence[str]) -> Plan:
    """The plan for the first source, with the files of the others beside each of its files.

    Files belong together if their paths below their source are the same but for the suffix. Files
    without a partner are refused.

    Args:
        sources: in the order of `names`, unless they are called by these names.
    """
    paths = [Path(source).resolve() for source in sources]
    called = [(path if path.is_dir() else path.parent).name for path in paths]
    order = [called.index(name) for name in names] if {*called} == {*names} else range(len(names))
    single = [job.source for job in planned.jobs] == [Path(sources[0])]
    refused, partners = dict(planned.refused), [dict[str, Path]() for _ in sources]
    for other, files in zip(sources[1:], partners[1:], strict=True):
        found = find(other)
        for file in found.files:
            alone = single and file == Path(other)
            name = planned.jobs[0].name if alone else file.relative_to(found.root).as_posix()
            files[_stem(name)] = file
        for stem in files.keys() - {_stem(job.name) for job in planned.jobs}:
            refused[files[stem]] = f"no partner in {sources[0]}"
    jobs: list[Job] = []
    for job in planned.jobs:
        partners[0][_stem(job.name)] = job.source
        files_of_job = [files.get(_stem(job.name)) for files in partners]
        if None in files_of_job:
            refused[job.source] = f"no partner in {sources[files_of_job.index(None)]}"
        else:
            inputs = tuple(path for n in order if (path := files_of_job[n]))
            jobs.append(replace(job, inputs=inputs))
    return replace(planned, jobs=jobs, refused=refused)


def _stem(name: str) -> str:
    return name[: -len(suffix_of(Path(name))) or None]
