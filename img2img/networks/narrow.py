"""A way round a fault in the bfloat16 convolutions of CPUs with AMX.

As of torch 2.14, a convolution with a stride whose output is one pixel wide and several high is
computed in part from memory that was never written: now and then garbage, or not a number. The
innermost maps of a U-Net are of that shape where a picture is narrow.
"""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn


def widen_narrow_maps(network: nn.Module) -> None:
    """Have convolutions with a stride compute at least two columns, and give the one wanted."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.stride[1] > 1:
            layer.forward = partial(_convolve, layer, layer.forward)  # type: ignore[method-assign]


def _convolve(layer: nn.Conv2d, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    vertical, horizontal = (int(pixels) for pixels in layer.padding)  # no text with a stride
    reach = layer.dilation[1] * (layer.kernel_size[1] - 1) + layer.stride[1]
    if x.shape[3] + 2 * horizontal > reach:
        return forward(x)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(x, (horizontal, horizontal, vertical, vertical), mode)
    wider = F.pad(padded, (0, layer.stride[1]))
    y = F.conv2d(wider, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups)
    return y[..., :1]
