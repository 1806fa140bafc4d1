"""Progressive resolution: training starts on small images (after Karras et al. 2018).

The paper (arXiv 1710.10196, section 2) adds layers as images grow. Here the networks are complete
from the start and only the batches grow; loaders, held-out measures and the model do not change.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from img2img.config import GrowConfig
from img2img.data.samples import Batch
from img2img.data.sizes import HeightWidth
from img2img.errors import ConfigError, counted


def smallest_size(crop_size: HeightWidth, grow: GrowConfig) -> HeightWidth:
    """The (height, width) of the first crops.

    Raises:
        ConfigError: the crop size cannot be halved that often.
    """
    height, width = crop_size
    factor = 2**grow.halvings
    if height % factor or width % factor:
        raise ConfigError(
            f"data.grow.halvings: crops of {height} x {width} (height x width) cannot be halved"
            f" {counted(grow.halvings, 'time')}; lower it, or make data.crop_size a multiple of"
            f" {factor}"
        )
    return height // factor, width // factor


def halvings_at(done: float, grow: GrowConfig) -> int:
    """How often crops are halved when the share `done` of the run is over."""
    if done >= grow.until:
        return 0
    return grow.halvings - int(done / grow.until * grow.halvings)


def reduced(batch: Batch, halvings: int) -> Batch:
    """The batch with height and width halved `halvings` times.

    Each pixel is the mean of those it replaces, and valid if all of them are.
    """
    if not halvings:
        return batch
    factor = 2**halvings

    def valid(mask: Tensor | None) -> Tensor | None:
        return None if mask is None else -F.max_pool2d(-mask, factor)

    return replace(
        batch,
        A=F.avg_pool2d(batch.A, factor),
        B=F.avg_pool2d(batch.B, factor),
        valid_A=valid(batch.valid_A),
        valid_B=valid(batch.valid_B),
    )


def mean_seconds(step_seconds: Mapping[int, float], grow: GrowConfig) -> float:
    """Mean seconds per step over the whole run.

    Args:
        step_seconds: seconds per step, by how often crops are halved.
    """
    each = grow.until / max(grow.halvings, 1)
    growing = sum(each * step_seconds[halvings] for halvings in range(1, grow.halvings + 1))
    return growing + (1 - each * grow.halvings) * step_seconds[0]
