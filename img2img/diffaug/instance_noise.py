"""Instance noise (Sonderby et al. 2017, arXiv 1610.04490)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from img2img.diffaug.base import AUGMENTATIONS, Augmentation
from img2img.registry import NonNegative, Positive


@AUGMENTATIONS.register("instance_noise")
class InstanceNoise(Augmentation):
    """Gaussian noise that decays to zero (Sonderby et al. 2017; Arjovsky & Bottou 2017).

    Real and fake images lie on thin sets that hardly meet, so a critic can be perfect and yet teach
    the generator nothing; with noise the sets overlap. Every channel gets its own noise, including
    those of the condition, because the distributions of everything that the critic sees must
    overlap.

    Args:
        std: standard deviation at the start, on a scale on which black is -1 and white is 1.
        images: number of real images over which the noise falls linearly to 0.
    """

    judged: Tensor

    def __init__(self, *, std: NonNegative = 0.1, images: Positive = 50_000) -> None:
        super().__init__()
        self.std = std
        self.images = images
        self.register_buffer("judged", torch.zeros((), dtype=torch.int64))

    def forward(self, seen: Tensor) -> Tensor:
        left = (1 - self.judged / self.images).clamp(min=0)
        return seen + (self.std * left).to(seen.dtype) * torch.randn_like(seen)

    def observe(
        self, real_logits: Sequence[Tensor], fake_logits: Sequence[Tensor], images: int
    ) -> None:
        self.judged += images
