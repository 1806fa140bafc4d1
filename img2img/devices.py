"""Which device to compute on."""

import torch

from img2img.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """`auto` as the best that this machine has, anything else checked for being there.

    Raises:
        ConfigError: the device is not available.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    device = torch.device(name)
    there = {
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if not there[device.type]:
        raise ConfigError(f"device: {name} is not available on this machine; try auto or cpu")
    return device
