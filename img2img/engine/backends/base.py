"""The interface of inference backends, and their catalogue."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from img2img.config import Component
from img2img.errors import ConfigError, unknown
from img2img.networks import Generator
from img2img.registry import Registry
from img2img.runtime.devices import PrecisionName

# Up to this factor between the image and the smallest map, a network is shallow.
_SHALLOW = 16


class Backend(ABC):
    """A generator in the form that one runtime executes.

    Args:
        generator: set up for inference, in float32; it is not changed.
        device: the device to compute on.
        precision: the precision to compute in.

    Raises:
        ConfigError: the runtime does not support the device or precision.
    """

    @abstractmethod
    def __init__(
        self, generator: Generator, device: torch.device, precision: PrecisionName
    ) -> None: ...

    @classmethod
    def missing(cls) -> str | None:
        """What is not installed and how to get it; None if the runtime is installed."""
        return None

    @abstractmethod
    def run(self, x: Tensor) -> Tensor:
        """Translate float32 [N, C_in, H, W] in [-1, 1] to float32 [N, C_out, H, W].

        Height and width are multiples of the generator's `size_multiple`. Images must not
        influence each other.
        """


def wants_batches(generator: Generator) -> bool:
    """Whether a CPU runs this network faster in batches than one image at a time.

    It does if the innermost layers are too small to keep it busy. Otherwise single images are
    faster, because their maps stay in the caches.
    """
    return generator.size_multiple > _SHALLOW


def split_for(generator: Generator, x: Tensor) -> Sequence[Tensor]:
    """A batch in the parts that a CPU runs fastest: whole, or single images."""
    return [x] if wants_batches(generator) else x.chunk(len(x))


BACKENDS = Registry[Backend]("backend")


def backend_class(name: str) -> type[Backend]:
    """The backend of that name.

    Raises:
        ConfigError: there is no such backend.
    """
    if name not in BACKENDS.names():
        raise ConfigError(f"`backend`: {unknown('backend', name, BACKENDS.names())}")
    found = BACKENDS.find(Component(name=name), "backend").factory
    assert isinstance(found, type)
    return found
