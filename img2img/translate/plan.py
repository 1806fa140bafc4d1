"""Planning: which files to translate, and where each result goes."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from img2img import images
from img2img.errors import DataError, some_names
from img2img.images import ALPHA, OURS, is_run
from img2img.translate.finding import Found, find
from img2img.translate.kinds import IMAGES, Kind
from img2img.translate.manifest import Record
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
# What a video can become. Not an animated PNG: a name ending in .png means a picture.
_ANIMATIONS = ANIMATED - {".png"}


@dataclass(frozen=True)
class Job:
    """One file to translate, and where its result goes."""

    source: Path
    target: Path
    name: str
    """The source relative to the root of the inputs, with slashes."""
    kind: Kind = field(compare=False)
    """What the file is and becomes."""
    frames: tuple[Path, ...] = field(default=(), compare=False, repr=False)
    """The pictures of a sequence that becomes one file; the source is then their folder."""

    inputs: tuple[Path, ...] = field(default=(), compare=False, repr=False)
    """If several files together are the input: all of them, in the order of the model."""

    @property
    def is_video(self) -> bool:
        """Whether it is translated frame by frame, not as an image file."""
        return self.kind not in IMAGES

    @property
    def scene(self) -> Path:
        """What its frames belong to: the folder of its sequence, or the file itself."""
        return self.source.parent if self.kind is Kind.SEQUENCE else self.source

    @property
    def in_place(self) -> bool:
        """Whether the result replaces its input."""
        return place(self.source) == place(self.target)


@dataclass(frozen=True)
class Plan:
    """The work of one call."""

    jobs: list[Job]
    folder: Path
    """The folder that contains all results."""
    named: bool
    """Whether `output` names the one result, not a folder."""
    refused: dict[Path, str]
    """Files and folders that cannot be translated, and why."""
    unsupported: Counter[str]
    """Number of files in formats that cannot be read, by suffix."""
    left_out: list[Path]
    """Results of other calls and run folders among the inputs, which are not translated."""
    replaced: frozenset[Job]
    """Jobs whose input was already replaced by the result of an earlier call."""

    def free_folder(self, name: str) -> Path:
        """A folder that no result is in, called `name` if possible, else with a number added.

        An existing folder is used only if it contains the marker file `OURS`.
        """
        taken = {job.target.relative_to(self.folder).parts[0].casefold() for job in self.jobs}
        number = 1
        tried = name
        while tried in taken or _is_foreign(self.folder / tried):
            number += 1
            tried = f"{name}-{number}"
        return self.folder / tried


def plan(
    source: str,
    output: Path,
    options: FolderOptions = DEFAULTS,
    *,
    kept: Collection[str] | None = None,
) -> Plan:
    """Decide which files to translate and what to call each result.

    A folder is searched with its subfolders; results keep its tree and names under `output`. For a
    single file, `output` may be a file name. Files in formats that cannot be written become PNG or
    MP4; if that gives two files the same name, the renamed one keeps its old suffix within the new
    name. If `output` is the input folder or inside it, results of earlier calls are not inputs.

    The pictures of a folder are the frames of a sequence if an option requires frames in order, if
    `output` is the name of a video or an animation (which they then become), or if `container` is
    set and there are no videos.

    Args:
        source: a file, a folder, or a glob such as `scans/**/*.tif`.
        output: a folder, or the name of a single result.
        options: with `overwrite`, results replace their inputs if `output` is the input folder,
            and a named result replaces a file that img2img did not make. A result in another
            format is written next to its input. Otherwise, only results of earlier calls are
            replaced.
        kept: suffixes of images whose results can have the same; None: all that can be written.

    Raises:
        DataError: no such file or folder, or no images in it; a result would replace its input or
            a file that img2img did not make; or pictures that should be a sequence are not one.
    """
    found = find(source)
    if Path(source).is_dir() and is_run(found.root):
        raise DataError(
            f"{source}: a run folder, not a folder of images to translate; the samples of the run"
            f" are in {found.root / 'samples'}",
            path=found.root,
        )
    record = Record(output) if real(found.root) == real(output) else None
    files, left_out = _inputs(found, source, output, record)
    if options.mask not in {None, ALPHA}:  # masks among the inputs are none of them
        masks = place(Path(str(options.mask)))
        files = [file for file in files if masks not in {place(file), *place(file).parents}]
        if not files and not found.refused:
            raise DataError(f"{source}: contains only masks")
    one = _one_result(source, files, output, options)
    kept = images.writable_suffixes() if kept is None else kept
    jobs = [one] if one else _in_folder(source, files, found.root, output, record, options, kept)
    _check_inputs_stay(jobs, output, options)
    folder = output if one is None else one.target.parent
    leads_out = leads_out_of(folder)
    why = "its result would be written outside the output folder, through a link"
    refused = found.refused | {job.source: why for job in jobs if leads_out(job.target)}
    jobs = [job for job in jobs if job.source not in refused]
    known = record or Record(folder)
    if not options.overwrite:
        _check_others_stay(folder, jobs, known, named=one is not None)
    in_place = (job for job in jobs if job.in_place and options.overwrite)
    replaced = frozenset(job for job in in_place if known.is_result(job.name))
    return Plan(jobs, folder, one is not None, refused, found.unsupported, left_out, replaced)


def _inputs(
    found: Found, source: str, output: Path, record: Record | None
) -> tuple[list[Path], list[Path]]:
    """The files to translate, and those that are left out because img2img made them.

    Args:
        record: the record of the results, if `output` is the input folder.
    """
    files, real_output = found.files, real(output)
    if record:
        files = [f for f in files if f.relative_to(found.root).as_posix() not in record.results]
    elif real(found.root) in real_output.parents:
        files = [file for file in files if real_output not in place(file).parents]
    left_out = [path for path in found.left_out if not place(path).is_relative_to(real_output)]
    if files or found.refused:
        return files, left_out
    if left_out:
        raise DataError(
            f"{source}: contains only results of img2img, which are left out:"
            f" {some_names([*map(str, left_out)], 3)}; to translate one, pass it as `source`"
        )
    raise DataError(
        f"{source}: its only images are in the `output` folder {output}; choose another `source`"
    )


def _one_result(
    source: str, files: Sequence[Path], output: Path, options: FolderOptions
) -> Job | None:
    """The job if `output` names a single result; None if it is a folder."""
    films = [file for file in files if is_video(file)]
    single = [Path(source)] == files
    ending = output.suffix.lower()
    one_file = ending in {*CONTAINERS, *_ANIMATIONS} and not output.is_dir()
    named = ending != "" and not output.is_dir() if single else one_file and not films
    if films and options.frames:
        if not output.is_dir() and ending in {*CONTAINERS, *images.writable_suffixes()}:
            raise DataError.of(
                output,
                f"`frames` writes folders of images; choose an `output` folder without"
                f" {output.suffix} in its name",
            )
        return None
    if named and single:
        return _named(files[0], output, options)
    if one_file and films and not single:
        raise DataError(
            f"{output} is a single file, but {source} contains several; choose a folder as `output`"
        )
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
    """The job of a single file whose result is named by `output`."""
    film, container = is_video(file), container_suffix(options.container)
    if output.suffix.lower() in (_ANIMATIONS if film else CONTAINERS):  # to the other kind
        if film and container:
            raise _no_video(container, output)
        if not film and not is_animated(file):
            raise DataError.of(
                output,
                f"{file} is a single picture; a video needs an animation or a folder of numbered"
                " pictures",
            )
        kind = Kind.VIDEO_TO_ANIMATION if film else Kind.ANIMATION_TO_VIDEO
        return Job(file, output.with_suffix(container) if container else output, file.name, kind)
    check, wished = (
        (container_suffix, options.container) if film else (image_suffix, options.image_format)
    )
    suffix = check(wished)
    target = output if suffix is None else output.with_suffix(suffix)
    check(target.suffix if film else images.suffix_of(target))
    return Job(file, target, file.name, _kind(file, options))


def _no_video(container: str, output: Path) -> DataError:
    return DataError(
        f"`container` {container[1:]} is for videos, but `output` is {output}; omit `container` or"
        " choose another `output`"
    )


def _in_folder(
    source: str,
    files: Sequence[Path],
    root: Path,
    output: Path,
    record: Record | None,
    options: FolderOptions,
    kept: Collection[str],
) -> list[Job]:
    """Jobs whose results keep the folder tree under `root`.

    Args:
        record: the record of the results, if `output` is the input folder: only they, and the
            inputs themselves, may be replaced.
        kept: see `plan`.
    """
    if output.is_file():
        raise DataError(
            f"{output} is a file, but the results of {source} need a folder; choose another"
            " `output`"
        )
    if record and not options.overwrite:
        raise DataError(
            f"{output} is the input folder; choose another `output`, or replace the inputs with"
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
        file: suffix_of(file, suffix, "" if options.frames else container, kept)
        for file in files
        if file in shown or file not in scenes
    }

    def is_free(file: Path, target: Path) -> bool:
        if record is None or not os.path.lexists(target) or place(file) == place(target):
            return True
        return record.is_result(target.relative_to(output).as_posix())

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
    """Jobs that make a video from each animation and from each folder of numbered pictures."""
    scenes = sequences(files, "`container`")
    # The fields of each job except its target, by the path that its result is named after.
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
    """The kind of a file that is neither part of a sequence nor converted to another kind."""
    if is_video(file):
        return Kind.VIDEO_TO_FRAMES if options.frames else Kind.VIDEO
    # Finding out whether a picture is animated takes time, and matters only here.
    return Kind.ANIMATION if options.over_time and is_animated(file) else Kind.PICTURE


def _check_inputs_stay(jobs: Sequence[Job], output: Path, options: FolderOptions) -> None:
    """Raises DataError if a result would replace another's input, or its own without being told."""
    places = {place(job.source): job for job in jobs}
    if any(places.get(place(job.target), job) is not job for job in jobs) or (
        not options.overwrite and any(job.in_place for job in jobs)
    ):
        raise DataError.of(output, "this would overwrite the input; choose another `output`")


def _check_others_stay(folder: Path, jobs: Sequence[Job], known: Record, *, named: bool) -> None:
    """Make sure that only files made by img2img are replaced.

    In a folder with results of earlier calls any file may be, even if the record is damaged.

    Raises:
        DataError: another file would be replaced.
    """
    if known.has_lines and not named:
        return
    others = [
        str(job.target)
        for job in jobs
        if job.target.is_file()
        and not known.is_recorded(job.target.relative_to(folder).as_posix())
        and not work_folder(job.target).exists()
    ]
    if others:
        raise DataError(
            f"{some_names(others, most=3)} already exists and was not made by img2img, or was"
            " changed since; choose another `output`, or replace it with `overwrite`"
        )


def _is_foreign(folder: Path) -> bool:
    return os.path.lexists(folder) and not (folder / OURS).exists()
