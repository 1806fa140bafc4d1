"""The interface to exported files that a runtime runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from img2img.errors import shortened

Array = NDArray[Any]
Run = Callable[[Array], Array]


class RuntimeFile(ABC):
    """An exported file, read but not yet compiled.

    The file may come from a stranger: nothing in it is executed except the runtime's operators.

    Args:
        path: the file.

    Raises:
        ModelFileError: it cannot be read.
    """

    @abstractmethod
    def __init__(self, path: Path) -> None: ...

    @staticmethod
    @abstractmethod
    def missing() -> str | None:
        """What is not installed and how to get it; None if the runtime is installed."""

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
        """The text under a key in the file's metadata, read without the runtime; None if missing.

        Raises:
            ModelFileError: the file is not readable.
        """

    checksum: int
    takes_uint8: bool

    @abstractmethod
    def compile(self) -> Run:
        """A function that runs the network; several threads may call it."""


def one_line(error: Exception) -> str:
    """The message of another library's error, as one line of limited length."""
    return shortened(" ".join(str(error).split()))
