"""Adversarial objectives: what the critic and the generator each minimise, given the logits.

Logits are float [N, ...], positive for real; every loss is float [N], the mean over an image's
own logits.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from img2img.registry import Registry


class Objective(ABC):
    """One of the games that a generator and a critic can play."""

    needs_real_for_g: ClassVar[bool] = False
    """Whether `g_loss` wants the real logits, which cost one more forward of the critic."""

    @abstractmethod
    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What the critic minimises, [N]."""

    @abstractmethod
    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        """What the generator minimises, [N]. `real_logits` is None unless `needs_real_for_g`."""


OBJECTIVES = Registry[Objective]("objective")


def _per_image(loss: Tensor) -> Tensor:
    return loss.flatten(1).mean(1)


@OBJECTIVES.register("vanilla")
class Vanilla(Objective):
    """Binary cross entropy, non-saturating for the generator (Goodfellow et al. 2014).

    D: (softplus(-real) + softplus(fake)) / 2, halved as Pix2Pix does (section 3.3).
    G: softplus(-fake).
    """

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (_per_image(F.softplus(-real_logits)) + _per_image(F.softplus(fake_logits))) / 2

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return _per_image(F.softplus(-fake_logits))


@OBJECTIVES.register("lsgan")
class LSGAN(Objective):
    """Least squares, with targets 1 for real and 0 for fake (Mao et al. 2017, equation 9).

    D: ((real - 1)^2 + fake^2) / 2.  G: (fake - 1)^2.
    """

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (_per_image((real_logits - 1).square()) + _per_image(fake_logits.square())) / 2

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return _per_image((fake_logits - 1).square())
