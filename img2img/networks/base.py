"""The base classes of generators and discriminators, and their catalogues."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.networks.norms import NormLayer
from img2img.registry import Registry
from img2img.runtime.devices import at_least_float32


@dataclass(frozen=True, eq=False)
class Stage:
    """A step of a generator, from one normalisation to the next, made of its own modules.

    Its output is `then(norm(op(x)))`, with a shortcut added.
    """

    op: nn.Module
    """The layers that combine neighbouring pixels: padding and convolution."""
    halo: int = 0
    """Number of pixels around its own position that an output pixel of `op` depends on."""
    scale: Fraction = Fraction(1)
    """Height and width of the output of `op`, over those of its input."""
    norm: NormLayer | None = None
    """Normalises the output of `op`."""
    then: nn.Module = field(default_factory=nn.Sequential)
    """The layers that process each pixel on its own: an activation, dropout."""
    shortcut: int = 0
    """The output of the stage this many stages back is added to this one's; 0: none is."""


class _AllFound(Exception):
    """Ends a forward pass once all requested activations are found."""


class Generator(nn.Module, ABC):
    """A network from image to image: float NCHW in [-1, 1] to float NCHW in [-1, 1].

    It does not know labels: if several results are possible, the style vector selects one.
    """

    size_multiple: int
    """Height and width of the input must be multiples of this, in pixels."""
    min_size: int
    """Smallest height and width of the input, in pixels."""
    style_dim: int = 0
    """Length of its style vector; 0: it takes none."""
    norm_statistics: Literal["image", "running"] = "image"
    """Statistics for normalisation once it is trained: those of each image, or the running averages
    of BatchNorm."""
    bounded: bool = True
    """Whether its output is in [-1, 1]; else it may have any values."""
    compute_dtype: torch.dtype | None = None
    """The type that its convolutions compute in, if it differs from that of the input."""

    @classmethod
    def resolve(cls, arguments: Mapping[str, Any], crop_size: tuple[int, int]) -> dict[str, Any]:
        """`arguments` with every `auto` decided for training on crops of (height, width)."""
        return dict(arguments)

    @abstractmethod
    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Translate [N, in_channels, H, W] to [N, out_channels, H, W].

        Args:
            style: [N, style_dim]; None where `style_dim` is 0.
        """

    def features(
        self, x: Tensor, layers: Sequence[str] | Sequence[int], style: Tensor | None = None
    ) -> list[Tensor]:
        """The activations of some layers in a forward pass of `x`, in the order of `layers`.

        Nothing is computed beyond the last of them. They are in float32 at least.

        Args:
            layers: names of modules, as `named_modules` has them; or indices of `stages`, which
                not every generator has.
            style: see `forward`.

        Raises:
            ValueError: there is no such layer, or it has no part in a forward pass.
        """
        if all(isinstance(layer, int) for layer in layers):
            return self._outputs_of_stages(x, [int(layer) for layer in layers])
        modules = dict(self.named_modules())
        if unknown := [str(layer) for layer in layers if layer not in modules]:
            raise ValueError(f"no layers of {type(self).__name__}: {', '.join(unknown)}")
        found: dict[str, Tensor] = {}

        def keep(name: str, output: Tensor) -> None:
            # Cloned, since the next layer may work in place.
            found.setdefault(name, output.clone())
            if len(found) == len({*layers}):
                raise _AllFound

        hooks = [
            modules[name].register_forward_hook(lambda _, __, output, name=name: keep(name, output))
            for name in map(str, layers)
        ]
        try:
            self(x, style)
        except _AllFound:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        if missing := [str(layer) for layer in layers if layer not in found]:
            raise ValueError(f"{', '.join(missing)} are not used in a forward pass")
        return [at_least_float32(found[str(layer)]) for layer in layers]

    def _outputs_of_stages(self, x: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        stages = self.stages()
        if unknown := [str(index) for index in wanted if not 0 <= index < len(stages)]:
            known = (
                f"stages 0 to {len(stages) - 1} only" if stages else "no stages, only named layers"
            )
            raise ValueError(f"{type(self).__name__} has {known}: not {', '.join(unknown)}")
        if self.compute_dtype is not None:
            x = x.to(self.compute_dtype)
        outputs: list[Tensor] = []
        for stage in stages[: max(wanted, default=-1) + 1]:
            y = stage.op(outputs[-1] if outputs else x)
            y = stage.then(stage.norm(y) if stage.norm else y)
            outputs.append(y + outputs[-stage.shortcut] if stage.shortcut else y)
        return [at_least_float32(outputs[index]) for index in wanted]

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
    """The output of a discriminator for a batch."""

    logits: list[Tensor]
    """[N, 1, h, w] for each scale, positive means real; or those of `Discriminator.classes`."""
    features: list[Tensor]
    """The intermediate activations, [N, C, h, w] each, from first to last."""


class Discriminator(nn.Module, ABC):
    """A network that judges images: float NCHW in [-1, 1] to a `DiscriminatorOutput`."""

    min_size: int = 1
    """Smallest height and width of the input, in pixels."""
    needs_rgb: str = ""
    """Why it can judge only RGB images; empty: it accepts any channels."""
    mixes_images: bool = True
    """Whether its output for an image depends on other images in the batch."""
    classes: int = 0
    """Of label maps: how many classes it tells apart. If there are any, it sees images without
    their label maps, and gives logits [N, classes + 1, h, w], the last of which are for fakes."""

    @abstractmethod
    def forward(self, x: Tensor) -> DiscriminatorOutput:
        """Judge [N, in_channels, H, W]."""


GENERATORS = Registry[Generator]("generator", "in_channels", "out_channels")
DISCRIMINATORS = Registry[Discriminator]("discriminator", "in_channels")


def without_storage(
    architecture: str,
    arguments: Mapping[str, Any],
    in_channels: int,
    out_channels: int | None = None,
) -> "Generator | Discriminator":
    """A generator, or without `out_channels` a discriminator, on the meta device.

    Raises:
        ConfigError: there is no such architecture, or an argument does not fit.
    """
    section = Component.model_validate({**arguments, "name": architecture})
    with torch.device("meta"):
        if out_channels is None:
            return DISCRIMINATORS.build(section, "discriminator", in_channels=in_channels)
        return GENERATORS.build(
            section, "generator", in_channels=in_channels, out_channels=out_channels
        )
