"""An exported file that one runtime runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from img2img.errors import shortened

Array = NDArray[Any]
Run = Callable[[Array], Array]


class RuntimeFile(ABC):
    """A file of somebody else's: read, and not yet compiled.

    Nothing in it is executed but the operators of its runtime.

    Args:
        path: of the file.

    Raises:
        ModelFileError: it cannot be read.
    """

    @abstractmethod
    def __init__(self, path: Path) -> None: ...

    @staticmethod
    @abstractmethod
    def missing() -> str | None:
        """What is not installed and how to get it; None when the runtime is here."""

    @staticmethod
    @abstractmethod
    def files(path: Path) -> list[Path]:
        """The files that it consists of.

        Raises:
            ModelFileError: one is missing.
        """

    @staticmethod
    @abstractmethod
    def metadata(path: Path, key: str) -> str | None:
        """The text that it carries under a key, found without the runtime; None: there is none.

        Raises:
            ModelFileError: it is not readable.
        """

    checksum: int
    takes_uint8: bool

    @abstractmethod
    def compile(self) -> Run:
        """A function that several threads may call."""


def one_line(error: Exception) -> str:
    """The message of another program's error, in one line of bounded length."""
    return shortened(" ".join(str(error).split()))
