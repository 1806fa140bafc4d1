"""Reducing the flicker of translated video frames."""

from collections.abc import Mapping
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from img2img.errors import ConfigError
from img2img.images import Pixels
from img2img.video.flow import Floats, Motion, enlarged, warp

Strength = Literal["light", "strong"]

# Weight of the previous frame where both agree. docs/video.md describes the effect.
_SHARES: dict[Strength, float] = {"light": 0.4, "strong": 0.75}
# Maximum side of the frames that optical flow is computed on. At 1280 x 720 the full size takes
# three times as long and reduces flicker by a fifth more.
FLOW_SIDE = 512
# Input pixels that differ by this much, of 255, do not match, whatever the flow says.
_DIFFERENT = 64
# Width in pixels of the transition between reliable and unreliable flow.
_SPREAD = 5
# Fine detail is what a mean over a square of the first size removes. Its power, plus one grey level
# squared, is compared over a square of the second size; its amplitude is raised at most by the
# third factor.
_FINE, _AROUND, _GAIN = 3, 15, 1.5


class Stabilizer:
    """Blends each translated frame with the previous one, moved along the input's optical flow.

    A frame is left unchanged where the flow is not reliable (`Motion.reliable`) or the input has
    changed, and so is the first frame of a scene. The mean of two frames is duller than either, so
    fine detail is restored to the power it has in the frame.

    Args:
        strength: `light` or `strong`.

    Raises:
        ConfigError: no such strength.
    """

    def __init__(self, strength: Strength) -> None:
        if strength not in _SHARES:
            allowed = ", ".join(get_args(Strength))
            raise ConfigError(f"`stabilize`: {strength!r} is not one of {allowed}")
        self._share = _SHARES[strength]
        # The last blend, before rounding and before its detail was raised: otherwise errors would
        # add up and patterns would be amplified again and again.
        self._before: Floats | None = None

    def stabilize(self, made: Pixels, motion: Motion | None) -> Pixels:
        """The next frame, stabilised.

        Args:
            made: the translated frame, uint8 or uint16 [H, W, 3], of any size.
            motion: of the input from this frame to the previous one; None: it begins a scene.

        Returns:
            The type and size of `made`.
        """
        frame = made.astype(np.float32)
        most = np.iinfo(made.dtype).max
        before, blend, shown = self._before, frame, frame
        if motion is not None and before is not None and before.shape == frame.shape:
            trust = _trust(motion, frame.shape[:2])
            # Repeated linear interpolation would blur.
            moved = warp(before, enlarged(motion.flow, frame.shape[:2]), cv2.INTER_CUBIC)
            blend = frame + self._share * trust * (moved - frame)
            shown = blend + trust * _lost_detail(blend, frame, most / 255)
        self._before = blend
        return np.rint(shown).clip(0, most).astype(made.dtype)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything that the next frames depend on; empty before the first frame."""
        return {} if self._before is None else {"blend": self._before}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a `state`; the following frames are identical, bit for bit."""
        self._before = state["blend"].astype(np.float32) if state else None


def _trust(motion: Motion, size: tuple[int, int]) -> Floats:
    """How far the previous frame may replace this one, from 0 to 1: [H, W, 1] of this size."""
    alike = (1 - motion.difference / _DIFFERENT).clip(0, 1) * motion.reliable
    # The transition extends inwards: unreliable pixels stay so.
    trust = np.minimum(alike, cv2.blur(alike, (_SPREAD, _SPREAD)))
    height, width = size
    resized: Floats = cv2.resize(trust, (width, height))
    return resized[..., None]


def _lost_detail(blend: Floats, frame: Floats, level: float) -> Floats:
    """What to add to a blend [H, W, 3] to make its fine detail as strong as the frame's.

    Args:
        level: the size of one grey level of 255.
    """
    detail, own = (image - cv2.blur(image, (_FINE, _FINE)) for image in (blend, frame))
    gain = np.sqrt((_power(own) + level**2) / (_power(detail) + level**2)).clip(1, _GAIN)
    lost: Floats = (gain - 1)[..., None] * detail
    return lost


def _power(detail: Floats) -> Floats:
    """The mean square of [H, W, 3] around each pixel, [H, W]."""
    squares = np.einsum("hwc,hwc->hw", detail, detail) / 3
    power: Floats = cv2.blur(squares, (_AROUND, _AROUND))
    return power
