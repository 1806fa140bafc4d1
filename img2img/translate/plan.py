"""Which files are translated, and where each result goes."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from img2img.errors import DataError, some_names
from img2img.images import OURS, WRITABLE_SUFFIXES, is_run
from img2img.translate.finding import Found, find
from img2img.translate.kinds import IMAGES, Kind
from img2img.translate.manifest import Made
from img2img.translate.naming import (
    container_suffix,
    image_suffix,
    leads_out_of,
    place,
    real,
    suffix_of,
    targets_of,
)
from img2img.translate.options import RATE, FolderOptions
from img2img.translate.sequences import ANIMATED, is_animated, sequence, sequences
from img2img.video import is_video
from img2img.video.containers import CONTAINERS
from img2img.video.journal import work_folder

DEFAULTS = FolderOptions()
# Of a video, no PNG: whoever names one means a picture.
_ANIMATIONS = ANIMATED - {".png"}
_ONE_FILE = {*CONTAINERS, *WRITABLE_SUFFIXES}


@dataclass(frozen=True)
class Job:
    """One file to translate, and where the result goes."""

    source: Path
    target: Path
    name: str
    """The source as seen from the root of the inputs, with slashes."""
    kind: Kind = field(compare=False)
    """What it is and becomes."""
    frames: tuple[Path, ...] = field(default=(), compare=False, repr=False)
    """The pictures of a sequence that becomes one file; the source then is their folder."""

    @property
    def is_video(self) -> bool:
        """Whether it goes through frame by frame, and not as a file of images."""
        return self.kind not in IMAGES

    @property
    def scene(self) -> Path:
        """What it is a part of, of frames in their order: its sequence, else itself."""
        return self.source.parent if self.kind is Kind.SEQUENCE else self.source

    @property
    def in_place(self) -> bool:
        """Whether the result replaces its input."""
        return place(self.source) == place(self.target)


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    jobs: list[Job]
    folder: Path
    """The folder that all results are in."""
    named: bool
    """Whether the one result was given a name."""
    refused: dict[Path, str]
    """Files and folders that cannot be taken, and why."""
    passed_over: Counter[str]
    """How many files are pictures of a kind that is not read, by suffix."""
    own: list[Path]
    """Results of other calls and run folders among the inputs, which are left out."""
    again: frozenset[Job]
    """Those whose input is the result of an earlier call, which has replaced it."""

    def apart(self, name: str) -> Path:
        """A folder without results in it, called `name` if possible, else with a number.

        An existing folder is only used if it has the mark `OURS`.
        """
        taken = {job.target.relative_to(self.folder).parts[0].casefold() for job in self.jobs}
        number = 1
        tried = name
        while tried in taken or _is_anothers(self.folder / tried):
            number += 1
            tried = f"{name}-{number}"
        return self.folder / tried


def plan(source: str, output: Path, options: FolderOptions = DEFAULTS) -> Plan:
    """Decide which files are translated and what each result is called.

    A folder is searched with its subfolders, and its tree and names are kept under `output`. For a
    single file, `output` may be a file name. Files of a kind that cannot be written become PNG or
    MP4; if that gives two files the same name, the renamed one keeps its old suffix within the new
    name. If `output` is the input folder or inside it, results of an earlier call are not inputs.

    The pictures of a folder are the frames of a sequence if an option needs frames in order, if
    `output` has the name of a video or an animation (which they then become), or if `container` is
    given and there are no videos.

    Args:
        source: a file, a folder, or a glob such as `scans/**/*.tif`.
        output: a folder, or the name of the one result.
        options: with `overwrite`, results may replace their inputs, if `output` is the input
            folder, and a named result may replace a file that is not a result of an earlier call.
            A result in another format is written beside its input. Apart from that, only results
            of earlier calls are replaced.

    Raises:
        DataError: there is nothing, or no images; the results would replace the input or a file
            that img2img did not make; or pictures that should be a sequence are not one.
    """
    found = find(source)
    if Path(source).is_dir() and is_run(found.root):
        raise DataError(
            f"{source}: a run folder, which holds no images to translate; its samples are in"
            f" {found.root / 'samples'}",
            path=found.root,
        )
    made = Made(output) if real(found.root) == real(output) else None
    files, own = _inputs(found, source, output, made)
    one = _one_result(source, files, output, options)
    jobs = [one] if one else _in_folder(source, files, found.root, output, made, options)
    _check_inputs_stay(jobs, output, options)
    folder = output if one is None else one.target.parent
    leads_out = leads_out_of(folder)
    why = "its result would lie outside the output folder, where a link leads"
    refused = found.refused | {job.source: why for job in jobs if leads_out(job.target)}
    jobs = [job for job in jobs if job.source not in refused]
    known = made or Made(folder)
    if not options.overwrite:
        _check_others_stay(folder, jobs, known, named=one is not None)
    replaced = (job for job in jobs if job.in_place and options.overwrite)
    again = frozenset(job for job in replaced if known.stands(job.name))
    return Plan(jobs, folder, one is not None, refused, found.passed_over, own, again)


def _inputs(
    found: Found, source: str, output: Path, made: Made | None
) -> tuple[list[Path], list[Path]]:
    """The files to translate, and those that are left out as img2img made them.

    Args:
        made: the record of results, if these are among the inputs.
    """
    files, real_output = found.files, real(output)
    if made:
        files = [f for f in files if f.relative_to(found.root).as_posix() not in made.results]
    elif real(found.root) in real_output.parents:
        files = [file for file in files if real_output not in place(file).parents]
    own = [path for path in found.own if not place(path).is_relative_to(real_output)]
    if files or found.refused:
        return files, own
    if own:
        raise DataError(
            f"{source}: the only images are results of img2img:"
            f" {some_names([*map(str, own)], 3)}; to translate such a folder, name it as `source`"
        )
    raise DataError(f"{source}: the only images are those in the `output` folder {output}")


def _one_result(
    source: str, files: Sequence[Path], output: Path, options: FolderOptions
) -> Job | None:
    """The job where `output` is the name of one result; None where it is a folder."""
    films = [file for file in files if is_video(file)]
    single = [Path(source)] == files
    ending = output.suffix.lower()
    one_file = ending in {*CONTAINERS, *_ANIMATIONS} and not output.is_dir()
    named = ending != "" and not output.is_dir() if single else one_file and not films
    if films and options.frames:
        if not output.is_dir() and ending in _ONE_FILE:
            raise DataError.of(
                output, f"`frames` writes a folder: use a name without {output.suffix}"
            )
        return None
    if named and single:
        return _named(files[0], output, options)
    if one_file and films and not single:
        raise DataError(f"{output} is one file, but {source} holds several")
    if not named or not files:
        return None
    shown = sequence(files, f"`output={output.name}`")
    folder = files[0].parent
    container = container_suffix(options.container)
    if container:
        if ending in _ANIMATIONS:
            raise _no_video(container, output)
        output = output.with_suffix(container)
    kind = Kind.SEQUENCE_TO_VIDEO if is_video(output) else Kind.SEQUENCE_TO_ANIMATION
    return Job(folder, output, folder.resolve().name, kind, tuple(shown))


def _named(file: Path, output: Path, options: FolderOptions) -> Job:
    """The job of a single file whose result was given a name."""
    film, container = is_video(file), container_suffix(options.container)
    if output.suffix.lower() in (_ANIMATIONS if film else CONTAINERS):  # to the other kind
        if film and container:
            raise _no_video(container, output)
        if not film and not is_animated(file):
            raise DataError.of(
                output,
                f"a video can be made from an animation or a folder of numbered"
                f" pictures, but {file} is a single picture",
            )
        kind = Kind.VIDEO_TO_ANIMATION if film else Kind.ANIMATION_TO_VIDEO
        return Job(file, output.with_suffix(container) if container else output, file.name, kind)
    check, wished = (
        (container_suffix, options.container) if film else (image_suffix, options.image_format)
    )
    suffix = check(wished)
    target = output if suffix is None else output.with_suffix(suffix)
    check(target.suffix)
    return Job(file, target, file.name, _kind(file, options))


def _no_video(container: str, output: Path) -> DataError:
    return DataError(f"`container` {container}: the `output` {output} is not a video")


def _in_folder(
    source: str,
    files: Sequence[Path],
    root: Path,
    output: Path,
    made: Made | None,
    options: FolderOptions,
) -> list[Job]:
    """Jobs whose results keep the tree under `root`.

    Args:
        made: the record of results, if these are among the inputs: only they may be replaced.
    """
    if output.is_file():
        raise DataError(f"{output} is a file, but the results of {source} need a folder")
    if made and not options.overwrite:
        raise DataError(
            f"{output} is the input folder: choose another `output`, or replace the inputs with"
            " `overwrite`"
        )
    suffix = image_suffix(options.image_format)
    container = container_suffix(options.container)
    if container and not options.frames and not any(map(is_video, files)):
        return _as_videos(files, root, output, container)
    scenes = sequences(files, f"`{options.over_time}`") if options.over_time else {}
    shown: set[Path] = set()
    for scene in {*scenes.values()}:
        taken = options.span.taken([1] * len(scene), 1 / (options.fps or RATE))
        shown |= {scene[number] for number in taken}
    suffixes = {
        file: suffix_of(file, suffix, "" if options.frames else container)
        for file in files
        if file in shown or file not in scenes
    }

    def is_free(file: Path, target: Path) -> bool:
        if made is None or not os.path.lexists(target) or place(file) == place(target):
            return True
        return made.stands(target.relative_to(output).as_posix())

    targets = targets_of(suffixes, root, output, is_free)
    return [
        Job(
            file,
            targets[file],
            file.relative_to(root).as_posix(),
            Kind.SEQUENCE if file in scenes else _kind(file, options),
        )
        for file in suffixes
    ]


def _as_videos(files: Sequence[Path], root: Path, output: Path, container: str) -> list[Job]:
    """Jobs that make a video of each animation, and of each folder of numbered pictures."""
    scenes = sequences(files, "`container`")
    # Each job but its target, by the path that names its result.
    found: dict[Path, tuple[Path, str, Kind, tuple[Path, ...]]] = {}
    for scene in dict.fromkeys(scenes.values()):
        folder = scene[0].parent
        name = folder.relative_to(root).as_posix() if folder != root else root.resolve().name
        found[root / f"{name}{container}"] = folder, name, Kind.SEQUENCE_TO_VIDEO, scene
    for file in (file for file in files if file not in scenes):
        found[file] = file, file.relative_to(root).as_posix(), Kind.ANIMATION_TO_VIDEO, ()
    targets = targets_of(dict.fromkeys(found, container), root, output)
    return [
        Job(source, targets[path], name, kind, frames)
        for path, (source, name, kind, frames) in found.items()
    ]


def _kind(file: Path, options: FolderOptions) -> Kind:
    """Kind of a file that is not part of a sequence and is not converted."""
    if is_video(file):
        return Kind.VIDEO_TO_FRAMES if options.frames else Kind.VIDEO
    # Looking whether a picture is animated costs time, and only matters here.
    return Kind.ANIMATION if options.over_time and is_animated(file) else Kind.PICTURE


def _check_inputs_stay(jobs: Sequence[Job], output: Path, options: FolderOptions) -> None:
    """Raises DataError where a result would replace another's input, or its own unasked."""
    places = {place(job.source): job for job in jobs}
    if any(places.get(place(job.target), job) is not job for job in jobs) or (
        not options.overwrite and any(job.in_place for job in jobs)
    ):
        raise DataError.of(output, "would overwrite the input; choose another `output`")


def _check_others_stay(folder: Path, jobs: Sequence[Job], known: Made, *, named: bool) -> None:
    """Make sure that only files that this program has made are replaced.

    In a folder with results of earlier calls, all may be, even if the record is damaged.

    Raises:
        DataError: another file would be replaced.
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
            f"{some_names(others, most=3)} exists and was not made by img2img, or was changed"
            " since: choose another `output`, or replace it with `overwrite`"
        )


def _is_anothers(folder: Path) -> bool:
    return os.path.lexists(folder) and not (folder / OURS).exists()
