"""L1 against a known target."""

import pytest
import torch

from img2img.metrics.paired import l1


def test_by_hand() -> None:
    """[-1, 1] is twice as wide as [0, 1]: black against white is 1."""
    output = torch.tensor([[-1.0, -1.0], [0.0, 1.0]]).reshape(2, 1, 1, 2)
    target = torch.tensor([[1.0, 1.0], [0.5, 1.0]]).reshape(2, 1, 1, 2)
    assert l1(output, target).tolist() == [1.0, 0.125]


def test_is_float32() -> None:
    low = torch.full((1, 3, 64, 64), 0.1, dtype=torch.bfloat16)
    distance = l1(low, torch.zeros(1, 3, 64, 64))
    assert distance.dtype == torch.float32
    assert distance.item() == pytest.approx(0.05, rel=1e-2)
