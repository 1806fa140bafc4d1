"""At which size a picture is translated, and what size the result has."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""Height and width, in pixels."""
Scale = Literal["native", "trained"]


@dataclass(frozen=True)
class Sizing:
    """The sizes of results, and of what the network sees.

    Attributes:
        scale: the size at which pictures are translated. `native`: their own. `trained`: they are
            resized as the training images were, translated, and resized back.
        resize: the size that all results have; None: each picture's own.
        max_side: the most that height or width of a result may be; larger pictures are reduced.
        even: whether they are reduced to even sizes, which most encoders of video want.
    """

    scale: Scale = "native"
    resize: Size | None = None
    max_side: int | None = None
    even: bool = False

    def of_result(self, size: Size) -> Size:
        """The result's size for a picture of this size."""
        height, width = self.resize or size
        longest = max(height, width)
        if self.max_side is None or longest <= self.max_side:
            return height, width
        multiple = 2 if self.even else 1
        return _scaled((height, width), self.max_side // multiple * multiple / longest, multiple)

    def of_network(self, size: Size, trained_scale: float) -> Size:
        """The size at which a picture of this size is translated.

        Args:
            trained_scale: pixels of a training image to a pixel of its file.
        """
        result = self.of_result(size)
        return _scaled(result, trained_scale) if self.scale == "trained" else result


def _scaled(size: Size, factor: float, multiple: int = 1) -> Size:
    height, width = (max(1, round(factor * side / multiple)) * multiple for side in size)
    return height, width


def pad_to_fit(pixels: NDArray[Any], multiple: int, least: int) -> NDArray[Any]:
    """Enlarge [H, W, C] at the right and bottom to the next size that a network takes.

    By reflection, repeated where the image is smaller than the padding; one row is repeated as it
    is. Never further than needed: a larger canvas changes the statistics of normalisation.
    """
    padding = [(0, _up_to(max(size, least), multiple) - size) for size in pixels.shape[:2]]
    if not any(after for _, after in padding):
        return pixels  # and no copy, which np.pad makes
    return np.pad(pixels, [*padding, (0, 0)], mode="reflect")


def _up_to(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
