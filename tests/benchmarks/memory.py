"""What recomputing activations saves in memory and costs in time.

    python tests/benchmarks/memory.py [METHOD] [KEY=VALUE ...]

For crops of several sizes, each in a process of its own because peaks cannot be reset: the most
memory that two training steps took beyond what was taken before them, and the time of the second
step, without and with `activation_checkpointing`. By default of the published recipe of `pix2pix`.
"""

import json
import subprocess
import sys
import time

import torch
from torch.utils.checkpoint import checkpoint

from img2img.config import load_config
from img2img.data.samples import Batch
from img2img.runtime.devices import peak_memory, resolve_precision
from img2img.training.build import build_method, resolve
from img2img.training.precision import Arithmetic

SIZES = (256, 512, 1024)


def child(method_name: str, size: int, assignments: list[str]) -> None:
    device = torch.device("cpu")
    config = load_config(method_name, None, {"device": "cpu", "data.crop_size": size}, assignments)
    crop = (size, size)
    config = resolve(config, crop, crop)
    method = build_method(config, crop)
    arithmetic = Arithmetic(method, resolve_precision(config.precision, device), device)
    images = torch.rand(2, config.data.batch_size, 3, *crop) * 2 - 1
    batch = Batch(images[0], images[1], [""] * len(images[0]), [""] * len(images[0]))
    # Its first use imports a hundred megabytes of torch.
    checkpoint(torch.nn.Identity(), torch.zeros(1, requires_grad=True), use_reentrant=False)
    before = peak_memory(device) or 0
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        for phase in arithmetic.method.phases(batch):
            arithmetic.backward(phase)
        seconds = time.perf_counter() - began
    print(json.dumps([(peak_memory(device) or 0) - before, seconds]))


def measure(method: str, size: int, assignments: list[str]) -> tuple[float, float]:
    line = [sys.executable, __file__, "--child", method, str(size), *assignments]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    peak, seconds = json.loads(done.stdout)
    return peak, seconds


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
    method = next((word for word in sys.argv[1:] if "=" not in word), "pix2pix")
    assignments = [word for word in sys.argv[1:] if "=" in word]
    print(f"{method}: crop, memory without and with checkpointing, their ratio, time's ratio")
    for size in SIZES:
        plain, plain_seconds = measure(method, size, assignments)
        saved, saved_seconds = measure(
            method, size, [*assignments, "activation_checkpointing=true"]
        )
        print(
            f"{size:5}  {plain / 1e6:6.0f} MB  {saved / 1e6:6.0f} MB"
            f"  {saved / plain:.2f}  {saved_seconds / plain_seconds:.2f}"
        )
    return None


if __name__ == "__main__":
    main()
