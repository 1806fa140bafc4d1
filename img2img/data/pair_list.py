"""Lists of pairs as tables with two columns: file of A, file of B."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from unicodedata import normalize

from img2img.data.layouts import Folders
from img2img.errors import DataError, counted
from img2img.images import list_images
from img2img.runtime.files import write_text

# What spreadsheets write between two columns, in one country or another.
_SEPARATORS = ",;\t"


def listed_pairs(table: Path, folders: Folders) -> list[tuple[Path, Path]]:
    """The pairs of a table whose files are in the two folders; pairs of other splits are left out.

    Files are named relative to their domain's folder, to one of the two folders above it, or to the
    table's folder. A first row `A,B` is ignored.

    Raises:
        DataError: the table cannot be read; or a row does not have two columns, or names a file
            that does not exist or that another row also names. The message says which row.
    """
    pairs: list[tuple[Path, Path]] = []
    rows_of: dict[Path, int] = {}
    domains = folders.A, folders.B
    known = [{_place(path): path for path in list_images(folder)} for folder in domains]
    for number, row in _rows(table):
        if len(row) != 2:
            raise DataError.of(
                table,
                f"row {number} has {counted(len(row), 'column')}, but needs two: file of A, file"
                " of B",
            )
        A, B = (
            _located(
                cell,
                [folder, *folder.parents[:2], table.parent],
                images,
                f"{table}: row {number}",
            )
            for cell, folder, images in zip(row, domains, known, strict=True)
        )
        if A is None and B is None:
            continue
        if A is None or B is None:
            astray, folder = (row[0], folders.A) if A is None else (row[1], folders.B)
            raise DataError.of(table, f"row {number}: {astray} is not in {folder}")
        for path in (A, B):
            if path in rows_of:
                raise DataError.of(
                    table,
                    f"row {number}: {path} is already in row {rows_of[path]}, but an image can"
                    " be in only one pair",
                )
            rows_of[path] = number
        pairs.append((A, B))
    if not pairs:
        raise DataError.of(table, f"no row lists a file in {folders.A} and a file in {folders.B}")
    return pairs


def write_pairs(table: Path, pairs: Iterable[tuple[Path, Path]], A: Path, B: Path) -> None:
    """Write a table of pairs, with files relative to the folders `A` and `B`.

    Raises:
        StorageError: the disk refused.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("A", "B"))
    for one, other in pairs:
        writer.writerow((one.relative_to(A).as_posix(), other.relative_to(B).as_posix()))
    write_text(table, text.getvalue())


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, with their numbers, without the heading."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DataError(f"data.pairs: {table}: {reason}", path=table) from None
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    try:
        rows = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(text), delimiter=separator)
        ]
    except csv.Error as error:
        raise DataError(
            f"data.pairs: {table}: not a table of comma-separated values: {error}", path=table
        ) from None
    for number, row in enumerate(rows, start=1):
        heading = number == 1 and [cell.casefold() for cell in row] == ["a", "b"]
        if any(row) and not heading:
            yield number, row


def _located(cell: str, bases: Sequence[Path], images: Mapping[str, Path], row: str) -> Path | None:
    """The file that a cell names; None if it belongs to another split."""
    tried = [base / cell for base in bases]
    for path in tried:
        if _place(path) in images:
            return images[_place(path)]
    if not cell or not any(path.is_file() for path in tried):
        raise DataError(f"{row}: {cell!r}: no such file in {bases[0]} or the folders above it")
    return None


def _place(path: Path) -> str:
    # Macs write accents as marks of their own, other systems as one letter.
    return normalize("NFC", os.path.abspath(path))  # noqa: PTH100 (links are names of their own)
