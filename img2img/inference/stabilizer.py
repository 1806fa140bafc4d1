"""Translated video frames that flicker less."""

from collections.abc import Mapping
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from img2img.errors import ConfigError
from img2img.flow import Floats, Motion, enlarged, grey, warp
from img2img.images import Pixels

Strength = Literal["light", "strong"]

# How much of a frame comes from the one before, where all agrees. docs/video.md has what they do.
_SHARES: dict[Strength, float] = {"light": 0.4, "strong": 0.75}
# The most pixels to a side of what the flow is found in.
_MOST = 512
# Of 255: input pixels that differ by so much are not of one thing, whatever the flow says.
_DIFFERENT = 64
# Pixels over which the border between what is to be trusted and what not is spread.
_SPREAD = 5
# Fine detail is what a mean over so many pixels to a side takes away. Its power is compared over so
# many to a side, plus a grey level squared, and its amplitude raised at most so far.
_FINE, _AROUND, _GAIN = 3, 15, 1.5


class Stabilizer:
    """Blends each translated frame with the one before, moved along the optical flow of the input.

    Where the flow is not to be trusted (`Motion.reliable`), or the input itself has changed, a
    frame stays as it is; and so does the first one, and the first after a cut. A mean of two frames
    is duller than each of them, so fine detail is given back the power that it has in the frame.

    Args:
        strength: `light` or `strong`.

    Raises:
        ConfigError: no such strength.
    """

    def __init__(self, strength: Strength) -> None:
        if strength not in _SHARES:
            allowed = ", ".join(get_args(Strength))
            raise ConfigError(f"stabilize: {strength!r} is none of {allowed}")
        self._share = _SHARES[strength]
        # The input's and the output's last frame. The latter is not rounded: errors would add up.
        self._before: tuple[Pixels, Floats] | None = None

    def reset(self) -> None:
        """Forget the frames: the next one is the first."""
        self._before = None

    def stabilize(self, given: Pixels, made: Pixels) -> Pixels:
        """The next frame, stabilised.

        Args:
            given: of the input, uint8 or uint16 [h, w, 3].
            made: what was made of it, uint8 or uint16 [H, W, 3], of any size.

        Returns:
            The type and size of `made`.
        """
        here, frame = grey(given, most=_MOST), made.astype(np.float32)
        if self._before is not None:
            there, shown = self._before
            if here.shape == there.shape and frame.shape == shown.shape:
                motion = Motion.between(here, there)
                if not motion.is_cut:
                    frame = self._blended(frame, shown, motion, np.iinfo(made.dtype).max / 255)
        self._before = here, frame
        return np.rint(frame).clip(0, np.iinfo(made.dtype).max).astype(made.dtype)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All that the next frames depend on, for `restore`; empty before the first frame."""
        return (
            {} if self._before is None else dict(zip(("grey", "shown"), self._before, strict=True))
        )

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on where `state` was taken: what follows is the same to the bit."""
        self._before = (
            (state["grey"].astype(np.uint8), state["shown"].astype(np.float32)) if state else None
        )

    def _blended(self, frame: Floats, shown: Floats, motion: Motion, level: float) -> Floats:
        """A frame and the one shown before it, [H, W, 3] of `level` to a grey level of 255."""
        height, width = size = frame.shape[:2]
        alike = (1 - motion.difference / _DIFFERENT).clip(0, 1) * motion.reliable
        # At the border between trusted and not, from nothing up: what is not trusted stays so.
        trust = np.minimum(alike, cv2.blur(alike, (_SPREAD, _SPREAD)))
        trust = cv2.resize(trust, (width, height))[..., None]
        # Linear interpolation, frame after frame, would blur.
        moved = warp(shown, enlarged(motion.flow, size), cv2.INTER_CUBIC)
        blended = frame + self._share * trust * (moved - frame)
        detail, own = _detail(blended), _detail(frame)
        gain = np.sqrt((_power(own) + level**2) / (_power(detail) + level**2)).clip(1, _GAIN)
        result: Floats = blended + trust * (gain - 1)[..., None] * detail
        return result


def _detail(frame: Floats) -> Floats:
    detail: Floats = frame - cv2.blur(frame, (_FINE, _FINE))
    return detail


def _power(detail: Floats) -> Floats:
    power: Floats = cv2.blur(np.square(detail).mean(axis=-1), (_AROUND, _AROUND))
    return power
