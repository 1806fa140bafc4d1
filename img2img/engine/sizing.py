"""At which size a picture is translated, and what size the result has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from img2img.models.spec import ModelSpec

Size = tuple[int, int]
"""Height and width, in pixels."""
AppliedScale = Literal["native", "trained"]
Scale = Literal["auto"] | AppliedScale
# Sides of a picture against those of training images, from which on `auto` resizes.
MUCH = 1.5
# Pixels to which `auto` enlarges: a strip of few rows would become very long.
_MOST = 2**24


@dataclass(frozen=True)
class Sizing:
    """The sizes of results, and of what the network sees.

    Attributes:
        scale: the size at which pictures are translated. `native`: their own. `trained`: they are
            resized as the training images were, translated, and resized back; see
            `training_factor`. `auto`: `trained` where that reduces or enlarges the sides more than
            `MUCH` times, and not to more than `_MOST` pixels; else `native`.
        resize: the size that all results have; None: each picture's own.
        max_side: the most that height or width of a result may be; larger pictures are reduced.
        even: whether they are reduced to even sizes, which most encoders of video want.
    """

    scale: Scale = "auto"
    resize: Size | None = None
    max_side: int | None = None
    even: bool = False

    def result_size(self, size: Size) -> Size:
        """The result's size for a picture of this size."""
        height, width = self.resize or size
        longest = max(height, width)
        if self.max_side is None or longest <= self.max_side:
            return height, width
        multiple = 2 if self.even else 1
        return _scaled((height, width), self.max_side // multiple * multiple / longest, multiple)

    def applied_scale(self, size: Size, spec: ModelSpec) -> AppliedScale:
        """How a picture of this size is translated."""
        if self.scale != "auto":
            return self.scale
        height, width = result = self.result_size(size)
        factor = training_factor(result, spec)
        enlarged = factor > MUCH and factor**2 * height * width <= _MOST
        return "trained" if factor < 1 / MUCH or enlarged else "native"

    def network_size(self, size: Size, spec: ModelSpec) -> Size:
        """The size at which a picture of this size is translated."""
        result = self.result_size(size)
        if self.applied_scale(size, spec) == "native":
            return result
        return _scaled(result, training_factor(result, spec))


def training_factor(size: Size, spec: ModelSpec) -> float:
    """What the sides of a picture have to be multiplied by to be as training images were.

    A picture of about the size of the training's files: the factor of training. One whose shorter
    side is more than `MUCH` times longer or shorter than theirs is taken for the same thing in more
    or fewer pixels, and gets the size that they got. Of a model that does not know the size of
    its files, all have the factor of training.
    """
    if spec.image_size is None:
        return spec.scale
    ratio = min(size) / min(spec.image_size)
    return spec.scale if 1 / MUCH <= ratio <= MUCH else spec.scale / ratio


def scale_summary(ways: Mapping[AppliedScale, int], scale: Scale, spec: ModelSpec) -> str:
    """A line on how many pictures were translated at which size."""
    native, trained = ways.get("native", 0), ways.get("trained", 0)
    own = "its own size" if native == 1 else "their own size"
    parts = [f"{native} at {own}"] if native else []
    parts += [f"{trained} resized {training_size(spec)} and back"] if trained else []
    chosen = " (`scale=native`: all at their own size)" if scale == "auto" and trained else ""
    return f"scale {scale}: {', '.join(parts)}{chosen}"


def training_size(spec: ModelSpec) -> str:
    """What is done to pictures that are resized, in words."""
    if spec.image_size is None:
        return f"to {100 * spec.scale:.0f} % as in training"
    height, width = _scaled(spec.image_size, spec.scale)
    return f"to about {width} x {height} as in training"


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
