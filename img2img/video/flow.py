"""Optical flow between the frames of a video, its reliability, and scene cuts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from img2img.images import Pixels

Floats = NDArray[np.float32]

# Minimum side of a frame for DIS, in pixels.
LEAST_SIDE = 16
# There is a cut if more than this share of the pixels is not found in the other frame, and the
# pixels matched differ by more than this much of 255, on average. In fast pans half of them may be
# lost, but the matches differ by only about 10; across cuts by 40. When a light goes on, or in a
# fade, they may differ as much, but few are lost.
_LOST, _OFF = 0.5, 16.0


@dataclass(frozen=True)
class Motion:
    """Where the pixels of one grey frame, `here`, are in another, `there`.

    Reliability follows Sundaram et al. (ECCV 2010), with the thresholds of Ruder et al. ("Artistic
    Style Transfer for Videos", 2016), which Lai et al. (ECCV 2018) also use.
    """

    here: Pixels
    there: Pixels
    flow: Floats
    """[H, W, 2], in pixels to the right and down: (x, y) in `here` is (x, y) + flow in `there`."""
    back: Floats
    """The flow from `there` to `here`, [H, W, 2], sampled at the positions that `flow` leads to."""

    @classmethod
    def between(cls, here: Pixels, there: Pixels) -> "Motion":
        """Compute the motion with DIS (Kroeger et al., ECCV 2016).

        Args:
            here, there: uint8 [H, W], as `grey` returns them.
        """
        flow = _flow(here, there)
        return cls(here, there, flow, warp(_flow(there, here), flow))

    @cached_property
    def agrees(self) -> NDArray[np.bool_]:
        """Where flow and backward flow agree, bool [H, W]; elsewhere the pixel is occluded.

        They agree up to |flow + back|^2 = 0.01 (|flow|^2 + |back|^2) + 0.5, and within the frame.
        """
        height, width = self.here.shape
        x, y = _places(self.flow)
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        apart, lengths = _square(self.flow + self.back), _square(self.flow) + _square(self.back)
        agrees: NDArray[np.bool_] = inside & (apart <= 0.01 * lengths + 0.5)
        return agrees

    @cached_property
    def reliable(self) -> NDArray[np.bool_]:
        """Where the flow agrees and is not at a border between motions, bool [H, W].

        A border is where |gradient of flow|^2 > 0.01 |flow|^2 + 0.002.
        """
        down, right = (np.gradient(self.flow, axis=axis) for axis in (0, 1))
        borders = _square(down) + _square(right) > 0.01 * _square(self.flow) + 0.002
        reliable: NDArray[np.bool_] = self.agrees & ~borders
        return reliable

    @cached_property
    def difference(self) -> Floats:
        """Difference between each pixel and the one that the flow leads to, [H, W] of 255."""
        return np.abs(warp(self.there.astype(np.float32), self.flow) - self.here)

    @cached_property
    def is_cut(self) -> bool:
        """Whether there is a cut between the frames.

        There is if the flow disagrees for more than half of the pixels and the mean difference is
        more than 16 of 255.
        """
        return bool(1 - self.agrees.mean() > _LOST and self.difference.mean() > _OFF)


class Tracker:
    """Computes the motion from each frame of a video to the one before.

    Args:
        most: frames are reduced to this maximum side, in pixels.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._before: Pixels | None = None

    def motion(self, pixels: Pixels) -> Motion | None:
        """The motion from this frame to the last; None if there is none, or after a cut.

        Args:
            pixels: the next frame, uint8 or uint16 [H, W, 3].
        """
        now, before = grey(pixels, self._most), self._before
        self._before = now
        if before is None or before.shape != now.shape:
            return None
        motion = Motion.between(now, before)
        return None if motion.is_cut else motion

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything that the next motion depends on; empty before the first frame."""
        return {} if self._before is None else {"before": self._before}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a `state`."""
        self._before = state["before"].astype(np.uint8) if state else None


def grey(pixels: Pixels, most: int | None = None) -> Pixels:
    """A frame in grey, as optical flow is computed on it.

    Args:
        pixels: uint8 or uint16 [H, W, 3].
        most: maximum height and width; None: no maximum.

    Returns:
        uint8 [h, w], with sides of at least 16 pixels.
    """
    height, width = pixels.shape[:2]
    factor = min(1.0, (most or max(height, width)) / max(height, width))
    height, width = (max(LEAST_SIDE, round(side * factor)) for side in (height, width))
    levels = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    if levels.shape != (height, width):
        levels = cv2.resize(levels, (width, height), interpolation=cv2.INTER_AREA)
    if levels.dtype == np.uint16:
        levels = cv2.convertScaleAbs(levels, alpha=1 / 257)
    result: Pixels = levels
    return result


def warp(image: Floats, flow: Floats, interpolation: int = cv2.INTER_LINEAR) -> Floats:
    """An image [H, W] or [H, W, C] sampled along a flow [H, W, 2]; its border is repeated outside.

    With a flow of 0 it is the image itself, bit for bit.
    """
    x, y = _places(flow)
    warped: Floats = cv2.remap(image, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
    return warped


def enlarged(flow: Floats, size: tuple[int, int]) -> Floats:
    """A flow, enlarged for frames of this (height, width)."""
    if flow.shape[:2] == size:
        return flow
    height, width = size
    factors = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    result: Floats = cv2.resize(flow, (width, height)) * factors
    return result


def _flow(here: Pixels, there: Pixels) -> Floats:
    # A new object each time, because it adapts to a small frame and keeps that.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow: Floats = dis.calc(here, there, None)
    return flow


def _places(flow: Floats) -> tuple[Floats, Floats]:
    height, width = flow.shape[:2]
    rows, columns = (np.arange(side, dtype=np.float32) for side in (height, width))
    return flow[..., 0] + columns, flow[..., 1] + rows[:, None]


def _square(vectors: Floats) -> Floats:
    square: Floats = np.square(vectors).sum(axis=-1, dtype=np.float32)
    return square
