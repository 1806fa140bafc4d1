"""Convolutions as matrix products."""

import copy

import pytest
import torch
from torch import Tensor, nn

from img2img.networks import products
from img2img.networks.products import use_products

LAYERS: list[tuple[nn.Conv2d | nn.ConvTranspose2d, tuple[int, int]]] = [
    (nn.Conv2d(3, 5, 4, 2, 1), (8, 6)),
    (nn.Conv2d(3, 5, 4, 2, 1, bias=False), (2, 2)),
    (nn.Conv2d(3, 5, 4, 1, 1), (5, 4)),
    (nn.Conv2d(3, 5, 3), (4, 5)),
    (nn.ConvTranspose2d(3, 5, 4, 2, 1), (4, 3)),
    (nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=False), (1, 1)),
    (nn.ConvTranspose2d(3, 5, 3, 2, 1, output_padding=1), (3, 2)),
]


@pytest.mark.parametrize(("layer", "size"), LAYERS)
@pytest.mark.parametrize("most", [64, 0])
def test_as_convolutions(
    monkeypatch: pytest.MonkeyPatch,
    layer: nn.Conv2d | nn.ConvTranspose2d,
    size: tuple[int, int],
    most: int,
) -> None:
    monkeypatch.setattr(products, "MAX_PIXELS", most)
    results: list[list[Tensor | None]] = []
    for twin in (copy.deepcopy(layer).double(), copy.deepcopy(layer).double()):
        twin.to(memory_format=torch.channels_last)
        if results:
            use_products(twin)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2, 3, *size, dtype=torch.float64, generator=generator)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        y = twin(x)
        assert y.is_contiguous(memory_format=torch.channels_last)
        slope = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape)
        torch.autograd.backward(y, slope)
        results.append([y.detach(), x.grad, *[weight.grad for weight in twin.parameters()]])
        assert all(weight.grad.stride() == weight.stride() for weight in twin.parameters())  # type: ignore[union-attr]
    torch.testing.assert_close(results[1], results[0])


def test_others_stay_convolutions() -> None:
    others = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, (3, 1)),
    )
    use_products(others)
    assert not any("forward" in vars(layer) for layer in others)
