"""Tiny trainings on pictures that can be learned: blocks, and the same in other colours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from img2img.config import load_config
from img2img.training.events import Observer
from img2img.training.run import train

SIDE = 32
TINY: Mapping[str, Any] = {
    "device": "cpu",
    "precision": "fp32",
    "data.load_size": SIDE,
    "data.crop_size": SIDE,
    "data.cache": "memory",
    "data.workers": 0,
    "data.batch_size": 2,
    "generator.name": "unet",
    "generator.ngf": 6,
    "generator.num_downs": 3,
    "generator.norm": "instance",
    "discriminator.name": "patch",
    "discriminator.ndf": 8,
    "discriminator.n_layers": 1,
    "discriminator.norm": "instance",
    "schedule.steps": 60,
    "schedule.decay_epochs": 0,
    "metrics.log_every": 2,
    "metrics.every": 0,
    "metrics.tensorboard": False,
    "samples.every": 0,
    "checkpoint.every": 0,
    "doctor.every": 12,
}


def make_pairs(folder: Path, count: int) -> Path:
    """`train` and `test`: A shows blocks on a ground, B the same with red and blue exchanged."""
    random = np.random.default_rng(count)
    for number in range(count + 8):
        A = np.empty((SIDE, SIDE, 3), np.uint8)
        A[:] = random.integers(40, 216, 3)
        for _ in range(3):
            top, left = random.integers(0, SIDE - 8, 2)
            height, width = random.integers(8, 20, 2)
            A[top : top + height, left : left + width] = random.integers(20, 236, 3)
        for domain, pixels in (("A", A), ("B", A[..., ::-1])):
            split = "train" if number < count else "test"
            path = folder / split / domain / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder


class Heard(Observer):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def noticed(self, message: str) -> None:
        self.notices.append(message)


def run_tiny(method: str, data: Path, output: Path, settings: Mapping[str, Any]) -> list[str]:
    """Train, and give what was said. A run may end by a number that is not finite."""
    heard = Heard()
    config = load_config(method, None, {**TINY, "data.root": data, **settings})
    train(config, output, observers=[heard])
    return heard.notices
