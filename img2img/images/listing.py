"""Which files are images: by suffix, in folders.

What is no picture of a person's own is passed over: hidden files, thumbnails that servers keep,
what is left of deleted files; and what this program has made, where it lies inside the folder that
is named: run folders, and results of `translate`.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from img2img.images.codecs.files import readable_elsewhere, readable_suffixes, suffix_of
from img2img.runtime.files import json_lines

# Pictures too, but of kinds that are not read: so that a person hears of what is passed over.
_OTHERS = (
    ".jp2 .j2k .j2c .jpc .jpf .jpx .jxl .jxr .wdp .hdp .tga .psd .psb .svg .svgz .eps .ai"
    " .pam .ico .icns .cur .dds .pcx .sgi .qoi .bpg .wmf .emf .xcf .kra .ora .afphoto"
    # cameras' raw files
    " .dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .raf .rw2 .rwl .orf .pef .srw .x3f .3fr .fff"
    " .iiq .kdc .dcr .mrw .erf .mef .mos .gpr .raw"
    # microscopes, scanners and satellites
    " .czi .nd2 .lif .oib .oif .zvi .svs .ndpi .scn .qptiff .nrrd .mha"
    " .mrc .fits .fit .fts .jng .mng"
)

# The hidden file in folders that `translate` has made beside its results, or for frames of a video.
OURS = ".img2img"
# The hidden files that say which results are in a folder; one for each process that wrote them.
MANIFESTS = re.compile(r"\.img2img(-\d+)?\.jsonl")
# What every run folder holds.
_OF_RUNS = {"config.yaml", "metrics.jsonl"}
# Thumbnails of servers, what archives of Macs hold twice, and what is left of deleted files.
_LITTER = {"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "lost+found"} | {
    "system volume information"
}

Told = Callable[[Path], None]


def list_images(folder: Path) -> list[Path]:
    """All image files under `folder`, recursive, in natural order (`2.png` before `10.png`).

    See `walk` for what is passed over. Linked folders are followed.
    """
    found = [path for path in walk(folder) if suffix_of(path) in readable_suffixes()]
    return sorted(found, key=lambda path: natural_key(path.as_posix()))


def unreadable_suffixes() -> frozenset[str]:
    """Of pictures that are not read: of other kinds, or for want of a library."""
    return (frozenset(_OTHERS.split()) | readable_elsewhere()) - readable_suffixes()


def list_own(folder: Path) -> list[Path]:
    """What this program has made under `folder`, and `walk` passes over: files and folders."""
    own: list[Path] = []
    for _ in walk(folder, on_own=own.append):
        pass
    return sorted(own, key=lambda path: natural_key(path.as_posix()))


def is_run(folder: Path) -> bool:
    """Whether it is the folder of a training."""
    return all((folder / name).is_file() for name in _OF_RUNS)


def count_unreadable(folder: Path) -> Counter[str]:
    """How many files under `folder` are pictures of a kind that is not read, by suffix."""
    suffixes = map(suffix_of, walk(folder))
    return Counter(suffix for suffix in suffixes if suffix in unreadable_suffixes())


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key under which numbers inside names count by their value."""
    # A split by a group puts the digits at odd places, so that like meets like in comparisons. The
    # name itself comes last: `01` and `1` must have one order too.
    parts = re.split(r"([0-9]+)", name)
    return [(int(p), "") if i % 2 else (0, p) for i, p in enumerate(parts)] + [(0, name)]


def walk(
    folder: Path,
    on_error: Callable[[Path, OSError], None] | None = None,
    above: Sequence[Path] = (),
    on_own: Told | None = None,
    results: frozenset[Path] = frozenset(),
) -> Iterator[Path]:
    """All files under `folder` but those that are passed over (see above), in no order.

    What this program has made counts in the folder that is named itself: who names the results of
    a translation wants them.

    Args:
        on_error: told of folders that cannot be listed; None: the first one is raised.
        above: the folders that this one was met in, so that no link to one of them is followed.
        on_own: told of files and folders that are passed over as this program's own.
        results: files that are known to be results of a translation.

    Raises:
        OSError: a folder that cannot be listed.
    """
    # Not Path.resolve, which a link that leads to itself upsets.
    real = Path(os.path.realpath(folder))
    if real in above:
        return
    try:
        with os.scandir(folder) as listed:
            entries = {entry.name: entry for entry in listed}
    except OSError as error:
        if on_error is None:
            raise
        on_error(folder, error)
        return
    on_own = on_own or (lambda _: None)
    if above and (OURS in entries or entries.keys() >= _OF_RUNS):
        on_own(folder)
        return
    if above:
        results |= _results(folder, entries)
    for name, entry in entries.items():
        if name.startswith(".") or name.lower() in _LITTER:
            continue
        path = folder / name
        if _is_folder(entry):
            yield from walk(path, on_error, (*above, real), on_own, results)
        elif path in results:
            on_own(path)
        else:
            yield path


def _results(folder: Path, entries: Mapping[str, object]) -> frozenset[Path]:
    """The files that a folder's manifests name, but those that have replaced what they are of."""
    made: set[str] = set()
    replaced: set[str] = set()
    for name in filter(MANIFESTS.fullmatch, entries):
        with suppress(OSError):
            for fields in json_lines(folder / name):
                # A line may be torn, or somebody else's.
                with suppress(TypeError, KeyError):
                    made.update(filter(None, fields["made"]))
                    # Nothing made yet is noted before a result replaces its input.
                    replaced.update([] if fields["made"] else [fields["source"]])
    return frozenset(folder / name for name in made - replaced if isinstance(name, str))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
