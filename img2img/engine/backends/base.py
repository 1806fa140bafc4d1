"""What runs a generator: one small interface over several runtimes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from img2img.config import Component
from img2img.networks import Generator
from img2img.registry import Registry
from img2img.runtime.devices import PrecisionName

# Up to this many pixels of the image, one way, to a pixel of the smallest map.
_SHALLOW = 16


class Backend(ABC):
    """A generator in the form that one runtime executes.

    Args:
        generator: set up for inference, in float32; it is left as it is.
        device: where to compute.
        precision: what to compute in.

    Raises:
        ConfigError: the runtime cannot do that.
    """

    @abstractmethod
    def __init__(
        self, generator: Generator, device: torch.device, precision: PrecisionName
    ) -> None: ...

    @classmethod
    def missing(cls) -> str | None:
        """What is not installed and how to get it; None when the runtime is here."""
        return None

    @abstractmethod
    def run(self, x: Tensor) -> Tensor:
        """Translate float32 [N, C_in, H, W] in [-1, 1] to float32 [N, C_out, H, W].

        Height and width are multiples of the generator's `size_multiple`. No image influences
        another.
        """


def wants_batches(generator: Generator) -> bool:
    """Whether a CPU has too little to do for one image in the network's innermost layers.

    Where it has enough, one image at a time is faster: its maps stay in the caches.
    """
    return generator.size_multiple > _SHALLOW


def split_for(generator: Generator, x: Tensor) -> Sequence[Tensor]:
    """A batch in the parts in which a CPU is fastest: whole, or one image at a time."""
    return [x] if wants_batches(generator) else x.chunk(len(x))


BACKENDS = Registry[Backend]("backend")


def backend_class(name: str) -> type[Backend]:
    """The backend of that name.

    Raises:
        ConfigError: there is none.
    """
    found = BACKENDS.find(Component(name=name), "backend").factory
    assert isinstance(found, type)
    return found
