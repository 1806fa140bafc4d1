"""Penalties on how steeply a critic's verdict changes with the image.

A critic of patches gives N logits an image. The slope of their sum, squared and divided by N, stays
the same when more patches look at pixels of their own, and is that of the papers for N = 1: so a
weight keeps its meaning from critic to critic. Of several scales each is penalised by itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from img2img.errors import ConfigError
from img2img.registry import NonNegative, Positive, Registry
from img2img.runtime.devices import at_least_float32

Judge = Callable[[Tensor], list[Tensor]]
"""A critic: images [N, C, H, W] to logits, one [N, 1, h, w] a scale."""


class Regularizer(ABC):
    """A penalty on a critic, with the weight that it has in the critic's loss.

    Args:
        weight: gamma or lambda of the papers.
        every: add it at each so many-th update of the critic only, so many times as heavy (lazy
            regularisation, Karras et al. 2020, appendix B).
    """

    def __init__(self, *, weight: NonNegative = 10.0, every: Positive = 1) -> None:
        self.weight = weight
        self.every = every

    @abstractmethod
    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty, a scalar that is not yet weighted, to be differentiated by the weights.

        Args:
            judge: what is differentiated; everything in it, a condition and augmentation too, is
                part of the slope, but only the images that it is given are varied.
            real: [N, C, H, W] before augmentation; `fake` likewise. No gradient goes back to where
                they come from.

        Returns:
            float32, or float64 where the images are.
        """


REGULARIZERS = Registry[Regularizer]("regularizer")


def refuse_batch_norm(discriminator: nn.Module, name: str) -> None:
    """Refuse a discriminator with BatchNorm.

    By it every verdict hangs on all images of the batch, and the slope by an image is not that
    image's own (Gulrajani et al. 2017, section 4). One whose weights are frozen belongs to a
    feature network, which uses its running averages. The spread of a batch as one more channel is
    no such matter: that is usual with penalties (Karras et al. 2020, arXiv 1912.04958).

    Args:
        name: the regularizer.

    Raises:
        ConfigError: the discriminator has a BatchNorm that trains.
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

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return _squared_slopes(judge, real).mean() / 2


@REGULARIZERS.register("r2")
class R2(Regularizer):
    """Zero-centred gradient penalty on fake images (Mescheder et al. 2018, equation 10).

    Mean over the batch of |gradient of D|^2 / 2, as in the paper; `weight` is its gamma.
    """

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return _squared_slopes(judge, fake).mean() / 2


@REGULARIZERS.register("gp")
class GradientPenalty(Regularizer):
    """One-centred gradient penalty between real and fake (Gulrajani et al. 2017, equation 3).

    Mean over the batch of (|gradient of D| - 1)^2 at a point drawn uniformly, for each index in the
    batch, from the line between the real and the fake image; `weight` is the paper's lambda.
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
