"""Gradient penalties: on the gradient of a critic's logits with respect to the image.

A PatchGAN gives N logits per image. The squared norm of the gradient of their sum, divided by N,
stays the same if there are more patches that do not overlap, and is that of the papers for N = 1. A
weight therefore means the same for all critics. If there are several scales, each is penalised
separately.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from img2img.errors import ConfigError
from img2img.registry import NonNegative, Positive, Registry
from img2img.runtime.devices import at_least_float32

Judge = Callable[[Tensor], list[Tensor]]
"""A critic: from images [N, C, H, W] to logits, [N, 1, h, w] for each scale."""


class Regularizer(ABC):
    """A penalty on a critic, with its weight in the critic's loss.

    Attributes:
        at: the images at which it takes the gradient.

    Args:
        weight: gamma or lambda in the papers.
        every: with 16, add it only in every 16th update of the critic, with 16 times the weight
            (lazy regularization, Karras et al. 2020, appendix B).
    """

    at: ClassVar[Literal["real", "fake", "both"]] = "both"
    of_labels: ClassVar[bool] = False
    """Whether its logits are those of the classes of label maps; see `Discriminator.classes`."""

    def __init__(self, *, weight: NonNegative = 10.0, every: Positive = 1) -> None:
        self.weight = weight
        self.every = every

    def with_labels(self, labels: Tensor) -> "Regularizer":
        """The same for images with these label maps, one-hot [N, classes, H, W]."""
        return self

    @abstractmethod
    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        """The unweighted penalty, a scalar that can be differentiated with respect to the weights.

        Args:
            judge: the function that is differentiated with respect to the images it gets. It may
                include augmentation and a condition, which are not varied.
            real: [N, C, H, W] before augmentation; `fake` likewise. No gradient flows back to their
                source.

        Returns:
            float32, or float64 where the images are.
        """


REGULARIZERS = Registry[Regularizer]("regularizer")


def refuse_batch_norm(discriminator: nn.Module, name: str) -> None:
    """Refuse a discriminator with BatchNorm.

    With BatchNorm, every logit depends on all images of the batch, so the gradient is not that of a
    single image (Gulrajani et al. 2017, section 4). A BatchNorm with frozen weights belongs to a
    feature network, which uses its running averages. Minibatch standard deviation is accepted: it
    is usual together with penalties (Karras et al. 2020, arXiv 1912.04958).

    Args:
        name: the name of the regularizer.

    Raises:
        ConfigError: the discriminator has a BatchNorm that is trained.
    """
    for layer in discriminator.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.SyncBatchNorm) and any(
            weight.requires_grad for weight in layer.parameters()
        ):
            raise ConfigError(
                f"regularizers: {name} cannot be combined with BatchNorm, which makes the gradient"
                " of an image depend on the whole batch: set discriminator.norm to instance or"
                " none"
            )


@REGULARIZERS.register("r1")
class R1(Regularizer):
    """Zero-centred gradient penalty on real images (Mescheder et al. 2018, equation 9).

    Mean over the batch of |gradient of D|^2 / 2, as in the paper; `weight` is its gamma.
    """

    at = "real"

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return _squared_slopes(judge, real).mean() / 2


@REGULARIZERS.register("r2")
class R2(Regularizer):
    """Zero-centred gradient penalty on fake images (Mescheder et al. 2018, equation 10).

    Mean over the batch of |gradient of D|^2 / 2, as in the paper; `weight` is its gamma.
    """

    at = "fake"

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return _squared_slopes(judge, fake).mean() / 2


@REGULARIZERS.register("gp")
class GradientPenalty(Regularizer):
    """One-centred gradient penalty between real and fake (Gulrajani et al. 2017, equation 3).

    Mean over the batch of (|gradient of D| - 1)^2, at a point drawn uniformly from the line between
    the real and the fake image with the same index; `weight` is the paper's lambda.
    """

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = at_least_float32(real), at_least_float32(fake)
        share = torch.rand(len(real), 1, 1, 1, dtype=real.dtype, device=real.device)
        squares = _squared_slopes(judge, torch.lerp(fake, real, share))
        # The root has no finite slope at 0, where a critic has none either.
        slopes = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
        return (slopes - 1).square().mean()


def _squared_slopes(judge: Judge, images: Tensor) -> Tensor:
    """|gradient of the sum of an image's N logits by the image|^2 / N, [scales, images]."""
    with torch.autocast(images.device.type, enabled=False):
        images = at_least_float32(images.detach()).requires_grad_()
        squares = []
        for logits in judge(images):
            (slope,) = torch.autograd.grad(
                at_least_float32(logits).sum(), images, create_graph=True
            )
            squares.append(slope.square().flatten(1).sum(1) / logits[0].numel())
    return torch.stack(squares)
