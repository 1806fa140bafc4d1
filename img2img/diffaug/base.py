"""The base class of augmentations of a critic's images, and their registry."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from img2img.registry import Registry


class Augmentation(nn.Module, ABC):
    """A random change of the images that a critic sees, both real and fake.

    Gradients flow through it to the generator, which therefore does not learn to produce augmented
    images. It must be differentiable, and twice so for gradient penalties.

    Images may have any number of channels. An augmentation that only works on RGB images says why
    in `needs_rgb`.

    Random numbers come from torch's default generator for the images' device. Values that change
    between updates are buffers, which are saved with the critic.
    """

    needs_rgb: str = ""

    @abstractmethod
    def forward(self, seen: Tensor) -> Tensor:
        """Augment float [N, C, H, W] in [-1, 1], with the same shape and type, maybe beyond the
        range.

        The channels may be those of several images that belong together, such as condition and
        image, which are changed in the same way. Each of the N gets its own random numbers.
        """

    def observe(
        self, real_logits: Sequence[Tensor], fake_logits: Sequence[Tensor], images: int
    ) -> None:
        """Record the critic's logits for a batch; an update may have several batches.

        Args:
            real_logits: its logits for augmented real images, [N, 1, h, w] for each scale.
            fake_logits: the same for augmented fake images.
            images: number of real images, in all processes together.
        """

    def tensors_to_reduce(self) -> list[Tensor]:
        """The recorded values, float32, to be averaged over processes before `after_update`."""
        return []

    def after_update(self) -> None:
        """To be called when the critic's weights have changed."""


AUGMENTATIONS = Registry[Augmentation]("augmentation")


def images_apart(seen: Tensor) -> Tensor:
    """RGB images side by side, [N, 3k, H, W], as [N, k, 3, H, W]."""
    count, channels, height, width = seen.shape
    return seen.view(count, channels // 3, 3, height, width)
