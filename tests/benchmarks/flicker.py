"""How much a translated video flickers, and what stabilising does to that and to its sharpness.

    python tests/benchmarks/flicker.py --model FILE... --video FILE... [--max-side N]

Of each model and video, not stabilised, lightly and strongly: the warping error over that of the
input, its change, the sharpness over that of what is not stabilised, and the time a frame.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

from img2img import Translator
from img2img.images import resized
from img2img.metrics.video import VideoMeter
from img2img.translate.frames import FrameTranslator
from img2img.translate.stabilizer import Strength
from img2img.video import Frame, frames, probe


def reduced(video: Path, max_side: int) -> Iterator[Frame]:
    for frame in frames(probe(video)):
        height, width = frame.pixels.shape[:2]
        factor = min(1.0, max_side / max(height, width))
        size = round(factor * height), round(factor * width)
        yield replace(frame, pixels=resized(frame.pixels, size))


def compare(model: Path, video: Path, max_side: int) -> None:
    translator = Translator.load(model, device="cpu")
    given = list(reduced(video, max_side))
    plain = list(FrameTranslator(translator, "off")(iter(given)))
    off = 0.0
    for strength in ("off", *get_args(Strength)):
        began, meter = time.perf_counter(), VideoMeter()
        made = FrameTranslator(translator, strength)(iter(given))
        shown = [frame.pixels for frame in made]
        each = (time.perf_counter() - began) / len(given)
        for source, result, reference in zip(given, shown, plain, strict=True):
            meter.add(source.pixels, result, reference.pixels)
        off = off or meter.output_error
        if strength == "off":
            print(f"{model.stem}, {video.stem}: {meter.frames} frames, {meter.cuts} cuts")
        print(
            f"| {strength} | {meter.ratio:.2f} | {meter.output_error / off - 1:+.0%}"
            f" | {meter.sharpness:.3f} | {1000 * each:.0f} ms |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, nargs="+", required=True)
    parser.add_argument("--video", type=Path, nargs="+", required=True)
    parser.add_argument("--max-side", type=int, default=384)
    options = parser.parse_args()
    for model in options.model:
        for video in options.video:
            compare(model, video, options.max_side)


if __name__ == "__main__":
    main()
