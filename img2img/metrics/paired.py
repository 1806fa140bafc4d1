"""Measures against a known target."""

from torch import Tensor


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of pixels in [0, 1], float32 [N], from NCHW in [-1, 1]."""
    return (output.float() - target.float()).abs().flatten(1).mean(1) / 2
