"""What training takes in memory, with gradient accumulation and recomputed activations.

    python tests/benchmarks/memory.py [METHOD] [CROP ...] [KEY=VALUE ...]

For crops of several sizes, each in a process of its own because peaks cannot be reset: the peak of
the whole process (of its resident memory, as the system counts it) after some steps of training on
a CPU, what of it came on top of the peak before the first step, both also over those of the first
case, and the time of the fastest step but the first for each batch; with `optimizer.accumulate` 1,
with 8, and with `activation_checkpointing`. The C library keeps freed memory, as in a training from
the command line; images are random, so that loading and sample sheets are not in it. By default of
the published recipe of `pix2pix`, a U-Net; that of `cyclegan` is a ResNet.
"""

import json
import subprocess
import sys
import time

import torch
from torch.utils.checkpoint import checkpoint

from img2img.config import load_config
from img2img.data.samples import Batch
from img2img.runtime.devices import keep_freed_memory, peak_memory
from img2img.runtime.processes import ALONE
from img2img.training.build import build_method, on_device, resolve
from img2img.training.events import Observer
from img2img.training.step import Stepper

SIZES = (256, 512, 1024)
STEPS = 4
CASES: tuple[list[str], ...] = ([], ["optimizer.accumulate=8"], ["activation_checkpointing=true"])


def child(method_name: str, size: int, assignments: list[str]) -> None:
    keep_freed_memory()
    device = torch.device("cpu")
    config = load_config(method_name, None, {"device": "cpu", "data.crop_size": size}, assignments)
    crop = (size, size)
    config = resolve(on_device(config), crop, crop)
    stepper = Stepper(build_method(config, crop), config, ALONE, Observer())
    # Its first use imports a hundred megabytes of torch.
    checkpoint(torch.nn.Identity(), torch.zeros(1, requires_grad=True), use_reentrant=False)
    before = peak_memory(device) or 0
    seconds = []
    for step in range(1, STEPS + 1):
        batches = [
            random_batch(config.data.batch_size, size) for _ in range(config.optimizer.accumulate)
        ]
        began = time.perf_counter()
        stepper.make(step, batches, 1.0)
        seconds.append((time.perf_counter() - began) / len(batches))
    peak = peak_memory(device) or 0
    print(json.dumps([peak, peak - before, min(seconds[1:])]))


def random_batch(count: int, size: int) -> Batch:
    A, B = torch.rand(2, count, 3, size, size) * 2 - 1
    return Batch(A, B, [""] * count, [""] * count)


def measure(method: str, size: int, assignments: list[str]) -> tuple[float, float, float]:
    line = [sys.executable, __file__, "--child", method, str(size), *assignments]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    process, above, seconds = json.loads(done.stdout)
    return process, above, seconds


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
    words = [word for word in sys.argv[1:] if "=" not in word]
    sizes = [int(word) for word in words if word.isdigit()] or SIZES
    method = next((word for word in words if not word.isdigit()), "pix2pix")
    assignments = [word for word in sys.argv[1:] if "=" in word]
    print(f"{method}: crop; process peak, on top of the start, seconds a batch (over the first's)")
    for size in sizes:
        first: tuple[float, ...] = ()
        for case in CASES:
            figures = measure(method, size, [*assignments, *case])
            first = first or figures
            peak, above, seconds = (now / then for now, then in zip(figures, first, strict=True))
            print(
                f"{size:5}  {' '.join(case) or 'plain':30}  {figures[0] / 1e6:6.0f} MB ({peak:.2f})"
                f"  {figures[1] / 1e6:6.0f} MB ({above:.2f})  {figures[2]:6.2f} s ({seconds:.2f})",
                flush=True,
            )
    return None


if __name__ == "__main__":
    main()
