"""What every augmentation of a critic's images is, and the catalogue they are entered in."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from img2img.registry import Registry


class Augmentation(nn.Module, ABC):
    """A random change of what a critic sees, made to real images and to fake ones.

    Unlike an augmentation of the data it is not learned by the generator: that sees the critic's
    verdict through it, by gradients. So it is differentiable, and twice so, for penalties on the
    critic's gradient.

    Real and fake images have any number of channels. One that only works on RGB images says why in
    `needs_rgb`.

    Draws come from torch's default generator for the images' device. What changes from update to
    update is in buffers, which are saved with the critic.
    """

    needs_rgb: str = ""

    @abstractmethod
    def forward(self, seen: Tensor) -> Tensor:
        """Change float [N, C, H, W] in [-1, 1]; the result keeps shape and type, not the range.

        The channels may be those of several images that belong together, as condition and image
        do: they are changed alike. Each of the N gets draws of its own.
        """

    def observe(
        self, real_logits: Sequence[Tensor], fake_logits: Sequence[Tensor], images: int
    ) -> None:
        """Take note of what the critic made of a batch; an update may be of several.

        Args:
            real_logits: its verdicts on changed real images, [N, 1, h, w] for each scale.
            fake_logits: the same of changed fake images.
            images: how many real images were judged, by all processes together.
        """

    def tensors_to_reduce(self) -> list[Tensor]:
        """What was taken note of, float32, to be averaged over processes before `after_update`."""
        return []

    def after_update(self) -> None:
        """To be called when the critic's weights have changed."""


AUGMENTATIONS = Registry[Augmentation]("augmentation")


def images_apart(seen: Tensor) -> Tensor:
    """RGB images side by side, [N, 3k, H, W], as [N, k, 3, H, W]."""
    count, channels, height, width = seen.shape
    return seen.view(count, channels // 3, 3, height, width)
