"""Small image folders, made where a test asks for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeImage = Callable[..., Path]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 (height, width, 3) in which no two places look alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    """Write a picture of noise at a path below tmp_path; `size` is (height, width)."""

    def make(name: str, size: tuple[int, int] = (8, 8), seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(*size, seed)).save(path)
        return path

    return make


@pytest.fixture
def pairs_folder(tmp_path: Path, make_image: MakeImage) -> Path:
    """`A/` + `B/` with six pairs of 48 x 40 (height x width) images; B is the same image as A."""
    for number in range(6):
        for domain in "AB":
            make_image(f"pairs/{domain}/{number}.png", (48, 40), seed=number)
    return tmp_path / "pairs"
