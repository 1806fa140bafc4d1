"""Translating frames in order, and stabilising them."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import numpy as np

from img2img.engine.translator import Translator
from img2img.errors import Img2ImgError, VideoError
from img2img.images import Picture, of_depth
from img2img.networks.smoothing import Smoothing
from img2img.runtime.pipeline import ahead
from img2img.translate.options import Stabilize
from img2img.translate.stabilizer import FLOW_SIDE, Stabilizer, Strength
from img2img.video import Frame
from img2img.video.convert import FrameTransform
from img2img.video.flow import Motion, Tracker
from img2img.video.journal import State

K = TypeVar("K")

# Number of frames over which normalisation statistics are averaged.
SMOOTHED: dict[Strength, float] = {"light": 8, "strong": 16}


class FrameTranslator(FrameTransform):
    """Translates the frames of one video.

    Dropout is off, because it would flicker.

    Args:
        translator: what translates; to stabilise, it is copied into one that takes frames singly.
        stabilize: how strongly to reduce flicker.
    """

    def __init__(self, translator: Translator, stabilize: Stabilize = "off") -> None:
        self._stabilizer = None if stabilize == "off" else Stabilizer(stabilize)
        smooth = None if stabilize == "off" else SMOOTHED[stabilize]
        self.translator = translator.for_video(smooth)
        self._tracker = Tracker(FLOW_SIDE)
        self._values = translator.values  # the original's, which collects the remarks

    def __call__(self, frames: Iterator[Frame], /) -> Iterator[Frame]:
        """The translated frames, in order. Some input frames are read ahead."""
        if self._stabilizer is None:
            keyed = ((frame, _picture(frame)) for frame in frames)
            return (_made(*pair) for pair in self.translator.translate_each(keyed))
        # While the network translates a frame, the motion of the next one is computed and the
        # previous one is stabilised.
        moved = ahead(self._moved, frames, workers=1, bound=2)
        return ahead(self._steadied, self._in_order(moved), workers=1, bound=2)

    def translate_each(
        self, items: Iterable[tuple[K, Picture]]
    ) -> Iterator[tuple[K, Picture | Img2ImgError]]:
        """Translate the pictures of one scene, like `Translator.translate_each`.

        If a picture fails, the error also takes the place of all pictures after it, because they
        depend on it.
        """
        given, left = iter(items), deque[tuple[K, Picture]]()
        values = self._values
        try:
            for made in self(self._as_frames(given, left)):
                key, picture = left.popleft()
                whole = replace(picture, pixels=made.pixels, alpha=made.alpha, values=None)
                yield key, values.file_values(whole, picture.pixels.dtype)
        except Img2ImgError as error:
            yield from ((key, error) for key, _ in chain(left, given))

    def size(self, size: tuple[int, int], /) -> tuple[int, int]:
        """Height and width of the result for frames of a size."""
        return self.translator.result_size(size)

    def state(self) -> State:
        """Everything that the next frames depend on."""
        return {
            f"{name}/{key}": value
            for name, part in self._parts().items()
            for key, value in part.state().items()
        }

    def restore(self, state: State, /) -> None:
        """Continue from a `state`."""
        for name, part in self._parts().items():
            own = f"{name}/"
            part.restore({k.removeprefix(own): v for k, v in state.items() if k.startswith(own)})

    def _parts(self) -> dict[str, Stabilizer | Tracker | Smoothing]:
        """Everything that keeps information from earlier frames, by name."""
        if self._stabilizer is None:
            return {}
        parts: dict[str, Stabilizer | Tracker | Smoothing] = {
            "stabilizer": self._stabilizer,
            "tracker": self._tracker,
        }
        if self.translator.smoothing:
            parts["norms"] = self.translator.smoothing
        return parts

    def _as_frames(
        self, items: Iterator[tuple[K, Picture]], left: deque[tuple[K, Picture]]
    ) -> Iterator[Frame]:
        """Pictures as frames one time unit apart; each stays in `left` until its result comes."""
        values = self._values
        for number, item in enumerate(items):
            left.append(item)
            full = values.full_range(item[1])
            pixels = full.pixels
            if values.needs_16_bits(pixels):
                pixels = of_depth(pixels, np.uint16)
            yield Frame(pixels, number, 1, concealed=False, alpha=full.alpha)

    def _moved(self, frame: Frame) -> tuple[Frame, Motion | None]:
        return frame, self._tracker.motion(frame.pixels)

    def _in_order(
        self, moved: Iterator[tuple[Frame, Motion | None]]
    ) -> Iterator[tuple[Frame, Motion | None]]:
        """Frames translated one after the other, with the statistics of their scene."""
        for frame, motion in moved:
            if motion is None and self.translator.smoothing:
                self.translator.smoothing.reset()
            try:
                made = self.translator.translate(_picture(frame))
            except Img2ImgError as error:
                raise VideoError(f"the frame at {frame.pts}: {error}") from error
            yield _made(frame, made), motion

    def _steadied(self, item: tuple[Frame, Motion | None]) -> Frame:
        frame, motion = item
        assert self._stabilizer is not None
        return replace(frame, pixels=self._stabilizer.stabilize(frame.pixels, motion))


def _picture(frame: Frame) -> Picture:
    """A frame as a picture whose black and white are the ends of its type, in any model."""
    return Picture(frame.pixels, frame.alpha, values=(0, int(np.iinfo(frame.pixels.dtype).max)))


def _made(frame: Frame, made: Picture | Img2ImgError) -> Frame:
    """A frame with the pixels of its translation.

    Raises:
        VideoError: the frame could not be translated; frames are never left out.
    """
    if isinstance(made, Img2ImgError):
        raise VideoError(f"the frame at {frame.pts}: {made}") from made
    dtype = frame.pixels.dtype
    alpha = None if made.alpha is None else of_depth(made.alpha, dtype)
    return replace(frame, pixels=of_depth(made.levels, dtype), alpha=alpha)
