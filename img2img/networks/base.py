"""What every generator and every discriminator is, and the catalogues they are entered in."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from img2img.registry import Registry


class Generator(nn.Module, ABC):
    """A network from image to image: float NCHW in [-1, 1] to float NCHW in [-1, 1]."""

    size_multiple: int
    """Height and width of the input have to be multiples of this, in pixels."""
    min_size: int
    """The smallest height or width that the network can take, in pixels."""
    local: bool
    """Whether a pixel depends on a bounded neighbourhood only, apart from normalisation."""

    @classmethod
    def resolve(cls, arguments: Mapping[str, Any], crop_size: tuple[int, int]) -> dict[str, Any]:
        """`arguments` with every `auto` decided for training on crops of (height, width)."""
        return dict(arguments)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Translate [N, in_channels, H, W] to [N, out_channels, H, W]."""


@dataclass(frozen=True)
class DiscriminatorOutput:
    """What a discriminator says of a batch."""

    logits: list[Tensor]
    """One [N, 1, h, w] a scale; positive means real."""
    features: list[Tensor]
    """The activations on the way, [N, C, h, w] each, from first to last."""


class Discriminator(nn.Module, ABC):
    """A network that judges images: float NCHW in [-1, 1] to a `DiscriminatorOutput`."""

    min_size: int = 1
    """The smallest height or width that the network can judge, in pixels."""
    mixes_images: bool = True
    """Whether the verdict on an image depends on the others in the batch."""

    @abstractmethod
    def forward(self, x: Tensor) -> DiscriminatorOutput:
        """Judge [N, in_channels, H, W]."""


GENERATORS = Registry[Generator]("generator")
DISCRIMINATORS = Registry[Discriminator]("discriminator")
