"""The copy of a generator that inference computes with."""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from img2img.networks import Generator
from img2img.networks.narrow import widen_narrow_maps
from img2img.networks.norms import NormLayer, RunningStatistics

Convolution = nn.Conv2d | nn.ConvTranspose2d


def inference_copy(generator: Generator, device: torch.device, dtype: torch.dtype) -> Generator:
    """A copy that computes the same in `dtype`, with less work and in the device's best layout.

    Normalisation by running averages is folded into the convolution before it. A bias in front of
    normalisation by an image's own statistics has no effect, and is left out. On CPUs and GPUs the
    weights, and with them the maps, are channels_last.

    Args:
        generator: set up for inference; it is not changed.
    """
    folded = copy.deepcopy(generator)
    for chain in folded.modules():
        if isinstance(chain, nn.Sequential):
            _fold(chain)
    folded.to(device, dtype)
    if device.type == "cpu":
        # They are few numbers, and normalisation computes at least in float32 anyway.
        for layer in folded.modules():
            if isinstance(layer, NormLayer):
                layer.to(torch.promote_types(dtype, torch.float32))
        if dtype == torch.bfloat16:
            widen_narrow_maps(folded)
    if device.type != "mps":
        folded.to(memory_format=torch.channels_last)
    return folded


def _fold(chain: nn.Sequential) -> None:
    """Simplify normalisation that directly follows a convolution."""
    for index, (module, norm) in enumerate(pairwise(list(chain))):
        # Upsampling followed by a convolution is a chain of its own.
        holder = module if isinstance(module, nn.Sequential) and len(module) else chain
        place = index if holder is chain else len(holder) - 1
        convolution = holder[place]
        if not isinstance(convolution, Convolution) or not isinstance(norm, NormLayer):
            continue
        if norm.running_mean is None or not isinstance(norm.source, RunningStatistics | None):
            convolution.bias = None
        elif isinstance(norm, nn.BatchNorm2d):
            transposed = isinstance(convolution, nn.ConvTranspose2d)
            holder[place] = fuse_conv_bn_eval(convolution, norm, transposed)
            chain[index + 1] = nn.Identity()
