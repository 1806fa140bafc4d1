"""How much a translated video flickers, and what stabilising does to that and to its sharpness.

    python tests/benchmarks/flicker.py --model FILE... --video FILE... [--max-side N] [--smooth N]

Of each model and video: the warping error over that of the input, its change from that without
stabilising, and the sharpness over that without; all once more with statistics smoothed over N
frames. Then what stabilising takes of a frame's time.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import av

from img2img import Translator
from img2img.flow import Motion, grey
from img2img.images import Pixels, resized
from img2img.inference.stabilizer import Stabilizer, Strength
from img2img.metrics.video import VideoMeter


def frames(video: Path, max_side: int) -> Iterator[Pixels]:
    with av.open(video) as container:
        for frame in container.decode(video=0):
            factor = min(1.0, max_side / max(frame.height, frame.width))
            size = round(factor * frame.height), round(factor * frame.width)
            yield resized(frame.to_ndarray(format="rgb24"), size)


def smoothed(model: Path, over: float) -> Callable[[Pixels], Pixels]:
    """What translates frames in their order, with statistics that begin anew at cuts."""
    translator = Translator.load(model, device="cpu", smooth=over)
    before: Pixels | None = None

    def translate(frame: Pixels) -> Pixels:
        nonlocal before
        now = grey(frame)
        if before is not None and translator.smoothing and Motion.between(now, before).is_cut:
            translator.smoothing.reset()
        before = now
        return translator.translate(frame)

    return translate


class Column:
    """One way of translating, with each way of stabilising it."""

    def __init__(self, name: str, translate: Callable[[Pixels], Pixels]) -> None:
        self.name, self.translate = name, translate
        self.meters = {strength: VideoMeter() for strength in ("off", *get_args(Strength))}
        self.stabilizers = {strength: Stabilizer(strength) for strength in get_args(Strength)}
        self.seconds = 0.0

    def add(self, given: Pixels, reference: Pixels | None) -> Pixels:
        """Take in a frame; what it is without stabilising is compared with the reference."""
        made = self.translate(given)
        plain = made if reference is None else reference
        self.meters["off"].add(given, made, plain)
        began = time.perf_counter()
        shown = {name: each.stabilize(given, made) for name, each in self.stabilizers.items()}
        self.seconds += time.perf_counter() - began
        for name, frame in shown.items():
            self.meters[name].add(given, frame, plain)
        return plain


def compare(model: Path, video: Path, max_side: int, smooth: float | None) -> None:
    columns = [Column("", Translator.load(model, device="cpu").translate)]
    if smooth is not None:
        columns.append(Column(f", statistics over {smooth:g} frames", smoothed(model, smooth)))
    for given in frames(video, max_side):
        plain = None
        for column in columns:
            plain = column.add(given, plain)
    off = columns[0].meters["off"]
    print(f"{model.stem}, {video.stem}: {off.frames} frames, {off.cuts} cuts")
    for column in columns:
        for name, meter in column.meters.items():
            change = meter.output_error / off.output_error - 1
            print(
                f"| {name}{column.name} | {meter.ratio:.2f} | {change:+.0%}"
                f" | {meter.sharpness:.3f} |",
                flush=True,
            )
    each = columns[0].seconds / len(columns[0].stabilizers) / off.frames
    print(f"stabilising took {1000 * each:.0f} ms a frame", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, nargs="+", required=True)
    parser.add_argument("--video", type=Path, nargs="+", required=True)
    parser.add_argument("--max-side", type=int, default=384)
    parser.add_argument("--smooth", type=float)
    options = parser.parse_args()
    for model in options.model:
        for video in options.video:
            compare(model, video, options.max_side, options.smooth)


if __name__ == "__main__":
    main()
