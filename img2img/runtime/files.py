"""Writes files so that a reader never sees an incomplete one."""

import errno
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from img2img.errors import Img2ImgError, StorageError

# How the names of folders begin that hold a file which is still being written.
PART = ".img2img-part-"
# Bytes of a line that we write are far fewer.
LONGEST_LINE = 2**20
NO_ADDRESS = "this is an address, but a path on this machine is needed; download or mount it first"


def cache_folder(kind: str) -> Path:
    """Where things of a kind are kept: in the user's cache, where torch has its own as well."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "img2img" / kind


@contextmanager
def atomic_write(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path to write to; if the block succeeds, that file replaces `path`.

    The old file stays in place until the new one is complete and on the disk. The temporary file is
    in a folder of its own, where a writer may create further files. If the block fails, that folder
    is removed.

    Args:
        path: the file to write or replace.
        folder: where to put the temporary file, on the same disk; None: beside `path`.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    own: Path | None = None
    try:
        if path.exists() and not path.is_file():
            raise StorageError(
                f"cannot write {path}: it exists, but is not a regular file", path=path
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(dir=folder or path.parent, prefix=PART))
        temporary = own / path.name  # image writers choose their format by the suffix
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # Some writers make files that only their owner can read; give the usual permissions.
        temporary.chmod(_usual_mode(own))
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


@contextmanager
def locked(path: Path, busy: Img2ImgError) -> Iterator[None]:
    """Hold a lock file within this context; it is removed at the end.

    Raises:
        Img2ImgError: this is `busy`; another process holds the lock.
        StorageError: the file cannot be created.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise busy from None
    except (OSError, NotImplementedError) as error:  # a disk may know no locks
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot write {path.parent}: {reason}") from error
    try:
        yield
    finally:
        # Before it is released: else another process could take hold of a file about to vanish.
        with suppress(OSError):
            path.unlink()
        lock.release()


def remove_leftovers(folder: Path, older: float = 0.0) -> None:
    """Remove temporary files of killed processes that are at least `older` seconds old."""
    for path in [*folder.glob(f"{PART}*")]:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime >= older:
                shutil.rmtree(path, ignore_errors=True)


def is_address(text: str) -> bool:
    """Whether a text is an address such as `s3://...`, which as a path would be a folder `s3:`."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not JSON, or Python cannot read it: it is nested too deeply, or a number
            has thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def json_lines(path: Path) -> Iterator[Any]:
    """The values of a file of JSON lines, one by one; None for a damaged line.

    Raises:
        OSError: the file cannot be read.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            try:
                yield parse_json(line)
            except ValueError:
                yield None


def _usual_mode(folder: Path) -> int:
    """The permissions of a new file; the umask itself cannot be read without changing it."""
    probe = folder / ".mode"
    descriptor = os.open(probe, os.O_CREAT | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        probe.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the renaming durable, if the system can open folders (Windows cannot)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
