"""Writing files so that a reader never sees half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from img2img.errors import StorageError

# How the names of files begin that are still being written.
_TEMPORARY = ".part-"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, flush it and take its place.

    Whatever stood at `path` stays until the new file is whole and on the disk. When the block
    fails the temporary file is removed.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept: image writers choose their format by it.
        descriptor, name = tempfile.mkstemp(
            dir=path.parent, prefix=f"{_TEMPORARY}{path.stem}-", suffix=path.suffix
        )
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read; give the usual permissions instead.
        temporary.chmod(0o666 & ~_UMASK)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes were writing in a folder and its subfolders."""
    for path in folder.rglob(f"{_TEMPORARY}*"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# The only way to read the umask is to set it, which is not safe between threads: once, at import.
_UMASK = _read_umask()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened (not on Windows)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
