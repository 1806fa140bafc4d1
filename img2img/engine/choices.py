"""What is fastest on this machine: timed once, and remembered in the user's cache."""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock

import torch

from img2img.errors import StorageError
from img2img.runtime.files import atomic_write, cache_folder

# Choices that are remembered; the oldest are forgotten first.
MOST = 500
# Timed runs of each way, one after the other in turns.
_RUNS = 2
# How much faster than the first way another must be.
_GAIN = 1.05

_lock = Lock()
_known: dict[str, str] = {}


def faster(what: str, ways: Callable[[], Mapping[str, Callable[[], object]]]) -> str:
    """The name of the fastest of several ways to compute something.

    Args:
        what: a short name for it. The choice is also by the machine, its number of threads and the
            version of torch.
        ways: called where nothing is known yet; gives the ways by name. The first is chosen unless
            another one is clearly faster.
    """
    key = f"{_machine()}, {torch.get_num_threads()} threads: {what}"
    if (known := _known.get(key)) is not None:
        return known
    with _lock:
        if not _known:
            _known.update(_read())
        if key not in _known:
            _known[key] = _fastest(ways())
            _write(_known)
        return _known[key]


def _fastest(ways: Mapping[str, Callable[[], object]]) -> str:
    (first, *_) = ways
    if len(ways) == 1:
        return first
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(_RUNS):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    best = min(seconds, key=lambda name: seconds[name])
    return best if seconds[first] > _GAIN * seconds[best] else first


@cache
def _machine() -> str:
    """The processor, what torch uses of it, and the version of torch."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    return f"{name} {torch.backends.cpu.get_cpu_capability()} {isa}, torch {torch.__version__}"


def _file() -> Path:
    return cache_folder("engine") / "fastest.json"


def _read() -> dict[str, str]:
    """The remembered choices; none if the file is missing or damaged."""
    with suppress(OSError, ValueError):
        found = json.loads(_file().read_text(encoding="utf-8"))
        if isinstance(found, dict) and all(isinstance(name, str) for name in found.values()):
            return found
    return {}


def _write(choices: Mapping[str, str]) -> None:
    """Remember choices, with those that other processes made; errors are ignored."""
    merged = {**_read(), **choices}
    kept = dict(list(merged.items())[-MOST:])
    with suppress(StorageError, OSError), atomic_write(_file()) as temporary:
        temporary.write_text(json.dumps(kept, indent=1), encoding="utf-8")
