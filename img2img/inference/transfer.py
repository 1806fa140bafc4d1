"""Pixels to a device as a batch of floats, and back."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from img2img.images import Pixels


class Transfer:
    """The way between pixels in main memory and tensors on one device.

    To and from a GPU, pixels travel in page-locked memory while it computes: as 8 or 16 bits, which
    only there become floats.

    Args:
        truncate: values between two grey levels become the lower one, not the nearer.
    """

    def __init__(self, device: torch.device, *, truncate: bool = False) -> None:
        self._device = device
        self._truncate = truncate
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def send(self, pixels: Sequence[Pixels]) -> Tensor:
        """uint8 or uint16 (H, W, 3), all of one size and type, to float32 [N, 3, H, W] in [-1, 1].

        The memory's layout is channels_last.
        """
        levels = torch.from_numpy(np.stack(pixels))
        if self._copies is not None:
            with torch.cuda.stream(self._copies):
                levels = levels.pin_memory().to(self._device, non_blocking=True)
            computing = torch.cuda.current_stream(self._device)
            computing.wait_stream(self._copies)
            levels.record_stream(computing)
        top = np.iinfo(pixels[0].dtype).max
        x = levels.to(self._device).permute(0, 3, 1, 2).float()
        return x.mul_(2 / top).sub_(1)

    def fetch(self, y: Tensor, deep: bool) -> Callable[[], list[Pixels]]:
        """Float [N, 3, H, W] in [-1, 1] to uint8 or, if `deep`, uint16 (H, W, 3).

        What is returned waits until they are there.
        """
        top = 65535 if deep else 255
        levels = y.permute(0, 2, 3, 1).float().add(1).mul_(top / 2)
        levels = levels.floor_() if self._truncate else levels.round_()
        # torch's uint16 has few operations: cross over as int32.
        whole = levels.clamp_(0, top).to(torch.int32 if deep else torch.uint8)
        if self._copies is None:
            host, arrived = whole.cpu(), None
        else:
            host = torch.empty_like(whole, device="cpu", pin_memory=True)
            host.copy_(whole, non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(torch.cuda.current_stream(self._device))

        def wait() -> list[Pixels]:
            if arrived is not None:
                arrived.synchronize()
            # Copied, so that keeping one image does not keep the batch.
            dtype = np.uint16 if deep else np.uint8
            return [np.array(image, dtype=dtype, order="C") for image in host.numpy()]

        return wait
