"""Minibatch standard deviation for discriminators (Karras et al. 2018, arXiv 1710.10196)."""

import torch
from torch import Tensor, nn

from img2img.runtime.devices import at_least_float32


class MinibatchStd(nn.Module):
    """Append how much the images of a group differ: [N, C, H, W] to [N, C + 1, H, W].

    The standard deviation over the group is computed for each channel and position, and averaged to
    a single number, which fills a map (section 3). It reveals a generator whose images are all
    alike. It says nothing about a single image.

    Args:
        group: number of images in a group, neighbours in the batch. If it does not divide the
            batch, groups are larger; a smaller batch is one group.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        groups = at_least_float32(x).tensor_split(max(1, len(x) // self.group))
        maps = [_spread(group).expand(len(group), 1, *x.shape[2:]) for group in groups]
        return torch.cat([x, torch.cat(maps).to(x.dtype)], 1)


def _spread(group: Tensor) -> Tensor:
    # The root has no slope at 0.
    return (group.var(0, correction=0) + 1e-8).sqrt().mean()
