"""What translating a video costs beside the network, and how its memory grows.

    python tests/benchmarks/video.py --model RUN_OR_FILE --video CLIP [--max-side N] [--long S]

The frames of the clip, reduced, are made clips of 5 seconds and of `--long` seconds by repetition,
and each is translated by `img2img translate` in a process of its own. It prints, for each, the
whole command's time, the peak of its memory, and the time over that of the network alone: the
milliseconds of a frame in a batch, as `img2img bench` measures them, times the frames.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from img2img import Picture, Translator
from img2img.images import resized
from img2img.video import Encoding, Frame, SegmentWriter, frames, probe
from img2img.video.containers import Muxing
from img2img.video.joining import join

SHORT = 5.0


def repeated(video: Path, target: Path, max_side: int, seconds: float) -> int:
    """Write a clip; how many frames it has."""
    info = probe(video)
    height, width = info.upright_size
    factor = min(1.0, max_side / max(height, width))
    size = round(factor * height / 2) * 2, round(factor * width / 2) * 2
    made = replace(info, size=size)
    segment = target.with_suffix(".nut")
    writer = SegmentWriter(segment, made, size, Encoding(preset="veryfast"))
    count = round(seconds * float(info.rate or 25))
    endless = itertools.chain.from_iterable(frames(info) for _ in itertools.count())
    for number, frame in enumerate(itertools.islice(endless, count)):
        pixels = resized(frame.pixels, size)
        pts = info.start + number * info.step
        writer.write(Frame(pixels, pts, info.step, concealed=False))
    writer.close()
    join([segment], made, Muxing(target))
    return count


def run(model: Path, clip: Path, output: Path, more: list[str]) -> tuple[float, float]:
    """Seconds of the whole command, and the peak of its memory in MB."""
    line = [sys.executable, "-m", "img2img", "translate", "--model", str(model)]
    line += ["--input", str(clip), "--output", str(output), *more]
    began = time.perf_counter()
    child = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--max-side", type=int, default=320)
    parser.add_argument("--long", type=float, default=60.0)
    parser.add_argument("--stabilize", default="off")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (SHORT, options.long):
            clip = Path(folder) / f"{seconds:.0f}.mp4"
            count = repeated(options.video, clip, options.max_side, seconds)
            picture = Picture(next(frames(probe(clip))).pixels)
            translator = Translator.load(options.model, device="cpu")
            measured = [m for m in translator.bench(picture, 8, "eager") if m.ended]
            each = min(m.together for m in measured if m.together)
            more = ["--stabilize", options.stabilize]
            total, peak = run(options.model, clip, clip.with_name("out.mp4"), more)
            print(
                f"{seconds:.0f} s, {count} frames: {total:.1f} s, {total / (count * each):.2f} of"
                f" the network's own {1000 * each:.1f} ms a frame; peak {peak:.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
