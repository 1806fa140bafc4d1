"""Adversarial objectives: the losses of critic and generator, given the logits.

Logits are float [N, 1, h, w], positive for real. Every loss is float [N], the mean over the logits
of each image at places that hold data (see `images.places`).
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from img2img.config import presets
from img2img.errors import ConfigError
from img2img.images.places import mean_per_image, valid_in_both
from img2img.registry import Registry

# From a half on, a critic would have to call the real images fake.
Smoothing = Annotated[float, Field(ge=0, lt=0.5)]
Bound = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Valid(NamedTuple):
    """Where real and fake images hold data, as in `images.places`; None: everywhere."""

    real: Tensor | None = None
    fake: Tensor | None = None

    @property
    def both(self) -> Tensor | None:
        """Where both hold data."""
        return valid_in_both(self.real, self.fake)

    @property
    def either(self) -> Tensor | None:
        """Where at least one does."""
        if self.real is None or self.fake is None:
            return None
        return torch.maximum(self.real, self.fake)


ALL = Valid()


class Objective(ABC):
    """An adversarial objective: the losses of a critic and of a generator."""

    needs_real_for_g: ClassVar[bool] = False
    """Whether `g_loss` needs the real logits, which take one more forward pass of the critic."""
    of_labels: ClassVar[bool] = False
    """Whether its logits are those of the classes of label maps; see `Discriminator.classes`."""

    def with_labels(self, labels: Tensor) -> "Objective":
        """The same for images with these label maps, one-hot [N, classes, H, W]."""
        return self

    @abstractmethod
    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        """The critic's loss, [N]."""

    @abstractmethod
    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        """The generator's loss, [N]. `real_logits` is None unless `needs_real_for_g`."""

    def check(self, discriminator: nn.Module) -> None:  # noqa: B027
        """Refuse a critic that does not work with this objective.

        Raises:
            ConfigError: the message gives the reason.
        """

    def after_update(self, discriminator: nn.Module) -> None:  # noqa: B027
        """Change the critic's weights after an update, in place, for example by clipping."""


OBJECTIVES = Registry[Objective]("objective", others=presets)


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

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        # (1 - s) softplus(-x) + s softplus(x), as softplus(x) is softplus(-x) + x.
        real = F.softplus(-real_logits) + self.smoothing * real_logits
        fake = F.softplus(fake_logits)
        return (mean_per_image(real, valid.real) + mean_per_image(fake, valid.fake)) / 2

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return mean_per_image(F.softplus(-fake_logits), valid.fake)


@OBJECTIVES.register("minimax")
class Minimax(Vanilla):
    """The zero-sum game; the generator's loss saturates (Goodfellow et al. 2014, equation 1).

    D: as in `vanilla`.  G: log(1 - sigmoid(fake)) = -softplus(fake).

    Args:
        smoothing: as in `vanilla`.
    """

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return -mean_per_image(F.softplus(fake_logits), valid.fake)


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

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        real = (real_logits - self.target).square()
        fake = fake_logits.square()
        return (mean_per_image(real, valid.real) + mean_per_image(fake, valid.fake)) / 2

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return mean_per_image((fake_logits - 1).square(), valid.fake)


@OBJECTIVES.register("hinge")
class Hinge(Objective):
    """Hinge loss with a margin of 1 (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17).

    D: max(0, 1 - real) + max(0, 1 + fake).  G: -fake.
    """

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        real, fake = F.relu(1 - real_logits), F.relu(1 + fake_logits)
        return mean_per_image(real, valid.real) + mean_per_image(fake, valid.fake)

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return -mean_per_image(fake_logits, valid.fake)


@OBJECTIVES.register("wgan")
class WGAN(Objective):
    """Wasserstein distance, with a critic of clipped weights (Arjovsky et al. 2017, algorithm 1).

    D: fake - real.  G: -fake.

    Args:
        clip: the largest absolute value of the critic's weights; null disables clipping, and then a
            regularizer (`gp`) must limit the critic's gradient.
    """

    def __init__(self, *, clip: Bound | None = 0.01) -> None:
        self.clip = clip

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return mean_per_image(fake_logits, valid.fake) - mean_per_image(real_logits, valid.real)

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        return -mean_per_image(fake_logits, valid.fake)

    def check(self, discriminator: nn.Module) -> None:
        if self.clip is not None and any(map(is_parametrized, discriminator.modules())):
            raise ConfigError(
                "objective.clip: the weights of a critic with spectral normalisation cannot be"
                " clipped, and need not be; set it to null"
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
    """Relativistic pairing GAN (Jolicoeur-Martineau 2018; Huang et al. 2024, equation 2).

    D: softplus(fake - real).  G: softplus(real - fake). A pair consists of the logits at the same
    place of the images with the same index in the batch.
    """

    needs_real_for_g = True

    def d_loss(self, real_logits: Tensor, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        losses = F.softplus(fake_logits - real_logits)
        return mean_per_image(losses, valid.both)

    def g_loss(self, real_logits: Tensor | None, fake_logits: Tensor, valid: Valid = ALL) -> Tensor:
        assert real_logits is not None
        losses = F.softplus(real_logits - fake_logits)
        return mean_per_image(losses, valid.both)
