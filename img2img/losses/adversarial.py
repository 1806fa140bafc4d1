"""Adversarial objectives: what the critic and the generator each minimise, given the logits.

Logits are float [N, ...], positive for real; every loss is float [N], the mean over an image's
own logits.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from img2img.config import presets
from img2img.errors import ConfigError
from img2img.registry import Registry

# From a half on, a critic would have to call the real images fake.
Smoothing = Annotated[float, Field(ge=0, lt=0.5)]
Bound = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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

    def check(self, discriminator: nn.Module) -> None:  # noqa: B027
        """Refuse a critic that this cannot be played with.

        Raises:
            ConfigError: it says why.
        """

    def after_update(self, discriminator: nn.Module) -> None:  # noqa: B027
        """Put right, in place, what an update of the critic's weights has done to them."""


OBJECTIVES = Registry[Objective]("objective", presets)


def _per_image(loss: Tensor) -> Tensor:
    return loss.flatten(1).mean(1)


@OBJECTIVES.register("vanilla")
class Vanilla(Objective):
    """Binary cross entropy, non-saturating for the generator (Goodfellow et al. 2014).

    D: (softplus(-real) + softplus(fake)) / 2, halved as Pix2Pix does (section 3.3).
    G: softplus(-fake).

    Args:
        smoothing: how far below 1 the critic's target for real images is, from 0 to 0.5: one-sided
            label smoothing (Salimans et al. 2016, section 3.4).
    """

    def __init__(self, *, smoothing: Smoothing = 0.0) -> None:
        self.smoothing = smoothing

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        # (1 - s) softplus(-x) + s softplus(x), as softplus(x) is softplus(-x) + x.
        real = F.softplus(-real_logits) + self.smoothing * real_logits
        return (_per_image(real) + _per_image(F.softplus(fake_logits))) / 2

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return _per_image(F.softplus(-fake_logits))


@OBJECTIVES.register("minimax")
class Minimax(Vanilla):
    """The zero-sum game; the generator's loss saturates (Goodfellow et al. 2014, equation 1).

    D: as in `vanilla`.  G: log(1 - sigmoid(fake)) = -softplus(fake).

    Args:
        smoothing: as in `vanilla`.
    """

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return -_per_image(F.softplus(fake_logits))


@OBJECTIVES.register("lsgan")
class LSGAN(Objective):
    """Least squares, with targets 1 for real and 0 for fake (Mao et al. 2017, equation 9).

    D: ((real - 1)^2 + fake^2) / 2.  G: (fake - 1)^2.

    Args:
        smoothing: how far below 1 the critic's target for real images is, from 0 to 0.5: one-sided
            label smoothing (Salimans et al. 2016, section 3.4).
    """

    def __init__(self, *, smoothing: Smoothing = 0.0) -> None:
        self.target = 1 - smoothing

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = (real_logits - self.target).square()
        return (_per_image(real) + _per_image(fake_logits.square())) / 2

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return _per_image((fake_logits - 1).square())


@OBJECTIVES.register("hinge")
class Hinge(Objective):
    """Margins of 1 that the critic need not exceed (Lim & Ye 2017; Miyato et al. 2018, 16 and 17).

    D: max(0, 1 - real) + max(0, 1 + fake).  G: -fake.
    """

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _per_image(F.relu(1 - real_logits)) + _per_image(F.relu(1 + fake_logits))

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return -_per_image(fake_logits)


@OBJECTIVES.register("wgan")
class WGAN(Objective):
    """Wasserstein distance, by a critic with clipped weights (Arjovsky et al. 2017, algorithm 1).

    D: fake - real.  G: -fake.

    Args:
        clip: the largest size of a weight of the critic; null clips none, and a regularizer (`gp`)
            has to bound the critic's slope.
    """

    def __init__(self, *, clip: Bound | None = 0.01) -> None:
        self.clip = clip

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _per_image(fake_logits) - _per_image(real_logits)

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return -_per_image(fake_logits)

    def check(self, discriminator: nn.Module) -> None:
        if self.clip is not None and any(map(is_parametrized, discriminator.modules())):
            raise ConfigError(
                "objective.clip: the weights of a critic with spectral normalisation, which bounds"
                " its slope by itself, cannot be clipped: set it to null"
            )

    @torch.no_grad()
    def after_update(self, discriminator: nn.Module) -> None:
        if self.clip is None:
            return
        for weight in discriminator.parameters():
            if weight.requires_grad:  # a frozen feature network keeps its own
                weight.clamp_(-self.clip, self.clip)


@OBJECTIVES.register("rpgan")
class RpGAN(Objective):
    """Each real image against a fake one (Jolicoeur-Martineau 2018; Huang et al. 2024, equation 2).

    D: softplus(fake - real).  G: softplus(real - fake). A pair are the logits at the same place of
    the images with the same index in the batch.
    """

    needs_real_for_g = True

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _per_image(F.softplus(fake_logits - real_logits))

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        assert real_logits is not None
        return _per_image(F.softplus(real_logits - fake_logits))
