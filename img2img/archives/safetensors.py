"""Reading the safetensors format within limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from img2img.errors import ModelFileError, shortened

# The header takes about 100 bytes per tensor.
MOST_HEADER = 2**24
# The key of img2img's own entry in the header.
OURS = "img2img"


@contextmanager
def opened_safetensors(path: Path) -> Iterator[Any]:
    """Open a file. Its tensors are views of the file, and take no memory until they are read.

    Raises:
        ModelFileError: it cannot be read, or its header is too large for a file of weights.
    """
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > MOST_HEADER:
            raise SafetensorError("its header is too large for a file of weights")
        with safe_open(path, framework="pt") as opened:
            yield opened
    except (OSError, SafetensorError) as error:
        reason = shortened(str(error))
        raise ModelFileError.of(path, f"not a readable safetensors file: {reason}") from None
    except (RuntimeError, MemoryError) as error:  # what it says when it cannot map the file
        raise ModelFileError.of(path, f"cannot be read: {shortened(str(error))}") from None
