"""Adaptive discriminator augmentation (ADA; Karras et al. 2020, arXiv 2006.06676)."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from img2img.diffaug import affine
from img2img.diffaug.base import AUGMENTATIONS, Augmentation, images_apart
from img2img.registry import Positive
from img2img.runtime.devices import at_least_float32

Share = Annotated[float, Field(ge=0, lt=1)]


@AUGMENTATIONS.register("ada")
class AdaptiveAugmentation(Augmentation):
    """Moves, rotates and recolours images, more if the critic overfits (ADA, Karras et al. 2020).

    The transforms are those of "pixel blitting", "general geometric" and "color" (appendix B). Each
    is applied independently with probability p. Because each is often not applied, the generator
    cannot match the augmented real images without matching the real images: the augmentations do
    not leak (section 2.2).

    p follows from how certain the critic is of real images: r = E[sign(D(real) - m)] (equation 1),
    where m is the middle between the mean logits of real and fake images. In the paper m is 0,
    which is right for objectives with symmetric logits. The middle works for all objectives,
    including least squares (1/2) and Wasserstein and relativistic ones (any value). Every
    `interval` updates, p changes by the share of `images` seen since then: up if r is above its
    target, down if it is below.

    Images are resampled bilinearly; the paper uses wavelet filters.

    Args:
        target: the target of r.
        images: number of real images over which p can rise from 0 to 1; the paper's 500,000 are for
            much longer training.
        interval: number of critic updates between two changes of p.
        most: the highest p; augmentations may leak above about 0.8 (section 2.2).
        color: whether colours are changed too, which needs RGB images; `levels`: only brightness
            and contrast, of all channels alike, however many.
    """

    p: Tensor
    signs: Tensor
    updates: Tensor
    judged: Tensor

    def __init__(
        self,
        *,
        target: Share = 0.6,
        images: Positive = 20_000,
        interval: Positive = 4,
        most: Share = 0.8,
        color: bool | Literal["levels"] = True,
    ) -> None:
        super().__init__()
        self.target = target
        self.images = images
        self.interval = interval
        self.most = most
        self.color = color
        if color is True:
            self.needs_rgb = "set its `color` to levels"
        self.register_buffer("p", torch.zeros(()))
        # Since the last change of p: the sum of the judged images' r, and counts.
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("judged", torch.zeros((), dtype=torch.int64))

    def forward(self, seen: Tensor) -> Tensor:
        # Autocast would round the products of matrices, places among them.
        with torch.autocast(seen.device.type, enabled=False):
            x = at_least_float32(seen)
            maps = geometry(len(x), x.shape[2], x.shape[3], self.p)
            x = affine.resample(x, maps.to(x.dtype))
            if not self.color:
                return x.to(seen.dtype)
            if self.color == "levels":
                added, factor = (
                    draw.to(x.dtype).view(-1, 1, 1, 1) for draw in levels(len(x), self.p)
                )
                return ((x + added) * factor).to(seen.dtype)
            brightness, matrix = (draw.to(x.dtype) for draw in colours(len(x), self.p))
            pixels = images_apart(x).flatten(3) + brightness.view(-1, 1, 1, 1)
            return (matrix[:, None] @ pixels).view_as(x).to(seen.dtype)

    @torch.no_grad()
    def observe(
        self, real_logits: Sequence[Tensor], fake_logits: Sequence[Tensor], images: int
    ) -> None:
        for real, fake in zip(real_logits, fake_logits, strict=True):
            middle = (real.mean() + fake.mean()) / 2
            self.signs += images * (real - middle).sign().mean() / len(real_logits)
        self.judged += images

    def tensors_to_reduce(self) -> list[Tensor]:
        return [self.signs]

    @torch.no_grad()
    def after_update(self) -> None:
        self.updates += 1
        # All on the device: reading a number would make it wait.
        due = self.updates >= self.interval
        move = (self.signs / self.judged - self.target).sign() * self.judged / self.images
        self.p.copy_(torch.where(due, (self.p + move).clamp(0, self.most), self.p))
        for since in (self.signs, self.updates, self.judged):
            since.mul_(~due)


def geometry(count: int, height: int, width: int, p: Tensor) -> Tensor:
    """Draw random geometric maps for `count` images, each transform with probability p.

    A map leads from the result back to the image, so the last transform is its last factor.
    Transforms are drawn instead of their inverses, which are equally likely.

    Returns:
        Maps as in `affine`, float32 [count, 3, 3].
    """

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, count, device=p.device)

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, count, device=p.device) - 1

    one = torch.ones(count, device=p.device)
    size = torch.tensor([[width], [height]], device=p.device)
    flip = 1 - 2 * _some(torch.randint(2, (count,), device=p.device), 0, p)
    quarters = torch.randint(4, (count,), device=p.device)
    if height != width:
        quarters = quarters // 2 * 2
    quarters = _some(quarters, 0, p)
    cosines = torch.tensor([1.0, 0.0, -1.0, 0.0], device=p.device)
    whole = _some((uniform(2) * size / 8).round(), 0, p)
    scale = torch.exp2(_some(0.2 * normal(), 0, p))
    # Two turns, of which at least one is made with probability p.
    either = 1 - (1 - p).sqrt()
    before, after = (_some(math.pi * uniform(), 0, either) for _ in range(2))
    stretch = torch.exp2(_some(0.2 * normal(), 0, p))
    part = _some(normal(2) * size / 8, 0, p)
    return (
        affine.scaling(flip * one, one)
        @ affine.turning(cosines[quarters], cosines[quarters - 1])
        @ affine.moving(*whole)
        @ affine.scaling(scale, scale)
        @ affine.turning(before.cos(), before.sin())
        @ affine.scaling(stretch, 1 / stretch)
        @ affine.turning(after.cos(), after.sin())
        @ affine.moving(*part)
    )


def levels(count: int, p: Tensor) -> tuple[Tensor, Tensor]:
    """Draw random brightness and contrast for `count` images, each with probability p.

    Returns:
        The value to add to every channel, and the one to multiply it by afterwards, float32
        [count].
    """
    brightness = _some(0.2 * torch.randn(count, device=p.device), 0, p)
    return brightness, torch.exp2(_some(0.5 * torch.randn(count, device=p.device), 0, p))


def colours(count: int, p: Tensor) -> tuple[Tensor, Tensor]:
    """Draw random colour changes for `count` images, each transform with probability p.

    Returns:
        The value to add to every channel, float32 [count], and the matrix by which to multiply the
        channels of a pixel afterwards, [count, 3, 3].
    """
    brightness, contrast = levels(count, p)
    flip = _some(torch.randint(2, (count,), device=p.device), 0, p)
    hue = _some(math.pi * (2 * torch.rand(count, device=p.device) - 1), 0, p)
    saturation = torch.exp2(_some(torch.randn(count, device=p.device), 0, p))

    # Luma is along (1, 1, 1): `luma` projects onto it, `turn` is the cross product with its unit.
    identity = torch.eye(3, device=p.device)
    luma = torch.full((3, 3), 1 / 3, device=p.device)
    turn = (identity.roll(1, 0) - identity.roll(1, 1)) / math.sqrt(3)
    contrast, flip, hue, saturation = (
        draw.view(-1, 1, 1) for draw in (contrast, flip, hue, saturation)
    )
    rotated = hue.cos() * identity + (1 - hue.cos()) * luma + hue.sin() * turn
    saturated = identity + (saturation - 1) * (identity - luma)
    return brightness, saturated @ rotated @ (identity - 2 * flip * luma) * contrast


def _some(drawn: Tensor, neutral: float, p: Tensor) -> Tensor:
    """The drawn values [..., N], each replaced by `neutral` with probability 1 - p."""
    return torch.where(torch.rand(drawn.shape[-1], device=p.device) < p, drawn, neutral)
