"""What a format to export to is, and the catalogue of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from img2img.engine.exported import Description
from img2img.networks import Generator
from img2img.registry import Registry


class Format(ABC):
    """A kind of file that a generator is exported to."""

    suffix: str
    """Of the file that one names."""
    beside: tuple[str, ...] = ()
    """Suffixes of the files that belong to it, which have its name and stand beside it."""
    opset: int | None = None
    """The version of the operators, of formats that have one."""

    @classmethod
    def missing(cls) -> str | None:
        """What is not installed and how to get it; None when all is here."""
        return None

    @abstractmethod
    def write(self, path: Path, generator: Generator, description: Description) -> None:
        """Write the file, and those beside it.

        Args:
            generator: set up for inference, in float32; it is left as it is.
            description: for the file to carry; it says whether `pixels` and `half` are wanted.

        Raises:
            ConfigError: it cannot be had in this format.
        """

    @abstractmethod
    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        """The file as its runtime loads it, from what goes in to what comes out."""


FORMATS = Registry[Format]("format")
