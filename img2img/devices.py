"""Which device to compute on, in which numbers, and what its memory says."""

import ctypes
import re
import sys
from typing import Literal

import torch

from img2img.errors import ConfigError

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def resolve_device(name: str) -> torch.device:
    """`auto` as the best that this machine has, anything else checked for being there.

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
        raise ConfigError(f"device: {name!r} is none of auto, cpu, mps, cuda, cuda:1 ...")
    device = torch.device(name)
    there = {
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if not there[device.type]:
        raise ConfigError(f"device: {name} is not available on this machine; try auto or cpu")
    return device


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
        raise ConfigError(f"precision: {name} is not for {device.type}; use auto or fp32")
    return name


def _cpu_multiplies_bfloat16() -> bool:
    """Whether matrix products in bfloat16 are faster than in float32: with AMX they are."""
    # Older releases of torch cannot tell; they compute in float32.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))


def is_out_of_memory(error: Exception) -> bool:
    """Whether something failed for want of memory, on any device."""
    if isinstance(error, MemoryError):
        return True
    words = ("out of memory", "not enough memory", "allocate memory", "ALLOC_FAILED")
    return any(word in str(error) for word in words)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told, so that times are true."""
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


def keep_freed_memory() -> None:
    """Have the C library keep what this process frees, for its next allocations.

    By default glibc gives large blocks back to the system at once. A training step on a CPU frees
    and allocates the same gigabytes each time, and getting them page by page takes a quarter of
    the time of a small batch. Elsewhere than on glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        # Older releases take no more than half of a heap.
        if not mallopt(_M_MMAP_THRESHOLD, 2**31 - 1):
            mallopt(_M_MMAP_THRESHOLD, 2**25)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
