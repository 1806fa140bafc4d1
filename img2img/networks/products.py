"""Convolutions of small maps as matrix products.

Where a map has fewer pixels than a convolution has channels, nearly all of the time goes into
reading its weights. A product reads them as they lie in memory; torch's convolutions on a CPU
first bring them into a layout of their own, each time, forward and backward: the inner half of a
U-Net takes three times as long.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Pixels of a batch up to which products are faster, measured with 512 channels.
MAX_PIXELS = 64


def use_products(network: nn.Module) -> None:
    """Have the convolutions of `network` compute small maps as products.

    For training on a CPU, with weights in channels_last.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and _is_plain(layer):
            layer.forward = partial(_convolve, layer)  # type: ignore[method-assign]
        elif isinstance(layer, nn.ConvTranspose2d) and _is_plain(layer):
            layer.forward = partial(_convolve_transposed, layer)  # type: ignore[method-assign]


def _is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    square = all(
        isinstance(pair, tuple) and pair[0] == pair[1]
        for pair in (layer.kernel_size, layer.stride, layer.padding)
    )
    whole = layer.groups == 1 and layer.dilation == (1, 1)
    return square and whole and layer.padding_mode == "zeros"


def _convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    kernel, stride, padding = _geometry(layer)
    if len(x) * x.shape[2] * x.shape[3] > MAX_PIXELS * stride**2:
        return type(layer).forward(layer, x)
    patches = F.pad(x, (padding,) * 4).unfold(2, kernel, stride).unfold(3, kernel, stride)
    n, _, height, width = patches.shape[:4]
    rows = patches.permute(0, 2, 3, 4, 5, 1).reshape(n * height * width, -1)
    y = F.linear(rows, _as_it_lies(layer.weight), layer.bias)
    return y.view(n, height, width, -1).permute(0, 3, 1, 2)


def _convolve_transposed(layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    n, _, *size = x.shape
    if n * math.prod(size) > MAX_PIXELS:
        return type(layer).forward(layer, x)
    kernel, stride, padding = _geometry(layer)
    rows = x.permute(0, 2, 3, 1).flatten(0, 2) @ _as_it_lies(layer.weight)
    patches = rows.view(n, math.prod(size), kernel**2, -1).permute(0, 3, 2, 1).flatten(1, 2)
    height, width = (
        (pixels - 1) * stride - 2 * padding + kernel + more
        for pixels, more in zip(size, layer.output_padding, strict=True)
    )
    y = F.fold(patches, (height, width), kernel, 1, padding, stride)
    y = y.contiguous(memory_format=torch.channels_last)
    return y if layer.bias is None else y + layer.bias[:, None, None]


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, int]:
    """Kernel, stride and padding, which are the same in height and width."""
    return layer.kernel_size[0], layer.stride[0], int(layer.padding[0])


def _as_it_lies(weight: Tensor) -> Tensor:
    """[a, b, h, w] as the matrix [a, h * w * b], which for channels_last is a view."""
    return weight.permute(0, 2, 3, 1).flatten(1)
