"""Decodes a data set in several processes, and caches the result until files change."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from img2img import __version__
from img2img.config import SideConfig
from img2img.data.check import Survey, check_images
from img2img.data.dataset import DataSet
from img2img.data.histogram import Histogram
from img2img.data.labels import Labels
from img2img.data.sources import CountProgress, Item, Pair
from img2img.data.statistics import FileStatistics
from img2img.errors import StorageError
from img2img.runtime.files import cache_folder, write_text
from img2img.runtime.processes import Processes

# Surveys that are kept; what was not used for longest goes first.
MOST = 64
# Seconds: files so new may change again without their times telling.
FRESH = 2.0


def survey_together(
    found: DataSet,
    processes: Processes,
    progress: CountProgress | None = None,
    *,
    sides: Mapping[str, SideConfig] | None = None,
) -> Survey:
    """Decode all images, a share in each process, and return the survey.

    Nothing is decoded if any run has done so before and no path, size or modification time has
    changed. Surveys with unreadable files are not cached, because a cause such as a missing disk
    leaves no trace in them.

    Args:
        progress: called with (items done, all items) of this process.
        sides: see `check_images`.
    """
    path = cache_folder("surveys") / f"{_key(found, sides or {})}.json"
    known = processes.from_first(_recalled(path) if processes.first else None)
    if known is not None:
        return known
    share = processes.rank, processes.count
    parts = processes.gather(
        check_images(found.items, progress, found.held_out, share=share, sides=sides)
    )
    survey = _merged(found, parts)
    if processes.first and not survey.problems and not _fresh(found):
        _remember(path, survey)
    return survey


def _items(found: DataSet) -> Iterator[tuple[str, Item]]:
    for domains, items in found.items.items():
        for item in items:
            yield domains, item


def _stats(found: DataSet) -> Iterator[tuple[str, os.stat_result]]:
    for _, item in _items(found):
        for source in item.files:
            for path in (source.path, source.mask, source.instances):
                if isinstance(path, Path):
                    yield str(path.absolute()), path.stat()


def _key(found: DataSet, sides: Mapping[str, SideConfig]) -> str:
    """A key of everything that a survey depends on."""
    held_out = {item for pair in found.held_out for item in (pair, pair.A, pair.B)}
    key = sha256(f"{__version__} survey 6".encode())
    for side, each in sides.items():
        if each.is_labels:
            key.update(f"{side} {each.model_dump_json()}".encode())
    for domains, item in _items(found):
        sources = (item.A, item.B) if isinstance(item, Pair) else (item,)
        what = f"{item.target} " if isinstance(item, Pair) else ""
        what += " ".join(
            f"{file.half} {file.slice} {file.pages} {file.input} {file.nodata} {file.mask}"
            f" {file.instances}"
            for each in sources
            for file in each.files
        )
        apart = [sample in held_out for sample in item.samples()]
        what += f" {item.unequal} {apart}"
        key.update(f"{domains} {what}".encode(errors="surrogateescape"))
    with suppress(OSError):  # a file that has gone since is found missing when it is decoded
        for name, stat in _stats(found):
            times = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
            key.update(f"{name} {times}\n".encode(errors="surrogateescape"))
    return key.hexdigest()


def _fresh(found: DataSet) -> bool:
    try:
        newest = max((max(s.st_mtime, s.st_ctime) for _, s in _stats(found)), default=0.0)
    except OSError:
        return True
    return time.time() - newest < FRESH


def _merged(found: DataSet, parts: list[Survey]) -> Survey:
    """Merge the surveys of all shares, with problems in the order of the items."""
    if len(parts) == 1:
        return parts[0]
    whole = Survey({"A": Counter(), "B": Counter()}, Counter(), [])
    for part in parts:
        for domain, sizes in part.sizes.items():
            whole.sizes[domain].update(sizes)
        for key, values in part.values.items():
            whole.values.setdefault(key, FileStatistics()).add(values)
        whole.formats.update(part.formats)
        whole.changed.update(part.changed)
        whole.problems.extend(part.problems)
    order = {item: index for index, (_, item) in enumerate(_items(found))}
    whole.problems.sort(key=lambda problem: order[problem.item] if problem.item else 0)
    return whole


def _remember(path: Path, survey: Survey) -> None:
    """Cache a survey without problems; errors in writing are ignored."""
    tree = {
        "sizes": {domain: [*sizes.items()] for domain, sizes in survey.sizes.items()},
        "formats": survey.formats,
        "changed": survey.changed,
        "values": {domain: vars(values) for domain, values in survey.values.items()},
    }
    with suppress(StorageError, OSError):
        write_text(path, json.dumps(tree, default=_plain))
        kept = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for file in kept[:-MOST]:
            file.unlink(missing_ok=True)


def _plain(what: Any) -> Any:
    """Histograms, and the arrays in them, as JSON has them."""
    return what.tolist() if isinstance(what, np.ndarray) else vars(what)


def _recalled(path: Path) -> Survey | None:
    """The cached survey; None if there is none or it is damaged."""
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
        tree = json.loads(path.read_text(encoding="utf-8"))
        survey = Survey(
            {domain: _sizes(pairs) for domain, pairs in tree["sizes"].items()},
            Counter(tree["formats"]),
            [],
            Counter(tree["changed"]),
            {domain: _values(values) for domain, values in tree["values"].items()},
        )
        os.utime(path)
        return survey
    return None


def _sizes(pairs: list[Any]) -> Counter[tuple[int, int]]:
    return Counter({(height, width): count for (height, width), count in pairs})


def _labels(tree: Any) -> Labels:
    codes = {
        key: {int(code): n for code, n in tree[key].items()}
        for key in ("indexes", "colours", "palette")
    }
    return Labels(
        Counter(codes["indexes"]),
        Counter(codes["colours"]),
        codes["palette"],
        tuple(tree["differing"]),
        tree["example"],
        tree["numbers"],
    )


def _values(tree: Any) -> FileStatistics:
    counted = {
        part: {
            dtype: [
                Histogram(
                    np.array(each.pop("values"), np.float64),
                    np.array(each.pop("counts"), np.int64),
                    **each,
                )
                for each in channels
            ]
            for dtype, channels in tree[part].items()
        }
        for part in ("trained", "held_out")
    }
    facts = {
        "files": Counter(tree["files"]),
        "channels": Counter({int(count): files for count, files in tree["channels"].items()}),
        "names": tree["names"] and tuple(tree["names"]),
        "labels": _labels(tree["labels"]),
        "decided": {key: Counter(files) for key, files in tree["decided"].items()},
        "nodata": Counter(tree["nodata"]),
        "packings": Counter(tree["packings"]),
    }
    return FileStatistics(**{**tree, **facts, **counted})
