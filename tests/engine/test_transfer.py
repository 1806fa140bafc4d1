"""Pixels to floats on a device, and back."""

import numpy as np
import pytest
import torch

from img2img.engine.transfer import Transfer
from img2img.images import Pixels

CPU = torch.device("cpu")
GPU = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    ],
)


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_comes_back(device: str, dtype: type) -> None:
    top = np.iinfo(dtype).max
    levels: Pixels = np.arange(top + 1, dtype=dtype)
    pixels = np.stack([levels, levels[::-1], levels], axis=1).reshape(16, -1, 3)
    transfer = Transfer(torch.device(device))
    x = transfer.send([pixels, pixels[::-1]])
    assert x.shape == (2, 3, *pixels.shape[:2])
    assert (x.dtype, x.device.type) == (torch.float32, device)
    assert (x.min().item(), x.max().item()) == (-1, 1)
    one, two = transfer.fetch(x, dtype)()
    assert one.dtype == dtype
    assert np.array_equal(one, pixels)
    assert np.array_equal(two, pixels[::-1])


def test_to_the_nearest_or_down() -> None:
    """0.7 of a level above 100, and beyond both ends."""
    y = torch.tensor([100.7 / 127.5 - 1, 1.5, -1.5]).view(1, 3, 1, 1)
    assert Transfer(CPU).fetch(y, np.uint8)()[0].tolist() == [[[101, 255, 0]]]
    assert Transfer(CPU, truncate=True).fetch(y, np.uint8)()[0].tolist() == [[[100, 255, 0]]]


def test_a_result_does_not_keep_its_batch() -> None:
    results = Transfer(CPU).fetch(torch.zeros(4, 3, 8, 8), np.uint8)()
    assert all(result.base is None for result in results)
