"""Which files are translated, and what the results are called."""

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path

from img2img.errors import DataError, some_names
from img2img.images import (
    IMAGE_SUFFIXES,
    OURS,
    UNREADABLE_SUFFIXES,
    WRITABLE_SUFFIXES,
    natural_key,
    walk,
)
from img2img.inference.manifest import Made
from img2img.video import VIDEO_SUFFIXES, is_video
from img2img.video.containers import CONTAINERS

SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
# Of a file's name, with every usual file system.
LONGEST_NAME = 255


@dataclass(frozen=True)
class Job:
    """One file to translate, and where the result goes."""

    source: Path
    target: Path
    name: str
    """The source as seen from the root of the inputs, with slashes."""

    @property
    def is_video(self) -> bool:
        """Whether it is a video, not an image."""
        return is_video(self.source)

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
            input. One of another format then stands beside its input. Nothing else is replaced but
            results of earlier calls.

    Raises:
        DataError: nothing there, no images, or the results would overwrite the input.
    """
    found = _find(source)
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
                f"{source}: no images but what img2img has made: {some_names([*map(str, own)], 3)};"
                " name the very folder to translate it"
            )
        raise DataError(f"{source}: no images but those in --output {output}")
    named = [Path(source)] == files and output.suffix != "" and not output.is_dir()
    named = named and not (frames and is_video(files[0]))
    if named:
        video = is_video(files[0])
        check, wished = (_container, container) if video else (_image_suffix, image_format)
        suffix = check(wished)
        target = output if suffix is None else output.with_suffix(suffix)
        check(target.suffix)
        jobs = [Job(files[0], target, files[0].name)]
    elif output.is_file():
        raise DataError(f"--output {output}: a file, where a folder for {source} is wanted")
    elif made and not overwrite:
        raise DataError(
            f"--output {output}: the folder of the input; choose another, or let results replace"
            " their inputs with --overwrite"
        )
    else:
        suffix, container = _image_suffix(image_format), _container(container)
        of_videos = "" if frames else container
        suffixes = {file: _suffix_of(file, suffix, of_videos) for file in files}
        jobs = _beside(suffixes, root, output, made)
    places = {_place(job.source): job for job in jobs}
    if any((places.get(_place(job.target), job) is not job) for job in jobs) or (
        not overwrite and any(job.in_place for job in jobs)
    ):
        raise DataError(f"--output {output}: would overwrite the input; choose another folder")
    folder = jobs[0].target.parent if named else output
    jobs, astray = _within(folder, jobs)
    replaced = [job for job in jobs if job.in_place] if overwrite else []
    known = made or Made(folder)
    again = frozenset(job for job in replaced if known.stands(job.name))
    return Plan(jobs, folder, named, found.refused | astray, found.passed_over, own, again)


@dataclass(frozen=True)
class _Found:
    """What a path or pattern means."""

    files: list[Path]
    root: Path
    """Where the tree of the files starts."""
    refused: dict[Path, str] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    own: list[Path] = field(default_factory=list)


def _find(source: str) -> _Found:
    """Search; whether a file can be opened is not asked, that is seen when it is read."""
    path = Path(source)
    refused: dict[Path, str] = {}
    own: list[Path] = []

    def refuse(folder: Path, error: OSError) -> None:
        refused[folder] = error.strerror or str(error)

    if path.is_dir():
        found, root = walk(path, refuse, on_own=own.append), path
    elif os.path.lexists(path):
        return _Found([path], path.parent)
    elif glob.has_magic(source):
        found = _expanded(path.parts, refuse, own.append)
        magic = next(index for index, part in enumerate(path.parts) if glob.has_magic(part))
        root = Path(*path.parts[:magic])
    else:
        raise DataError(f"{source}: no such file or folder")
    seen = [*found]
    files = [file for file in seen if file.suffix.lower() in SUFFIXES]
    if path in refused:
        raise DataError(f"{path}: {refused[path]}")
    if not files and not refused and not own:
        raise DataError(f"{source}: no images or videos ({', '.join(sorted(SUFFIXES))})")
    files.sort(key=lambda file: natural_key(file.as_posix()))
    suffixes = (file.suffix.lower() for file in seen)
    passed_over = Counter(suffix for suffix in suffixes if suffix in UNREADABLE_SUFFIXES)
    return _Found(files, root, refused, passed_over, own)


def _expanded(
    pattern: tuple[str, ...],
    refuse: Callable[[Path, OSError], None],
    on_own: Callable[[Path], None],
) -> Iterator[Path]:
    """The files that a glob means. Below `**` no link to a folder above is followed."""
    head = pattern[: pattern.index("**")] if "**" in pattern else pattern
    tail = pattern[len(head) :]
    for start in map(Path, glob.iglob(str(Path(*head)))):  # noqa: PTH207
        if not tail and not start.is_dir():
            yield start
        elif tail and start.is_dir():
            below = (file.relative_to(start) for file in walk(start, refuse, on_own=on_own))
            yield from (start / file for file in below if _fits(file.parts, tail))


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":  # any number of folders; at the end, all that is in them
        rests = range(len(parts) + 1)
        return len(pattern) == 1 or any(_fits(parts[start:], pattern[1:]) for start in rests)
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


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

    alike = _without_case if _ignores_case(output) else str
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


def names(file: Path, suffix: str) -> Iterator[str]:
    """Names for a result of that suffix, the best first."""
    yield _fitting(file.stem, suffix)
    yield _fitting(file.name, suffix)
    number = 2
    while True:
        yield _fitting(file.name, f"-{number}{suffix}")
        number += 1


def _fitting(stem: str, end: str) -> str:
    """`stem` + `end`, the stem cut to what a file system takes."""
    if len(os.fsencode(stem + end)) <= LONGEST_NAME:
        return stem + end
    return os.fsencode(stem)[: LONGEST_NAME - len(end)].decode(errors="ignore") + end


def _without_case(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def _ignores_case(folder: Path) -> bool:
    """Whether the file system takes names that differ only by case for one."""
    real = _real(folder)
    for path in (real, *real.parents):
        swapped = path.with_name(path.name.swapcase()) if path.name else path
        if swapped != path and path.exists():
            return swapped.exists() and swapped.samefile(path)
    return False


def _within(folder: Path, jobs: Sequence[Job]) -> tuple[list[Job], dict[Path, str]]:
    """Those whose results stay in `folder`; and the others, which a link would lead out of it."""
    real = cache(_real)
    inside = {job for job in jobs if real(job.target.parent).is_relative_to(real(folder))}
    astray = [job for job in jobs if job not in inside]
    why = "its result would lie outside the output folder, where a link leads"
    return [job for job in jobs if job in inside], {job.source: why for job in astray}


def _suffix_of(file: Path, image: str | None, video: str | None) -> str:
    """Of a file's result: what is wished for, its own, or what takes everything."""
    if is_video(file):
        own = file.suffix if file.suffix.lower() in CONTAINERS else ".mp4"
        return own if video is None else video
    own = file.suffix if file.suffix.lower() in WRITABLE_SUFFIXES else ".png"
    return own if image is None else image


def _known(name: str | None, what: str, suffixes: Collection[str]) -> str | None:
    """The suffix that a format's name means, if files of that kind are written."""
    if name is None:
        return None
    suffix = f".{name.lower().lstrip('.')}"
    if suffix not in suffixes:
        raise DataError(f"{name}: {what} are written as {', '.join(sorted(suffixes))}")
    return suffix


_image_suffix = partial(_known, what="images", suffixes=WRITABLE_SUFFIXES)
_container = partial(_known, what="videos", suffixes=CONTAINERS)


def _is_anothers(folder: Path) -> bool:
    return os.path.lexists(folder) and not (folder / OURS).exists()


def _real(path: Path) -> Path:
    """Without links; other than `Path.resolve`, not upset by one that leads to itself."""
    return Path(os.path.realpath(path))


def _place(path: Path) -> Path:
    """Where a file itself is, be it a link or not: what is replaced when it is written."""
    return _real(path.parent) / path.name
