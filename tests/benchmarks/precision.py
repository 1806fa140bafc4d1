"""How much faster a training step is in bfloat16 than in float32 on this machine.

    python tests/benchmarks/precision.py [CONFIG] [KEY=VALUE ...]

Both are timed in turn in one process, on random images at the crop size of the configuration (by
default `demo.yaml`). Prints the median step of each and the ratio.
"""

import sys
import time
from pathlib import Path
from statistics import median

import torch

from img2img.config import load_config
from img2img.data.samples import Batch
from img2img.data.sizes import resolve_sizes
from img2img.runtime.devices import PrecisionName
from img2img.runtime.processes import ALONE
from img2img.training.build import build_method, on_device, resolve
from img2img.training.events import Observer
from img2img.training.step import Stepper

WARM_UP, ROUNDS = 3, 20


class Contestant:
    """A method in one precision, with its optimizers."""

    def __init__(self, file: Path, precision: PrecisionName, assignments: list[str]) -> None:
        fixed = {"device": "cpu", "precision": precision}
        config = load_config("pix2pix", file, fixed, assignments)
        load, crop = resolve_sizes(config.data, (256, 256))
        config = resolve(on_device(config), load, crop)
        torch.manual_seed(0)
        method = build_method(config, crop)
        self.stepper = Stepper(method, config, ALONE, Observer())
        A, B = torch.rand(2, config.data.batch_size, 3, *crop) * 2 - 1
        paths = [""] * config.data.batch_size
        self.batch = Batch(A, B, paths, paths)
        self.seconds: list[float] = []

    def step(self) -> None:
        began = time.perf_counter()
        self.stepper.make(len(self.seconds) + 1, [self.batch], 1.0)
        self.seconds.append(time.perf_counter() - began)

    def median(self) -> float:
        return median(self.seconds[WARM_UP:])


def main() -> None:
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "demo.yaml")
    exact, fast = (Contestant(file, precision, sys.argv[2:]) for precision in ("fp32", "bf16"))
    for _ in range(WARM_UP + ROUNDS):
        exact.step()
        fast.step()
    ratio = exact.median() / fast.median()
    print(f"{torch.get_num_threads()} threads, {ROUNDS} rounds")
    print(f"float32 {1000 * exact.median():.0f} ms, bfloat16 {1000 * fast.median():.0f} ms a step")
    print(f"ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
