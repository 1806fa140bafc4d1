"""Devices: names, numeric precision and memory."""

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
    """The device for a name; for `auto`, the best one of this machine.

    Raises:
        ConfigError: there is no such device, or not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise ConfigError(
            f"device: unknown device {name!r}; choose from: auto, cpu, mps, cuda, or one GPU such"
            " as cuda:1",
            key="device",
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
    """The names of several devices: `all` for every GPU, or a list separated by commas.

    Raises:
        ConfigError: `all`, but there is no GPU.
    """
    if names != "all":
        return [name.strip() for name in names.split(",")]
    if not torch.cuda.is_available():
        raise ConfigError("devices: all means all GPUs, but this machine has none; use cpu")
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


PrecisionName = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(
    name: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device
) -> PrecisionName:
    """Resolve `auto` for a device, and refuse a precision that it does not support.

    Raises:
        ConfigError: float16 on a device other than CUDA, or bfloat16 on MPS.
    """
    if name == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        return "bf16" if device.type == "cpu" and _cpu_multiplies_bfloat16() else "fp32"
    if (name == "fp16" and device.type != "cuda") or (name == "bf16" and device.type == "mps"):
        raise ConfigError(f"precision: {name} does not work on {device.type}; use auto or fp32")
    return name


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in float32; a float64 tensor is kept."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _cpu_multiplies_bfloat16() -> bool:
    """Whether matrix products are faster in bfloat16 than in float32, as with AMX."""
    # Older releases of torch do not say; they compute in float32.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means that a device has run out of memory."""
    if isinstance(error, MemoryError):
        return True
    words = ["out of memory", "not enough memory", "allocate memory", "ALLOC_FAILED", "bad_alloc"]
    # oneDNN's, which does not say why.
    words += ["could not create a primitive", "could not create a memory"]
    return any(word in str(error) for word in words)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work, so that measured times are correct."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(device: torch.device) -> int | None:
    """Peak memory in bytes: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated without swapping, on the GPU or on the system."""
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
    """Bytes left under the memory limit of each control group of this process, as in containers.

    Args:
        listed: the file that names the groups, one per line: `0::/group` in version 2,
            `4:memory:/group` in version 1.
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
    """The bytes left under a group's limit, if it has one; cached files do not count as used."""
    try:
        most = (group / limit).read_text().strip()
        used = int((group / usage).read_text())
        counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:  # no such group here, or the topmost, which has no limit
        return []
    return [] if most == "max" else [max(0, int(most) - used + int(counts[reclaimable]))]


def give_back_freed_memory() -> None:
    """Return the memory that `keep_freed_memory` has kept to the system."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def keep_freed_memory(largest: int = 2**31 - 1) -> None:
    """Keep memory that this process frees for its next allocations.

    Args:
        largest: size in bytes of the largest block to keep; larger ones are returned at once.

    By default glibc returns large blocks to the system at once. A training step on a CPU frees and
    allocates the same gigabytes each time, and getting them back page by page takes a quarter of
    the time of a small batch. Without glibc this function does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        # Older releases take no more than half of a heap.
        if not mallopt(_M_MMAP_THRESHOLD, largest):
            mallopt(_M_MMAP_THRESHOLD, min(largest, 2**25))
        # Many smaller blocks make up the end of a heap.
        mallopt(_M_TRIM_THRESHOLD, min(8 * largest, 2**31 - 1))
