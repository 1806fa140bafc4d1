"""One discriminator with all that belongs to it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from img2img.losses import Objective
from img2img.networks import Discriminator
from img2img.networks.blocks import at_least_float32
from img2img.training.image_pool import ImagePool


class Critic(nn.Module):
    """A discriminator and the objective it plays by.

    With a condition it judges pairs, condition and image side by side in the channels (Isola et
    al. 2017, equation 1).

    Args:
        pool_size: how many fakes to keep, to show again instead of new ones (conditions and all);
            0 keeps none.
    """

    def __init__(
        self, discriminator: Discriminator, objective: Objective, pool_size: int = 0
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.objective = objective
        self.pool = ImagePool(pool_size) if pool_size else None

    def d_loss(
        self, real: Tensor, fake: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The critic's own loss, its mean logit for real and fake images, and its accuracy.

        Args:
            real: [N, C, H, W]; `fake` likewise, already detached from its generator.

        Returns:
            Four float32 scalars. The logits carry no gradient: they are for the log.
        """
        seen_real, seen_fake = _seen(real, condition), _seen(fake, condition)
        if self.pool is not None:
            seen_fake = self.pool.query(seen_fake)
        real_logits, fake_logits = self._both_logits(seen_real, seen_fake)
        losses = [
            self.objective.d_loss(r, f) for r, f in zip(real_logits, fake_logits, strict=True)
        ]
        right = [(r > f).float() for r, f in zip(real_logits, fake_logits, strict=True)]
        return (
            _mean(losses),
            _mean(real_logits).detach(),
            _mean(fake_logits).detach(),
            _mean(right),
        )

    def g_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the generator of `fake` [N, C, H, W] minimises: a float32 scalar.

        The discriminator's own weights take no part in the gradient.
        """
        with _frozen(self.discriminator):
            fake_logits = self._logits(_seen(fake, condition))
            real_logits: list[Tensor | None] = [None] * len(fake_logits)
            if self.objective.needs_real_for_g:
                real_logits = [*self._logits(_seen(real, condition))]
            losses = [
                self.objective.g_loss(r, f) for r, f in zip(real_logits, fake_logits, strict=True)
            ]
        return _mean(losses)

    def _both_logits(self, real: Tensor, fake: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The logits of two batches, in one forward where that changes nothing but the time."""
        if self.discriminator.mixes_images:
            # Fake first, as published: BatchNorm's running averages depend on the order.
            fake_logits = self._logits(fake)
            return self._logits(real), fake_logits
        scales = [logits.chunk(2) for logits in self._logits(torch.cat([real, fake]))]
        return [both[0] for both in scales], [both[1] for both in scales]

    def _logits(self, seen: Tensor) -> list[Tensor]:
        """Logits in float32 at least, one [N, 1, h, w] a scale."""
        return [at_least_float32(logits) for logits in self.discriminator(seen).logits]


def _seen(image: Tensor, condition: Tensor | None) -> Tensor:
    """What the discriminator is given."""
    return image if condition is None else torch.cat([condition, image], 1)


def _mean(per_scale: list[Tensor]) -> Tensor:
    return torch.stack([value.mean() for value in per_scale]).mean()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Keep autograd from computing gradients of the network's weights in this block."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)
