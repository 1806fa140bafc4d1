"""DiffAugment: colour, translation and cutout (Zhao et al. 2020, arXiv 2006.10738, section 3)."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from img2img.diffaug.base import AUGMENTATIONS, Augmentation, images_apart

Change = Literal["color", "levels", "translation", "cutout"]

# Shares of height and width.
MOST_SHIFT = 1 / 8
CUT_OUT = 1 / 2


@AUGMENTATIONS.register("diffaugment")
class DiffAugment(Augmentation):
    """Colour, translation and cutout of every image (DiffAugment, Zhao et al. 2020).

    Args:
        policy: the changes, in this order. `color`: brightness up or down by up to 0.5, saturation
            times 0 to 2, contrast times 0.5 to 1.5, of RGB images; `levels`: the same brightness
            and contrast of all channels, however many; `translation`: by up to 1/8 of the size;
            `cutout`: a rectangle of half the size. Pixels that are moved in or cut out are 0,
            mid-grey.
    """

    def __init__(
        self,
        *,
        policy: Annotated[tuple[Change, ...], Field(min_length=1)] = (
            "color",
            "translation",
            "cutout",
        ),
    ) -> None:
        super().__init__()
        self.policy = policy
        if "color" in policy:
            self.needs_rgb = "in its `policy`, take `levels` instead of `color`"

    def forward(self, seen: Tensor) -> Tensor:
        changed = seen
        for name in self.policy:
            changed = CHANGES[name](changed)
        return changed.to(seen.dtype)


def color(seen: Tensor) -> Tensor:
    """Change brightness, saturation and contrast, in this order."""
    x = images_apart(seen)
    x = x + _uniform(x, -0.5, 0.5)
    grey = x.mean(2, keepdim=True)
    x = grey + _uniform(x, 0, 2) * (x - grey)
    middle = x.mean((2, 3, 4), keepdim=True)
    x = middle + _uniform(x, 0.5, 1.5) * (x - middle)
    return x.flatten(1, 2)


def levels(seen: Tensor) -> Tensor:
    """Change brightness and contrast of all channels, in this order."""
    x = seen + _uniform(seen[:, None], -0.5, 0.5)[:, 0]
    middle = x.mean((2, 3), keepdim=True)
    return middle + _uniform(x[:, None], 0.5, 1.5)[:, 0] * (x - middle)


def translation(seen: Tensor) -> Tensor:
    """Move each image by whole pixels; the new pixels are 0."""
    for dim in (2, 3):
        size = seen.shape[dim]
        most = int(size * MOST_SHIFT + 0.5)
        by = torch.randint(-most, most + 1, (len(seen), 1), device=seen.device)
        source = torch.arange(size, device=seen.device) - by
        there = (source >= 0) & (source < size)
        form = (len(seen), 1, *(size if d == dim else 1 for d in (2, 3)))
        index = source.clamp(0, size - 1).view(form).expand_as(seen)
        seen = seen.gather(dim, index) * there.view(form)
    return seen


def cutout(seen: Tensor) -> Tensor:
    """Set a rectangle to 0; its centre can be anywhere in the image."""
    inside = []
    for size in seen.shape[2:]:
        side = int(size * CUT_OUT + 0.5)
        # One more place for an even side: its centre is between pixels.
        centre = torch.randint(size + 1 - side % 2, (len(seen), 1), device=seen.device)
        place = torch.arange(size, device=seen.device) - (centre - side // 2)
        inside.append((place >= 0) & (place < side))
    rows, columns = inside
    return seen * ~(rows[:, None, :, None] & columns[:, None, None, :])


CHANGES = {"color": color, "levels": levels, "translation": translation, "cutout": cutout}


def _uniform(like: Tensor, low: float, high: float) -> Tensor:
    """A random number for each image of `like` [N, k, 3, H, W], as [N, 1, 1, 1, 1]."""
    return low + (high - low) * torch.rand(len(like), 1, 1, 1, 1, device=like.device)
