"""What every generator and every discriminator is, and the catalogues they are entered in."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor, nn

from img2img.networks.norms import NormLayer
from img2img.registry import Registry


@dataclass(frozen=True, eq=False)
class Stage:
    """A step of a generator, from one normalisation to the next, made of its own modules.

    Its output is `then(norm(op(x)))`, with a shortcut added.
    """

    op: nn.Module
    """What looks at neighbouring pixels: padding and convolution."""
    halo: int = 0
    """How many pixels of its input, beyond those at its own place, a pixel of `op` depends on."""
    scale: Fraction = Fraction(1)
    """Height and width of what `op` gives, over those of what it takes."""
    norm: NormLayer | None = None
    """Takes what `op` gives."""
    then: nn.Module = field(default_factory=nn.Sequential)
    """What treats each pixel by itself: an activation, dropout."""
    shortcut: int = 0
    """How many stages back the output is that is added to this one's; 0: none is."""


class Generator(nn.Module, ABC):
    """A network from image to image: float NCHW in [-1, 1] to float NCHW in [-1, 1]."""

    size_multiple: int
    """Height and width of the input have to be multiples of this, in pixels."""
    min_size: int
    """The smallest height or width that the network can take, in pixels."""

    @classmethod
    def resolve(cls, arguments: Mapping[str, Any], crop_size: tuple[int, int]) -> dict[str, Any]:
        """`arguments` with every `auto` decided for training on crops of (height, width)."""
        return dict(arguments)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Translate [N, in_channels, H, W] to [N, out_channels, H, W]."""

    def stages(self) -> list[Stage]:
        """The steps that `forward` is a chain of, so that a picture can go through in strips.

        An empty list where a pixel depends on far ones in other ways than by normalisation.
        """
        return []

    @property
    def local(self) -> bool:
        """Whether a pixel depends on a bounded neighbourhood only, apart from normalisation."""
        return bool(self.stages())


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
