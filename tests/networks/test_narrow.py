"""Convolutions whose output is one pixel wide."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.networks.narrow import widen_narrow_maps


def leave_garbage() -> None:
    """Have what is allocated next hold what is no number."""
    for size in (100, 1_000, 10_000, 100_000):
        kept = [torch.full((size,), float("nan")) for _ in range(8)]
        del kept


CONVOLUTIONS = [
    {"kernel_size": 4, "stride": 2, "padding": 1},
    {"kernel_size": 4, "stride": 2, "padding": 1, "padding_mode": "reflect"},
    {"kernel_size": 4, "stride": 2, "padding": 1, "padding_mode": "replicate", "bias": False},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": (1, 3), "padding": (1, 1)},
    {"kernel_size": 3, "stride": 2, "padding": 1, "groups": 4},
]


def convolve(layer: nn.Module, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    x = torch.rand(2, 8, *size, generator=torch.Generator().manual_seed(0)).to(dtype)
    leave_garbage()
    y: Tensor = layer.to(dtype)(x.contiguous(memory_format=torch.channels_last))
    return y.detach()


@pytest.mark.parametrize("arguments", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("size", [(10, 2), (10, 3), (6, 4), (6, 5), (5, 8), (2, 2), (3, 10)])
def test_it_computes_the_same(arguments: dict[str, Any], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, **arguments)
    wide = copy.deepcopy(nn.Sequential(layer))
    widen_narrow_maps(wide)
    expected = convolve(layer, size, torch.float64)
    got = convolve(copy.deepcopy(wide), size, torch.float64)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 1e-12
    # On a CPU with the fault, what it computes without is garbage most of the times.
    for _ in range(5):
        low = convolve(copy.deepcopy(wide), size, torch.bfloat16)
        assert (low - expected).abs().max() < 0.05
