"""How much of this machine's memory translating takes: one sum for all that is on its way."""

import os
import re
import sys
from dataclasses import dataclass

import torch

from img2img.errors import ConfigError, ImageError
from img2img.images import Extent, Pixels
from img2img.runtime.devices import free_memory

_UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_SHARE = 0.5
# Bytes at the peak to a byte of decoded pixels, for one picture on its way alone, as measured for
# every format: decoder's copy, input, padded input, result, encoder's copies; and with comparisons.
_PEAK, _PEAK_COMPARED = 6, 9
# The same while the network is at it.
_TRANSLATING = 3
# Read and not yet translated, and translated and not yet written: 200 MB each where there is room.
_AHEAD, _PARTS = 200 * 10**6, 16


def memory_share(wanted: str | None) -> int:
    """Bytes, of a size such as `4GB` or a share of what is free such as `50%`; None: half of it.

    What is free is what the system or, in a container or a scheduled job, the control group would
    still give; of several processes on the machine each has its part.

    Raises:
        ConfigError: it is neither.
    """
    share = _SHARE
    if wanted is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:(%)|([KMGT]?)I?B?)", wanted.strip().upper())
        if not found or float(found[1]) == 0 or (found[2] and float(found[1]) > 100):
            raise ConfigError(
                f"max_memory: {wanted!r} is not a size, such as 4GB, or a share from 1% to 100%"
            )
        if not found[2]:
            return int(float(found[1]) * _UNITS[found[3]])
        share = float(found[1]) / 100
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return int(share * free_memory(torch.device("cpu")) / processes)


@dataclass(frozen=True)
class Budget:
    """What translating may take of the machine's memory, beside the model.

    Attributes:
        total: bytes.
    """

    total: int = sys.maxsize

    @property
    def ahead(self) -> int:
        """Bytes of decoded pixels that may wait at each step; a picture of more goes alone."""
        return min(_AHEAD, self.total // _PARTS)

    def for_network(self, pixels: Pixels) -> int:
        """What is left for maps beside a picture that is translated, or a batch of small ones."""
        if pixels.nbytes <= self.ahead:
            return self.total // 2
        return max(self.total - _TRANSLATING * pixels.nbytes, self.total // 4)

    def check(self, extent: Extent, *, compared: bool = False) -> None:
        """Refuse what does not even fit alone.

        Args:
            compared: whether input and result are written side by side, too.

        Raises:
            ImageError: says what it would take.
        """
        needed = (_PEAK_COMPARED if compared else _PEAK) * extent.held
        if needed > self.total:
            height, width = extent.size
            several = f" ({extent.pixels / 1e6:.0f} megapixels in all)"
            more = several if extent.pixels > height * width else ""
            raise ImageError(
                f"{width} x {height} pixels{more} need about {needed / 1e9:.2g} GB of"
                f" memory, but only {self.total / 1e9:.2g} GB may be used: raise"
                " `max_memory`, or reduce the picture"
            )
