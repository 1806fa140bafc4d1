"""Which device to compute on, in which numbers, and what its memory says."""

import ctypes
import re
import sys
from pathlib import Path
from typing import Literal

import psutil
import torch
from torch import Tensor

from img2img.errors import ConfigError

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def resolve_device(name: str) -> torch.device:
    """The best device of this machine for `auto`; any other name, if there is such a device.

    Raises:
        ConfigError: there is no such device, or not here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise ConfigError(
            f"device: no such device: {name!r}; use auto, cpu, mps, cuda, cuda:1 ...", key="device"
        )
    device = torch.device(name)
    there = {
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if not there[device.type]:
        raise ConfigError(f"device: {name} is not available on this machine; try auto or cpu")
    return device


def named_devices(names: str) -> list[str]:
    """`all`, every GPU there is, or a list with commas.

    Raises:
        ConfigError: no GPU for `all`.
    """
    if names != "all":
        return [name.strip() for name in names.split(",")]
    if not torch.cuda.is_available():
        raise ConfigError("devices: `all` stands for all GPUs, and there are none; use cpu")
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


PrecisionName = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(
    name: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device
) -> PrecisionName:
    """Decide `auto` for a device, and refuse what it cannot do.

    Raises:
        ConfigError: float16 anywhere but on CUDA, or bfloat16 on MPS.
    """
    if name == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        return "bf16" if device.type == "cpu" and _cpu_multiplies_bfloat16() else "fp32"
    if (name == "fp16" and device.type != "cuda") or (name == "bf16" and device.type == "mps"):
        raise ConfigError(f"precision: {name} does not work on {device.type}; use auto or fp32")
    return name


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _cpu_multiplies_bfloat16() -> bool:
    """Whether matrix products in bfloat16 are faster than in float32: with AMX they are."""
    # Older releases of torch do not say; they compute in float32.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means that memory ran out, on any device."""
    if isinstance(error, MemoryError):
        return True
    words = ["out of memory", "not enough memory", "allocate memory", "ALLOC_FAILED", "bad_alloc"]
    # oneDNN's, which does not say why.
    words += ["could not create a primitive", "could not create a memory"]
    return any(word in str(error) for word in words)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work, so that measured times are right."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(device: torch.device) -> int | None:
    """The most memory used so far, in bytes: the GPU's, or the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated now without swapping: of the GPU, or of the system."""
    if device.type == "cuda":
        # What torch holds in reserve is not in use either.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    give_back_freed_memory()
    available: int = psutil.virtual_memory().available
    return min([available, *left_by_control_groups(Path("/proc/self/cgroup"))])


def left_by_control_groups(listed: Path, root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Bytes that Linux would still give to each group this process is in, as in a container.

    Args:
        listed: the file that names the groups, a line each: `0::/group` of the second version,
            `4:memory:/group` of the first.
    """
    if not listed.is_file():
        return []
    left = []
    for line in listed.read_text().splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            top, files = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = top / name.strip("/")
        # A container may see its own group as the topmost, and not under the name it is listed as.
        for folder in {top, *(each for each in (group, *group.parents) if top in each.parents)}:
            left += _left_by(folder, *files)
    return left


def _left_by(group: Path, limit: str, usage: str, reclaimable: str) -> list[int]:
    """What is left of a group's limit, if it has one; cached files are given up for the asking."""
    try:
        most = (group / limit).read_text().strip()
        used = int((group / usage).read_text())
        counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:  # no such group here, or the topmost, which has no limit
        return []
    return [] if most == "max" else [max(0, int(most) - used + int(counts[reclaimable]))]


def give_back_freed_memory() -> None:
    """Have the C library return to the system what `keep_freed_memory` has kept."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def keep_freed_memory(largest: int = 2**31 - 1) -> None:
    """Have the C library keep what this process frees, for its next allocations.

    Args:
        largest: bytes of a block that is kept; larger ones go back to the system at once.

    By default glibc gives large blocks back to the system at once. A training step on a CPU frees
    and allocates the same gigabytes each time, and getting them page by page takes a quarter of
    the time of a small batch. Elsewhere than on glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        # Older releases take no more than half of a heap.
        if not mallopt(_M_MMAP_THRESHOLD, largest):
            mallopt(_M_MMAP_THRESHOLD, min(largest, 2**25))
        # Many smaller blocks make up the end of a heap.
        mallopt(_M_TRIM_THRESHOLD, min(8 * largest, 2**31 - 1))
