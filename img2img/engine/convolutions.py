"""Convolutions with fewer multiplications: NNPACK's, where this machine runs them faster.

NNPACK computes 3x3 convolutions by Winograd's minimal filtering (Lavin & Gray 2016, arXiv
1509.09308) and larger kernels by Fourier transforms. It rounds a little more than direct sums: on a
whole generator by some 1e-5 of the range of its output.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from img2img.engine.choices import faster
from img2img.networks import Generator

# Kernels with a side in this range.
_SMALLEST, _LARGEST = 3, 16
# Maps of fewer pixels have few tiles, and normalisation enlarges their rounding; layers of fewer
# weights have little to gain.
_LEAST_PIXELS, _LEAST_WEIGHTS = 1024, 4096
# Multiplications of a direct convolution below which timing is not worth it.
_LEAST_WORK = 10**8
# Bytes of transformed maps that a thread holds at most: a few rows of a large map at a time.
_MOST_TRANSFORMED = 2**25
# Largest part of a result by which the two ways may differ.
_ROUNDING = 1e-3
# Pixels of the largest map that is timed: larger ones behave like it.
_LARGEST_TIMED = 2**16


@cache
def nnpack_is_here() -> bool:
    """Whether this build of torch has NNPACK, and it works on this processor."""
    there = hasattr(torch, "_nnpack_spatial_convolution")
    if not (there and torch.backends.nnpack.is_available()):  # type: ignore[no-untyped-call]
        return False
    threads = torch.get_num_threads()
    # NNPACK keeps the number of threads of its first call. With one, calls from several threads run
    # side by side; with more, they would wait for each other.
    torch.set_num_threads(1)
    try:
        x, weight = torch.ones(1, 1, 8, 8), torch.ones(1, 1, 3, 3)
        y = torch._nnpack_spatial_convolution(x, weight, None, 0)
        return torch.allclose(y, F.conv2d(x, weight), atol=_ROUNDING)
    except RuntimeError:
        return False
    finally:
        torch.set_num_threads(threads)


def gains(network: Generator) -> bool:
    """Whether a network has convolutions that could become faster."""
    return any(_weights(layer) >= _LEAST_WEIGHTS for layer in _suited(network))


def use_nnpack(network: nn.Module) -> None:
    """Have convolutions of a network in float32 on a CPU computed in the faster of the two ways.

    Layers of each size are timed when they first run; the result is remembered.
    """
    for layer in _suited(network):
        layer.forward = partial(_convolve, layer)  # type: ignore[method-assign]


def nnpack_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]
) -> Tensor:
    """What `F.conv2d` computes with stride 1, in as many threads as torch uses.

    Args:
        x: [N, C, H, W], float32 on the CPU.
    """
    return torch.cat([_of_one(image, weight, bias, padding) for image in x.chunk(len(x))])


def _of_one(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    threads = torch.get_num_threads()
    (out, channels, kernel, _), (_, _, height, width) = weight.shape, x.shape
    # Transforms hold more numbers than the maps, by the overlap of their tiles.
    tile = 6 if kernel == 3 else 17 - kernel
    overlap = ((tile + kernel - 1) / tile) ** 2
    a_row = 4 * overlap * (channels + out) * (width + 2 * padding[1])
    height += 2 * padding[0] - kernel + 1
    parts = max(threads, int(height * a_row / _MOST_TRANSFORMED) + 1)
    rows = -(-height // (parts * tile)) * tile
    if rows >= height:
        return torch._nnpack_spatial_convolution(x, weight, bias, padding)
    x = F.pad(x, (padding[1], padding[1], padding[0], padding[0])) if any(padding) else x
    strips = [x[:, :, start : start + rows + kernel - 1] for start in range(0, height, rows)]
    convolve = partial(_strip, weight, bias)
    results = (map if threads == 1 else _pool(threads, os.getpid()).map)(convolve, strips)
    y = x.new_empty(1, out, height, x.shape[3] - kernel + 1)
    for result, part in zip(results, torch.split(y, rows, 2), strict=True):
        part.copy_(result)
    return y


@torch.no_grad()  # threads have modes of their own
def _strip(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return torch._nnpack_spatial_convolution(x, weight, bias, 0)


@cache
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Threads that stay, and with them NNPACK's memory; a forked process has none of them."""
    return ThreadPoolExecutor(threads, thread_name_prefix="nnpack")


def _suited(network: nn.Module) -> Iterator[nn.Conv2d]:
    """The layers that NNPACK can compute."""
    for layer in network.modules():
        # By its exact class: the weights of a subclass may be computed.
        if (
            type(layer) is nn.Conv2d
            and (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
            and layer.kernel_size[0] == layer.kernel_size[1]
            and _SMALLEST <= layer.kernel_size[0] <= _LARGEST
            and not isinstance(layer.padding, str)
        ):
            yield layer


def _weights(layer: nn.Conv2d) -> int:
    return layer.weight.numel()


def _convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return nn.Conv2d.forward(layer, x)
    x = x.contiguous()
    height, width = x.shape[2:]
    if height * width < _LEAST_PIXELS or height * width * _weights(layer) < _LEAST_WORK:
        return nn.Conv2d.forward(layer, x)
    size = _size(min(height * width, _LARGEST_TIMED))
    out, channels, kernel, _ = layer.weight.shape
    shape = f"{channels} to {out}, {kernel}x{kernel}, {size}x{size}"
    chosen = faster(shape, lambda: _ways(layer, torch.rand(1, channels, size, size)))
    return _by_nnpack(layer, x) if chosen == "nnpack" else nn.Conv2d.forward(layer, x)


def _size(pixels: int) -> int:
    """Side of the square map by which a map of so many pixels is timed: one of a few."""
    return round(2 ** (round(log2(pixels)) / 2))


def _ways(layer: nn.Conv2d, x: Tensor) -> dict[str, Callable[[], object]]:
    """The ways to compute a layer that give the same on `x`."""
    direct = partial(nn.Conv2d.forward, layer, x)
    by_nnpack = partial(_by_nnpack, layer, x)
    y = direct()
    same = (y - by_nnpack()).abs().max() <= _ROUNDING * y.abs().max()
    return {"direct": direct, "nnpack": by_nnpack} if same else {"direct": direct}


def _by_nnpack(layer: nn.Conv2d, x: Tensor) -> Tensor:
    vertical, horizontal = (int(pixels) for pixels in layer.padding)
    if layer.padding_mode != "zeros":
        x = F.pad(x, (horizontal, horizontal, vertical, vertical), layer.padding_mode)
        vertical = horizontal = 0
    return nnpack_convolution(x, layer.weight, layer.bias, (vertical, horizontal))
