"""The interface of export formats, and their catalogue."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from img2img.engine.exported import Description
from img2img.networks import Generator
from img2img.registry import Registry


class Format(ABC):
    """A file format that a generator can be exported to."""

    suffix: str
    """Suffix of the main file."""
    other_suffixes: tuple[str, ...] = ()
    """Suffixes of the files written next to it, under the same name."""
    opset: int | None = None
    """The operator set version; None if the format has none."""

    @classmethod
    def missing(cls) -> str | None:
        """What is not installed and how to get it; None if everything is installed."""
        return None

    @abstractmethod
    def write(self, path: Path, generator: Generator, description: Description) -> None:
        """Write the file and those that belong to it.

        Args:
            generator: set up for inference, in float32; it is not changed.
            description: the description to store in the file; its `pixels`, `half`, `batch` and
                `size` are options of the export.

        Raises:
            ConfigError: the format does not support the generator or an option.
        """

    @abstractmethod
    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        """Load the file with its runtime, as a function from the network's input to its output."""


FORMATS = Registry[Format]("format")
