"""What a training spends on anything but its steps: waiting for images, records, checkpoints.

    python tests/benchmarks/overhead.py [METHOD] [KEY=VALUE ...]

Trains for a few steps on JPEGs of 1280 x 720 that it makes, times each kind of event once it has
settled, and sets it in relation to the steps between two of its kind as the configuration has them.
By default the published recipe of `pix2pix`.
"""

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from img2img.cli.display import Display
from img2img.config import load_config
from img2img.doctor.condition import EVERY as EXAMINED_LINES
from img2img.training.best import EVERY as MEASURE_EVERY
from img2img.training.health_probe import HealthProbe, steps_between
from img2img.training.live_doctor import LiveDoctor
from img2img.training.loop import Trainer
from img2img.training.review import Review
from img2img.training.run import train

IMAGES, STEPS, WARM_UP = 24, 40, 10


def make_images(folder: Path) -> None:
    """Smooth pictures with some noise, which compress as photographs do."""
    random = np.random.default_rng(0)
    for domain in "AB":
        (folder / domain).mkdir(parents=True)
        for number in range(IMAGES):
            small = Image.fromarray(random.integers(0, 256, (45, 80, 3), dtype=np.uint8))
            large = np.asarray(small.resize((1280, 720), Image.Resampling.BICUBIC), np.int16)
            noisy = (large + random.integers(-9, 10, large.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / domain / f"{number}.jpg", quality=90)


def timed(seconds: dict[str, list[float]], name: str, owner: type = Trainer) -> None:
    """Have a method of the trainer, or of another class, keep its times."""
    plain: Callable[..., Any] = getattr(owner, name)

    def measured(self: Any, *arguments: Any) -> Any:
        began = time.perf_counter()
        result = plain(self, *arguments)
        seconds[name].append(time.perf_counter() - began)
        return result

    setattr(owner, name, measured)


def main() -> None:
    method = next((word for word in sys.argv[1:] if "=" not in word), "pix2pix")
    assignments = [word for word in sys.argv[1:] if "=" in word]
    seconds: dict[str, list[float]] = defaultdict(list)
    for name in ("_take", "_train_on", "_report", "_log", "_measure", "_save"):
        timed(seconds, name)
    timed(seconds, "sample", Review)
    timed(seconds, "diagnostics", HealthProbe)
    timed(seconds, "_examine", LiveDoctor)
    with tempfile.TemporaryDirectory() as name:
        make_images(Path(name) / "data")
        flags = {"data.root": Path(name) / "data", "schedule.steps": STEPS, "device": "cpu"}
        config = load_config(method, None, flags, assignments)
        images = config.data.batch_size * config.optimizer.accumulate
        every = {
            "_log": config.metrics.log_every,
            "_measure": MEASURE_EVERY,
            "sample": config.samples.every,
            "_save": config.checkpoint.every,
            "diagnostics": steps_between(images, "cpu"),
            "_examine": EXAMINED_LINES * config.metrics.log_every,
        }
        events = {"metrics.log_every=5", "metrics.every=20", "samples.every=20"}
        events |= {"checkpoint.every=20", "doctor.every=20"}
        config = load_config(method, None, flags, [*assignments, *events])
        console = Console(force_terminal=True, file=(Path(name) / "display").open("w"))
        train(config, Path(name) / "run", observers=[Display(console)])
    step = median(seconds["_train_on"][WARM_UP:])
    waiting = sum(seconds["_take"][WARM_UP:]) / (STEPS - WARM_UP)
    print(f"{method}: {1000 * step:.0f} ms a step")
    print(f"waiting for images: {100 * waiting / (step + waiting):.2f} %")
    total = 0.0
    for name, steps in every.items():
        share = median(seconds[name]) / (steps * step)
        total += share
        taken = 1000 * median(seconds[name])
        print(f"{name.strip('_'):8} {taken:6.0f} ms every {steps}: {share:.2%}")
    print(f"together {total:.2%}")


if __name__ == "__main__":
    main()
