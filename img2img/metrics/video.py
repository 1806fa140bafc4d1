"""Temporal consistency and sharpness of a translated video."""

from dataclasses import dataclass

import cv2
import numpy as np

from img2img.images import Pixels, resized
from img2img.video.flow import LEAST_SIDE, Floats, Motion, grey, warp


@dataclass(frozen=True)
class _Moment:
    """A frame of both videos, with colours in [0, 1]."""

    grey: Pixels
    given: Floats
    made: Floats


class VideoMeter:
    """Measures an output by the optical flow of its input, frame by frame.

    The warping error is that of Lai et al. ("Learning Blind Video Temporal Consistency", ECCV
    2018): the mean over all t and over the channels of sum(M |V_t - warp(V_t+1)|^2) / sum(M), with
    pixels in [0, 1]. M is 1 where the flow from frame t of the input to the next is reliable
    (`Motion.reliable`), else 0. Pairs of frames across a cut, or without any reliable pixel, do not
    count.

    Sharpness is the mean gradient magnitude of the grey frames. It is needed because blur lowers
    the warping error too.
    """

    def __init__(self) -> None:
        self.frames = self.cuts = 0
        self._pairs = 0
        self._input_error = self._output_error = 0.0
        self._sharpness = self._reference_sharpness = 0.0
        self._before: _Moment | None = None

    def add(self, given: Pixels, made: Pixels, reference: Pixels | None = None) -> None:
        """Add the next frame.

        Args:
            given: the frame of the input, uint8 or uint16 [H, W, 3]; it is measured at the size of
                `made`.
            made: the frame of the output, always of the same size.
            reference: the frame of a video to compare sharpness with, such as an unstabilised
                output; None: the input.
        """
        height, width = (max(LEAST_SIDE, side) for side in made.shape[:2])
        given, made = (resized(pixels, (height, width)) for pixels in (given, made))
        now = _Moment(grey(given), _colours(given), _colours(made))
        self.frames += 1
        self._sharpness += _sharpness(now.made)
        self._reference_sharpness += _sharpness(
            now.given if reference is None else _colours(reference)
        )
        if self._before is not None:
            self._compare(self._before, now)
        self._before = now

    @property
    def input_error(self) -> float:
        """The warping error of the input, which flow and resampling leave even in a steady
        video."""
        return self._input_error / max(1, self._pairs)

    @property
    def output_error(self) -> float:
        """The warping error of the output."""
        return self._output_error / max(1, self._pairs)

    @property
    def ratio(self) -> float | None:
        """The warping error of the output over that of the input; None if that is 0."""
        return self.output_error / self.input_error if self.input_error else None

    @property
    def sharpness(self) -> float | None:
        """The sharpness of the output over that of the reference; None if that is 0."""
        if not self._reference_sharpness:
            return None
        return self._sharpness / self._reference_sharpness

    def _compare(self, before: _Moment, now: _Moment) -> None:
        motion = Motion.between(before.grey, now.grey)
        if motion.is_cut:
            self.cuts += 1
        elif motion.reliable.any():
            self._pairs += 1
            self._input_error += _warping_error(before.given, now.given, motion)
            self._output_error += _warping_error(before.made, now.made, motion)


def _warping_error(before: Floats, now: Floats, motion: Motion) -> float:
    squares = np.square(before - warp(now, motion.flow))
    return float(squares[motion.reliable].mean(dtype=np.float64))


def _sharpness(colours: Floats) -> float:
    down, right = np.gradient(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY))
    return float(np.hypot(down, right).mean(dtype=np.float64))


def _colours(pixels: Pixels) -> Floats:
    colours: Floats = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return colours
