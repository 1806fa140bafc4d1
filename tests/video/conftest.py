"""Small clips, made where a test asks for them."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

MakeClip = Callable[..., Path]


def picture(number: int, height: int = 48, width: int = 64) -> npt.NDArray[np.uint8]:
    """A smooth picture of many colours, another for each number."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(5 * x + number), np.cos(4 * y - number / 2), np.sin(3 * (x + y) + number / 3)]
    return (127 + 100 * np.stack(waves, axis=-1)).round().astype(np.uint8)


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """`make_clip("a.mp4", 10)`: a clip of `picture`s, at the times asked for."""

    def make(
        name: str,
        frames: int | Sequence[int] = 8,
        *,
        codec: str = "libx264",
        time_base: Fraction = Fraction(1, 12800),
        step: int = 512,
        size: tuple[int, int] = (48, 64),
        form: str = "yuv420p",
        options: dict[str, str] | None = None,
        muxing: dict[str, str] | None = None,
        rotation: int = 0,
        flip: bool = False,
        aspect: Fraction | None = None,
        colour: tuple[int, int, int, int] | None = None,
    ) -> Path:
        times = [step * n for n in range(frames)] if isinstance(frames, int) else frames
        path = tmp_path / name
        with av.open(str(path), "w", options=muxing or {}) as container:
            stream: Any = container.add_stream(codec, rate=Fraction(25), options=options or {})
            stream.height, stream.width = size
            stream.pix_fmt = form
            stream.time_base = stream.codec_context.time_base = time_base
            if rotation or flip:
                stream.set_display_rotation(rotation, hflip=flip)
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            context = stream.codec_context
            if colour:
                context.color_range, context.color_primaries = colour[:2]
                context.color_trc, context.colorspace = colour[2:]
            if not times:
                container.start_encoding()
            for number, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
                frame = frame.reformat(format=form)
                frame.pts, frame.time_base = time, time_base
                container.mux(stream.encode(frame))
            if times:
                container.mux(stream.encode(None))
        return path

    return make
