"""What a training step takes in memory, with gradient accumulation and recomputed activations.

    python tests/benchmarks/memory.py [METHOD] [KEY=VALUE ...]

For crops of several sizes, each in a process of its own because peaks cannot be reset: the most
memory that two training steps took beyond what was taken before them, how the peak of the process
compares with the first case's, and the time of the second step for each batch; with
`optimizer.accumulate` 1, with 8, and with `activation_checkpointing`. By default of the published
recipe of `pix2pix`, a U-Net; that of `cyclegan` is a ResNet.
"""

import json
import os
import subprocess
import sys
import time

import torch
from torch.utils.checkpoint import checkpoint

from img2img.config import load_config
from img2img.data.samples import Batch
from img2img.runtime.devices import peak_memory
from img2img.runtime.processes import ALONE
from img2img.training.build import build_method, resolve
from img2img.training.events import Observer
from img2img.training.step import Stepper

SIZES = (256, 512, 1024)
CASES: tuple[list[str], ...] = ([], ["optimizer.accumulate=8"], ["activation_checkpointing=true"])


def child(method_name: str, size: int, assignments: list[str]) -> None:
    device = torch.device("cpu")
    config = load_config(method_name, None, {"device": "cpu", "data.crop_size": size}, assignments)
    crop = (size, size)
    config = resolve(config, crop, crop)
    stepper = Stepper(build_method(config, crop), config, ALONE, Observer())
    # Its first use imports a hundred megabytes of torch.
    checkpoint(torch.nn.Identity(), torch.zeros(1, requires_grad=True), use_reentrant=False)
    before = peak_memory(device) or 0
    seconds = 0.0
    for step in (1, 2):
        batches = [
            random_batch(config.data.batch_size, size) for _ in range(config.optimizer.accumulate)
        ]
        began = time.perf_counter()
        stepper.make(step, batches, 1.0)
        seconds = (time.perf_counter() - began) / len(batches)
    peak = peak_memory(device) or 0
    print(json.dumps([peak - before, peak, seconds]))


def random_batch(count: int, size: int) -> Batch:
    A, B = torch.rand(2, count, 3, size, size) * 2 - 1
    return Batch(A, B, [""] * count, [""] * count)


def measure(method: str, size: int, assignments: list[str]) -> tuple[float, float, float]:
    line = [sys.executable, __file__, "--child", method, str(size), *assignments]
    # glibc then gives every map back at once: what is measured is what is held, not gaps in a heap.
    held = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=held)
    step, process, seconds = json.loads(done.stdout)
    return step, process, seconds


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
    method = next((word for word in sys.argv[1:] if "=" not in word), "pix2pix")
    assignments = [word for word in sys.argv[1:] if "=" in word]
    print(f"{method}: crop; of each case a step's memory, the process's and time over the first's")
    for size in SIZES:
        figures = [measure(method, size, [*assignments, *case]) for case in CASES]
        first = figures[0]
        cells = [
            f"{' '.join(case) or 'plain'} {step / 1e6:.0f} MB"
            f" ({process / first[1]:.2f}, {seconds / first[2]:.2f})"
            for case, (step, process, seconds) in zip(CASES, figures, strict=True)
        ]
        print(f"{size:5}  {'  '.join(cells)}", flush=True)
    return None


if __name__ == "__main__":
    main()
