"""How much of this machine's memory translating may take, for all pictures together."""

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
# Peak bytes per byte of decoded pixels, for a single picture, measured for every format: decoder's
# copy, input, padded input, result and encoder's copies. The second includes a comparison.
_PEAK, _PEAK_COMPARED = 6, 9
# The same while the network is running.
_TRANSLATING = 3
# Maximum bytes that wait to be translated, and to be written: 200 MB each, or this part of all.
# A picture that takes more than this is read and written by rows, if that can be done.
_MOST_WHOLE = 6 * 2**30
_AHEAD, _PARTS = 200 * 10**6, 16


def memory_share(wanted: str | None) -> int:
    """Bytes of a size such as `4GB`, or of a share of the free memory such as `50%`; None: half.

    Free memory is what the system can still give or, in a container or a scheduled job, the control
    group; several processes on one machine share it equally.

    Raises:
        ConfigError: it is neither a size nor a share.
    """
    share = _SHARE
    if wanted is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:(%)|([KMGT]?)I?B?)", wanted.strip().upper())
        if not found or float(found[1]) == 0 or (found[2] and float(found[1]) > 100):
            raise ConfigError(
                f"`max_memory`: {wanted!r} is neither a size such as 4GB nor a share such as 50%"
            )
        if not found[2]:
            return int(float(found[1]) * _UNITS[found[3]])
        share = float(found[1]) / 100
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return int(share * free_memory(torch.device("cpu")) / processes)


@dataclass(frozen=True)
class Budget:
    """The memory that translating may take, besides the model.

    Attributes:
        total: maximum bytes.
    """

    total: int = sys.maxsize

    @property
    def ahead(self) -> int:
        """Bytes of decoded pixels that may wait at each step; a larger picture is handled alone."""
        return min(_AHEAD, self.total // _PARTS)

    def takes_whole(self, extent: Extent, *, compared: bool = False) -> bool:
        """Whether a picture fits that is decoded, translated and encoded whole."""
        return self._needed(extent, compared) <= min(self.total, _MOST_WHOLE)

    def for_network(self, pixels: Pixels) -> int:
        """Bytes left for activations while this picture or a batch of small ones is translated."""
        if pixels.nbytes <= self.ahead:
            return self.total // 2
        return max(self.total - _TRANSLATING * pixels.nbytes, self.total // 4)

    def check(self, extent: Extent, *, compared: bool = False) -> None:
        """Refuse a picture that does not fit even alone.

        Args:
            compared: whether input and result are also written side by side.

        Raises:
            ImageError: it does not fit; the message says how much memory it needs.
        """
        needed = self._needed(extent, compared)
        if needed > self.total:
            height, width = extent.size
            several = f" ({extent.pixels / 1e6:.0f} megapixels in all)"
            more = several if extent.pixels > height * width else ""
            raise ImageError(
                f"{width} x {height} pixels{more} need about {needed / 1e9:.2g} GB of"
                f" memory, but only {self.total / 1e9:.2g} GB may be used; raise"
                " `max_memory`, or reduce the picture"
            )

    def _needed(self, extent: Extent, compared: bool) -> int:
        return (_PEAK_COMPARED if compared else _PEAK) * extent.held
