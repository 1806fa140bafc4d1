"""The size at which a picture is translated, and the size of the result."""

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
# `auto` resizes a picture if that changes its sides by more than this factor.
MUCH = 1.5
# Maximum pixels that `auto` enlarges to: a strip of few rows would become very long.
_MOST = 2**24


@dataclass(frozen=True)
class Sizing:
    """The sizes of results, and of what the network sees.

    Attributes:
        scale: the size at which pictures are translated. `native`: their own. `trained`: resized
            like the training images (see `training_factor`); results are resized back. `auto`:
            `trained` if that changes the sides by more than a factor of `MUCH` and does not enlarge
            to more than `_MOST` pixels, otherwise `native`.
        resize: the size of all results; None: the size of each picture.
        max_side: maximum height and width of a result; larger pictures are reduced.
        even: whether `max_side` reduces to even sizes, which most video encoders require.
    """

    scale: Scale = "auto"
    resize: Size | None = None
    max_side: int | None = None
    even: bool = False

    def result_size(self, size: Size) -> Size:
        """Size of the result for a picture of this size."""
        height, width = self.resize or size
        longest = max(height, width)
        if self.max_side is None or longest <= self.max_side:
            return height, width
        multiple = 2 if self.even else 1
        return _scaled((height, width), self.max_side // multiple * multiple / longest, multiple)

    def applied_scale(self, size: Size, spec: ModelSpec) -> AppliedScale:
        """The scale that is used for a picture of this size."""
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
    """The factor by which to resize a picture so that it is like the training images.

    For a picture of about the size of the training files, it is the factor of training. A picture
    whose shorter side differs by more than `MUCH` times is assumed to show the same content in more
    or fewer pixels, and gets the size that they got. If the model does not record the size of the
    training files, it is the factor of training for every picture.
    """
    if spec.image_size is None:
        return spec.scale
    ratio = min(size) / min(spec.image_size)
    return spec.scale if 1 / MUCH <= ratio <= MUCH else spec.scale / ratio


def scale_summary(applied: Mapping[AppliedScale, int], scale: Scale, spec: ModelSpec) -> str:
    """A line on how many pictures were translated at which scale."""
    native, trained = applied.get("native", 0), applied.get("trained", 0)
    own = "its own size" if native == 1 else "their own size"
    parts = [f"{native} at {own}"] if native else []
    parts += [f"{trained} resized {training_size(spec)} and back"] if trained else []
    hint = "; `scale=native` keeps the size of all" if scale == "auto" and trained else ""
    return f"scale {scale}: {', '.join(parts)}{hint}"


def training_size(spec: ModelSpec) -> str:
    """The size that pictures are resized to, in words."""
    if spec.image_size is None:
        return f"to {100 * spec.scale:.0f} % as in training"
    height, width = _scaled(spec.image_size, spec.scale)
    return f"to about {width} x {height} as in training"


def _scaled(size: Size, factor: float, multiple: int = 1) -> Size:
    height, width = (max(1, round(factor * side / multiple)) * multiple for side in size)
    return height, width


def pad_to_fit(pixels: NDArray[Any], multiple: int, least: int) -> NDArray[Any]:
    """Pad [H, W, C] at the right and bottom to the next size that a network accepts.

    Pads by reflection, repeatedly if the image is smaller than the padding; a single row is
    repeated. No further than needed, because padding affects the statistics of normalisation.
    """
    height, width = pixels.shape[:2]
    wanted = padded_size((height, width), multiple, least)
    padding = [(0, size - there) for size, there in zip(wanted, pixels.shape, strict=False)]
    if not any(after for _, after in padding):
        return pixels  # without the copy that np.pad would make
    return np.pad(pixels, [*padding, (0, 0)], mode="reflect")


def padded_size(size: Size, multiple: int, least: int) -> Size:
    """The next height and width that a network accepts."""
    height, width = (_up_to(max(side, least), multiple) for side in size)
    return height, width


def _up_to(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
