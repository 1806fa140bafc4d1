"""Which files are translated, and what the results are called."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from img2img.errors import DataError, some_names
from img2img.images import OURS, WRITABLE_SUFFIXES
from img2img.translate import effects
from img2img.translate.finding import find
from img2img.translate.manifest import Made
from img2img.translate.naming import (
    container_suffix,
    ignores_case,
    image_suffix,
    names,
    suffix_of,
    without_case,
)
from img2img.translate.sequences import ANIMATED, is_animated, sequence
from img2img.video import is_video
from img2img.video.containers import CONTAINERS
from img2img.video.journal import work_folder

_ONE_FILE = {*CONTAINERS, *WRITABLE_SUFFIXES}
# Of a video, no PNG: whoever names one means a picture.
_ANIMATIONS = ANIMATED - {".png"}


@dataclass(frozen=True)
class Job:
    """One file to translate, and where the result goes."""

    source: Path
    target: Path
    name: str
    """The source as seen from the root of the inputs, with slashes."""
    frames: tuple[Path, ...] = field(default=(), compare=False, repr=False)
    """The pictures of a sequence that becomes one file; the source then is their folder."""
    kind: str = field(default="", compare=False)
    """What there is to do, as `effects` calls it."""

    @property
    def is_video(self) -> bool:
        """Whether a video is read or written, and not only images."""
        return is_video(self.source) or bool(self.frames) or is_video(self.target)

    @property
    def scene(self) -> Path:
        """What it is a part of, of frames in their order: its sequence, else itself."""
        return self.source.parent if self.kind == effects.SEQUENCE else self.source

    @property
    def in_place(self) -> bool:
        """Whether the result replaces its input."""
        return _place(self.source) == _place(self.target)


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    jobs: list[Job]
    folder: Path
    """The folder that all results are in."""
    named: bool
    """Whether the result of a single file was given a name."""
    refused: dict[Path, str]
    """Files and folders that cannot be taken, and why."""
    passed_over: Counter[str]
    """How many files are pictures of a kind that is not read, by suffix."""
    own: list[Path]
    """Results of other calls and run folders among the inputs, which are left out."""
    again: frozenset[Job]
    """Those whose input is the result of an earlier call, which has replaced it."""

    def apart(self, name: str) -> Path:
        """A folder beside the results that has none of them in it, called `name` if possible.

        One that is there already is another's, unless it has the mark `OURS`.
        """
        taken = {job.target.relative_to(self.folder).parts[0].casefold() for job in self.jobs}
        number = 1
        tried = name
        while tried in taken or _is_anothers(self.folder / tried):
            number += 1
            tried = f"{name}-{number}"
        return self.folder / tried


def plan(
    source: str,
    output: Path,
    image_format: str | None = None,
    *,
    container: str | None = None,
    frames: bool = False,
    overwrite: bool = False,
    over_time: str | None = None,
    part: Callable[[list[Path]], list[Path]] = lambda files: files,
) -> Plan:
    """Decide which files are translated and what each result is called.

    A folder is searched through, and its tree and names are kept under `output`. A single file may
    have a file name as its `output`. Files of a kind that cannot be written become PNG, or MP4;
    where that gives two the same name, the one that is renamed keeps its old suffix within the new
    name.
    Results of an earlier call, where `output` is inside the folder or the folder itself, are not
    taken for input.

    Args:
        source: a file, a folder, or a glob such as `scans/**/*.tif`.
        image_format: suffix of all images that are made, such as `png`; None keeps each file's own.
        container: the same for videos, such as `mkv`.
        frames: whether of a video numbered images are made, in a folder of its name.
        overwrite: whether results may replace their inputs, where `output` is the folder of the
            input, and a file that was given a name replace what is no result of an earlier call.
            One of another format than its input stands beside it. Nothing else is replaced but
            results of earlier calls.
        over_time: what asks for pictures to be taken for the frames of a sequence, or several, one
            a folder; None: nothing. An `output` that is called as a video or an animation asks for
            it, too, and becomes one; and so does `container`, where there are no videos.
        part: gives of the frames of a sequence that stay pictures those that are translated.

    Raises:
        DataError: nothing there, no images, or the results would overwrite the input, or a file of
            somebody else's; or pictures are no sequence where one is asked for.
    """
    found = find(source)
    files, root = found.files, found.root
    real_root, real_output = _real(root), _real(output)
    made = Made(output) if real_root == real_output else None
    if made:
        files = [file for file in files if file.relative_to(root).as_posix() not in made.results]
    elif real_root in real_output.parents:
        files = [file for file in files if real_output not in _place(file).parents]
    own = [path for path in found.own if not _place(path).is_relative_to(real_output)]
    if not files and not found.refused:
        if own:
            raise DataError(
                f"{source}: no images but those that img2img made:"
                f" {some_names([*map(str, own)], 3)}; to translate such a folder, give it as"
                " --input"
            )
        raise DataError(f"{source}: no images but those in --output {output}")
    wishes = _Wishes(image_format, container, frames, overwrite, over_time, part)
    jobs, named = _jobs(source, files, root, output, made, wishes)
    jobs = [
        replace(job, kind=job.kind or _kind(job, frames=frames, look=over_time is not None))
        for job in jobs
    ]
    places = {_place(job.source): job for job in jobs}
    if any((places.get(_place(job.target), job) is not job) for job in jobs) or (
        not overwrite and any(job.in_place for job in jobs)
    ):
        raise DataError(f"--output {output}: would overwrite the input; choose another folder")
    folder = jobs[0].target.parent if named else output
    jobs, astray = _within(folder, jobs)
    replaced = [job for job in jobs if job.in_place] if overwrite else []
    known = made or Made(folder)
    if not overwrite:
        _leave_others(folder, jobs, known, named=named)
    again = frozenset(job for job in replaced if known.stands(job.name))
    return Plan(jobs, folder, named, found.refused | astray, found.passed_over, own, again)


@dataclass(frozen=True)
class _Wishes:
    """What `plan` is asked for."""

    image_format: str | None
    container: str | None
    frames: bool
    overwrite: bool
    over_time: str | None
    part: Callable[[list[Path]], list[Path]]


def _jobs(
    source: str,
    files: Sequence[Path],
    root: Path,
    output: Path,
    made: Made | None,
    wishes: _Wishes,
) -> tuple[list[Job], bool]:
    """What is to be done, and whether the one result was given a name."""
    single = [Path(source)] == files
    films = [file for file in files if is_video(file)]
    one_file = output.suffix.lower() in {*CONTAINERS, *_ANIMATIONS} and not output.is_dir()
    named = output.suffix != "" and not output.is_dir() if single else one_file and not films
    if named and not (wishes.frames and films):
        if single:
            return [_named(files[0], output, wishes.image_format, wishes.container)], True
        shown = sequence(files, f"--output {output.name}")
        folder = files[0].parent
        if container := container_suffix(wishes.container):
            if output.suffix.lower() in _ANIMATIONS:
                raise _no_video(container, output)
            output = output.with_suffix(container)
        return [Job(folder, output, folder.resolve().name, tuple(shown))], True
    if wishes.frames and films and not output.is_dir() and output.suffix.lower() in _ONE_FILE:
        raise DataError(
            f"--output {output}: --frames makes a folder: give it a name without {output.suffix}"
        )
    if one_file and films and not single:
        raise DataError(f"--output {output}: one file, but {source} holds several")
    if output.is_file():
        raise DataError(f"--output {output}: a file, but the results of {source} need a folder")
    if made and not wishes.overwrite:
        raise DataError(
            f"--output {output}: the folder of the input; choose another, or let results replace"
            " their inputs with --overwrite"
        )
    suffix, container = image_suffix(wishes.image_format), container_suffix(wishes.container)
    if container and not films and not wishes.frames:
        return _as_videos(files, root, output, container), False
    scenes = _scenes(files, wishes.over_time) if wishes.over_time else {}
    shown = [file for scene in {*scenes.values()} for file in wishes.part([*scene])]
    left = {file for file in files if file not in scenes} | {*shown}
    of_videos = "" if wishes.frames else container
    suffixes = {file: suffix_of(file, suffix, of_videos) for file in files if file in left}
    jobs = _beside(suffixes, root, output, made)
    of_scenes = [
        replace(job, kind=effects.SEQUENCE) if job.source in scenes else job for job in jobs
    ]
    return of_scenes, False


def _named(file: Path, output: Path, image_format: str | None, container: str | None) -> Job:
    """The job of a single file whose result was given a name."""
    ending = output.suffix.lower()
    crosses = _ANIMATIONS if is_video(file) else CONTAINERS  # to the other kind
    if ending in crosses:
        if container and is_video(file):
            raise _no_video(container, output)
        if not is_video(file) and not is_animated(file):
            raise DataError(
                f"--output {output}: a video is made of an animation, or of a folder of numbered"
                f" pictures; {file} is a single one"
            )
        target = output.with_suffix(container_suffix(container) or ending)
        return Job(file, target if container else output, file.name)
    check, wished = (
        (container_suffix, container) if is_video(file) else (image_suffix, image_format)
    )
    suffix = check(wished)
    target = output if suffix is None else output.with_suffix(suffix)
    check(target.suffix)
    return Job(file, target, file.name)


def _no_video(container: str, output: Path) -> DataError:
    return DataError(f"--container {container}: --output {output} is not a video")


def _as_videos(files: Sequence[Path], root: Path, output: Path, container: str) -> list[Job]:
    """Jobs that make a video of each animation, and of each folder of numbered pictures."""
    scenes = _scenes(files, "--container")
    jobs = []
    for scene in dict.fromkeys(scenes.values()):
        folder = scene[0].parent
        name = folder.relative_to(root).as_posix() if folder != root else root.resolve().name
        jobs.append(Job(folder, output / f"{name}{container}", name, scene))
    for file in (file for file in files if file not in scenes):
        name = file.relative_to(root).as_posix()
        jobs.append(Job(file, (output / name).with_suffix(container), name))
    return jobs


def _scenes(files: Sequence[Path], why: str) -> dict[Path, tuple[Path, ...]]:
    """By picture, the sequence that it is of; videos and animations are none."""
    folders: defaultdict[Path, list[Path]] = defaultdict(list)
    for file in files:
        if not is_video(file) and not is_animated(file):
            folders[file.parent].append(file)
    found = {}
    for pictures in folders.values():
        scene = tuple(sequence(pictures, why))
        found.update(dict.fromkeys(scene, scene))
    return found


def _kind(job: Job, *, frames: bool, look: bool) -> str:
    """What there is to do for a job that is no part of a sequence.

    Args:
        look: into files, whether they are animations.
    """
    if is_video(job.source):
        if frames:
            return effects.VIDEO + effects.AS_FRAMES
        return effects.VIDEO + ("" if is_video(job.target) else effects.AS_ANIMATION)
    becomes = effects.AS_VIDEO if is_video(job.target) else ""
    if job.frames:
        return effects.SEQUENCE + (becomes or effects.AS_ANIMATION)
    moves = becomes or (look and is_animated(job.source))
    return effects.ANIMATION + becomes if moves else effects.PICTURE


def _leave_others(folder: Path, jobs: Sequence[Job], known: Made, *, named: bool) -> None:
    """See that no file is replaced that this program has not made.

    A folder with results of earlier calls is this program's own, also if its list of them is
    damaged.

    Raises:
        DataError: one would be.
    """
    if known.any and not named:
        return
    others = [
        str(job.target)
        for job in jobs
        if job.target.is_file()
        and not known.stands_as_made(job.target.relative_to(folder).as_posix())
        and not work_folder(job.target).exists()
    ]
    if others:
        raise DataError(
            f"--output: {some_names(others, most=3)} exists, and was not made by img2img"
            " or was changed since: choose another name, or replace it with --overwrite"
        )


def _beside(suffixes: Mapping[Path, str], root: Path, output: Path, made: Made | None) -> list[Job]:
    """Jobs that keep the tree under `root`, with no two results of one name.

    Args:
        suffixes: of the results, by file.
        made: what may be replaced, besides a file by its own result, where not all may.
    """

    def protected(file: Path, target: Path) -> bool:
        if made is None or not os.path.lexists(target) or _place(file) == _place(target):
            return False
        return not made.stands(target.relative_to(output).as_posix())

    alike = without_case if ignores_case(output) else str
    targets: dict[Path, Path] = {}
    taken: set[str] = set()
    # Who keeps his name has the first right to it.
    for file in sorted(suffixes, key=lambda file: file.suffix != suffixes[file]):
        folder = (output / file.relative_to(root)).parent
        for name in names(file, suffixes[file]):
            target = folder / name
            if alike(str(target)) not in taken and not protected(file, target):
                break
        taken.add(alike(str(target)))
        targets[file] = target
    return [Job(file, targets[file], file.relative_to(root).as_posix()) for file in suffixes]


def _within(folder: Path, jobs: Sequence[Job]) -> tuple[list[Job], dict[Path, str]]:
    """Those whose results stay in `folder`; and the others, which a link would lead out of it."""
    real = cache(_real)
    inside = {job for job in jobs if real(job.target.parent).is_relative_to(real(folder))}
    astray = [job for job in jobs if job not in inside]
    why = "its result would lie outside the output folder, where a link leads"
    return [job for job in jobs if job in inside], {job.source: why for job in astray}


def _is_anothers(folder: Path) -> bool:
    return os.path.lexists(folder) and not (folder / OURS).exists()


def _real(path: Path) -> Path:
    """Without links; other than `Path.resolve`, not upset by one that leads to itself."""
    return Path(os.path.realpath(path))


def _place(path: Path) -> Path:
    """Where a file itself is, be it a link or not: what is replaced when it is written."""
    return _real(path.parent) / path.name
