"""Tiny trainings on pictures that can be learned: blocks, and the same in other colours."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from img2img.config import load_config
from img2img.doctor import Course, examine
from img2img.training.events import Observer
from img2img.training.observers import read_metrics
from img2img.training.run import train

SIDE = 32


def make_pairs(folder: Path, count: int = 24, seed: int = 0) -> Path:
    """`train/A` and so on: A shows blocks on a ground; B the same, with red and blue exchanged."""
    random = np.random.default_rng(seed)
    for number in range(count + 8):
        split = "train" if number < count else "test"
        A = np.empty((SIDE, SIDE, 3), np.uint8)
        A[:] = random.integers(40, 216, 3)
        for _ in range(3):
            top, left = random.integers(0, SIDE - 8, 2)
            height, width = random.integers(8, 20, 2)
            A[top : top + height, left : left + width] = random.integers(20, 236, 3)
        for domain, pixels in (("A", A), ("B", A[..., ::-1])):
            path = folder / split / domain / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder


BASE = {
    "device": "cpu",
    "precision": "fp32",
    "data.load_size": SIDE,
    "data.crop_size": SIDE,
    "data.cache": "memory",
    "data.workers": 0,
    "data.batch_size": 4,
    "generator.name": "unet",
    "generator.ngf": 6,
    "generator.num_downs": 3,
    "generator.norm": "instance",
    "discriminator.ndf": 8,
    "discriminator.n_layers": 2,
    "discriminator.norm": "instance",
    "metrics.log_every": 5,
    "metrics.every": 0,
    "metrics.tensorboard": False,
    "samples.every": 0,
    "checkpoint.every": 0,
    "doctor.every": 20,
}


def trained(
    folder: Path, method: str, data: Path, *observers: Observer, **settings: Any
) -> list[str]:
    """Train, and name what is found afterwards. In keywords, `__` stands for a dot."""
    flags = {**BASE, "data.root": data} | {k.replace("__", "."): v for k, v in settings.items()}
    config = load_config(method, None, flags)
    train(config, folder, observers=observers)
    return [f.name for f in examine(Course(read_metrics(folder / "metrics.jsonl")), config)]
