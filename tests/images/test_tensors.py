"""Pixels <-> tensors."""

import numpy as np
import pytest
import torch

from img2img.images import to_pixels, to_tensor

RGB = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)


class TestTensors:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_every_value_survives(self, dtype: type[np.uint8 | np.uint16]) -> None:
        top = np.iinfo(dtype).max
        values = np.resize(np.arange(top + 1), (256, -(-(top + 1) // 256), 3)).astype(dtype)
        tensor = to_tensor(values)
        assert tensor.dtype == torch.float32
        assert tensor.shape == (3, *values.shape[:2])
        assert (tensor.min().item(), tensor.max().item()) == (-1, 1)
        np.testing.assert_array_equal(to_pixels(tensor, dtype), values)

    def test_channels_and_formula(self) -> None:
        tensor = to_tensor(RGB)
        assert tensor[2, 1, 4] == torch.tensor(RGB[1, 4, 2] / 127.5 - 1, dtype=torch.float32)

    def test_rounds_and_clamps(self) -> None:
        levels = torch.tensor([-2.0, -1 + 0.6 / 127.5, 0.0, 2.0]).reshape(1, 2, 2)
        assert to_pixels(levels).ravel().tolist() == [0, 1, 128, 255]
