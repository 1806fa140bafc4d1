"""The engine on CUDA, held against the CPU: `make test-gpu`."""

from typing import Any

import numpy as np
import pytest
import torch

from img2img import Picture
from img2img.networks import Generator
from tests.engine.conftest import translator

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def pictures(count: int, dtype: type = np.uint8) -> list[Picture]:
    random = np.random.default_rng(0)
    sizes = [(64, 64), (64, 64), (40, 90), (64, 64), (33, 17)]
    top = np.iinfo(dtype).max
    return [
        Picture(random.integers(0, top + 1, (*sizes[number % 5], 3), dtype=dtype))
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({"precision": "fp32"}, 1),
        ({"precision": "fp32", "batch": 1}, 1),
        ({"precision": "fp32", "tile": 32, "say": print}, 1),
        ({"precision": "fp16"}, 8),
        ({"precision": "auto"}, 8),
        ({"precision": "fp32", "backend": "compile"}, 1),
        ({"precision": "fp32", "device": ["cuda:0", "cuda:0"]}, 1),
    ],
    ids=str,
)
def test_it_gives_what_the_cpu_gives(
    tiny_generator: Generator, options: dict[str, Any], bound: int
) -> None:
    """In order, with many batches in flight."""
    given = pictures(60)
    if "tile" in options and not tiny_generator.local:
        pytest.skip("tiles of a U-Net approximate")
    wanted = translator(tiny_generator, device="cpu", precision="fp32").translate_batch(given)
    got = translator(tiny_generator, **{"device": "cuda", **options}).translate_batch(given)
    for one, other in zip(wanted, got, strict=True):
        assert np.abs(one.pixels.astype(int) - other.pixels).max() <= bound


def test_sixteen_bits(tiny_generator: Generator) -> None:
    given = pictures(5, np.uint16)
    wanted = translator(tiny_generator, device="cpu").translate_batch(given)
    got = translator(tiny_generator, device="cuda").translate_batch(given)
    for one, other in zip(wanted, got, strict=True):
        assert other.pixels.dtype == np.uint16
        assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 20
