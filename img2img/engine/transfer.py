"""Copying pixels to a device as a batch of floats, and back."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

from img2img.images import Pixels, from_levels, to_levels


class Transfer:
    """Copies pixels from main memory to tensors on one device, and back.

    To and from a GPU, pixels are copied through page-locked memory while it computes, with 8 or 16
    bits; they become floats on the GPU.

    Args:
        truncate: round to the lower grey level, not to the nearest.
    """

    def __init__(self, device: torch.device, *, truncate: bool = False) -> None:
        self._device = device
        self._truncate = truncate
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def send(self, pixels: Sequence[Pixels]) -> Tensor:
        """Copy (H, W, C) of one size and type to float32 [N, C, H, W] in [-1, 1], channels_last.

        Args:
            pixels: uint8 or uint16; or float32 that is already in [-1, 1].
        """
        levels = torch.from_numpy(np.stack(pixels))
        if self._copies is not None:
            with torch.cuda.stream(self._copies):
                levels = levels.pin_memory().to(self._device, non_blocking=True)
            computing = torch.cuda.current_stream(self._device)
            computing.wait_stream(self._copies)
            levels.record_stream(computing)
        return from_levels(levels.to(self._device))

    def fetch(self, y: Tensor, dtype: DTypeLike) -> Callable[[], list[Pixels]]:
        """Start copying float [N, C, H, W] in [-1, 1] to (H, W, C) of this type.

        Returns:
            A function that waits for the pixels and returns them.
        """
        levels = to_levels(y, dtype, truncate=self._truncate)
        if self._copies is None:
            host, arrived = levels.cpu(), None
        else:
            host = torch.empty_like(levels, device="cpu", pin_memory=True)
            host.copy_(levels, non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(torch.cuda.current_stream(self._device))

        def wait() -> list[Pixels]:
            if arrived is not None:
                arrived.synchronize()
            # Copied, so that keeping one image does not keep the whole batch in memory.
            return [np.array(image, dtype=dtype, order="C") for image in host.numpy()]

        return wait
