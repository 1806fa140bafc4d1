"""Translating files: a picture, a folder with all that is in it, or a glob."""

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from img2img.errors import DataError, Img2ImgError, StorageError
from img2img.images import (
    IMAGE_SUFFIXES,
    WRITABLE_SUFFIXES,
    list_images,
    read_picture,
    write_picture,
)
from img2img.inference.translator import Translator


@dataclass(frozen=True)
class Job:
    """One file to translate, and where the result goes."""

    source: Path
    target: Path


@dataclass
class Report:
    """What became of the files."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    """Files whose result was there before."""
    failed: dict[Path, str] = field(default_factory=dict)
    """The reason by file."""


def plan(source: str, output: Path, image_format: str | None = None) -> list[Job]:
    """Decide which files are translated and what each result is called.

    A folder is searched through, and its tree and names are kept under `output`. A single file may
    have a file name as its `output`. Files of a kind that cannot be written become PNG; where that
    gives two the same name, the one that is renamed keeps its old suffix within the new name.
    Results of an earlier call, where `output` is inside the folder, are not taken for input.

    Args:
        source: a file, a folder, or a glob such as `scans/**/*.tif`.
        image_format: suffix of all results, such as `png`; None keeps each file's own.

    Raises:
        DataError: nothing there, no images, or the results would overwrite the input.
    """
    files, root = _find(source)
    results = output.resolve()
    if root.resolve() in results.parents:
        files = [file for file in files if results not in file.resolve().parents]
        if not files:
            raise DataError(f"{source}: no images but those in --output {output}")
    suffix = _known_suffix(image_format)
    if len(files) == 1 and Path(source) == files[0] and output.suffix and not output.is_dir():
        named = output if suffix is None else output.with_suffix(suffix)
        _known_suffix(named.suffix)
        jobs = [Job(files[0], named)]
    elif output.is_file():
        raise DataError(f"--output {output}: a file, where a folder for {source} is wanted")
    else:
        jobs = _beside(files, root, output, suffix)
    own = {job.source.resolve() for job in jobs}
    if any(job.target.resolve() in own for job in jobs):
        raise DataError(f"--output {output}: would overwrite the input; choose another folder")
    return jobs


def translate_files(
    translator: Translator,
    jobs: Sequence[Job],
    *,
    skip_existing: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Translate file after file. One that fails is noted and does not stop the others.

    Args:
        progress: called with (files done, files).

    Raises:
        StorageError: results cannot be written.
    """
    report = Report()
    for done, job in enumerate(jobs, start=1):
        if skip_existing and job.target.exists():
            report.skipped.append(job.source)
        else:
            try:
                write_picture(job.target, translator.translate(read_picture(job.source)))
                report.written.append(job.target)
            except StorageError:
                raise
            except Img2ImgError as error:
                report.failed[job.source] = str(error)
        if progress:
            progress(done, len(jobs))
    return report


def _find(source: str) -> tuple[list[Path], Path]:
    """The files that a path or pattern means, and the folder their results' tree starts from."""
    path = Path(source)
    if path.is_dir():
        files, root = list_images(path), path
    elif path.is_file():
        files, root = [path], path.parent
    else:
        if not glob.has_magic(source):
            raise DataError(f"{source}: no such file or folder")
        found = [Path(name) for name in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207
        files = [file for file in found if file.is_file() and file.suffix.lower() in IMAGE_SUFFIXES]
        magic = next(index for index, part in enumerate(path.parts) if glob.has_magic(part))
        root = Path(*path.parts[:magic])
    if not files:
        raise DataError(f"{source}: no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return files, root


def _beside(files: Sequence[Path], root: Path, output: Path, suffix: str | None) -> list[Job]:
    """Jobs that keep the tree under `root`, with no two results of one name."""
    jobs: list[Job] = []
    # Who keeps his name has the first right to it.
    suffixes = {file: suffix or _own_suffix(file) for file in files}
    taken = {output / file.relative_to(root) for file in files if file.suffix == suffixes[file]}
    for file, wanted in suffixes.items():
        target = (output / file.relative_to(root)).with_suffix(wanted)
        name = file.name
        while file.suffix != wanted and target in taken:
            name += wanted
            target = target.with_name(name)
        taken.add(target)
        jobs.append(Job(file, target))
    return jobs


def _own_suffix(file: Path) -> str:
    return file.suffix if file.suffix.lower() in WRITABLE_SUFFIXES else ".png"


def _known_suffix(name: str | None) -> str | None:
    if name is None:
        return None
    suffix = f".{name.lower().lstrip('.')}"
    if suffix not in WRITABLE_SUFFIXES:
        raise DataError(f"{name}: images are written as {', '.join(sorted(WRITABLE_SUFFIXES))}")
    return suffix
