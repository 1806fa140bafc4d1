"""The key `classes` of label maps: a count, names, a table of indexes or colours, or its file."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from img2img.config.base import Section
from img2img.config.files import read_yaml
from img2img.errors import ConfigError, shortened
from img2img.runtime.files import NO_ADDRESS, is_address

MOST_CLASSES = 256

Byte = Annotated[int, Field(ge=0, le=255)]
Color = tuple[Byte, Byte, Byte]
Index = Annotated[int, Field(ge=0, le=65535)]

_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_FORMS = (
    "classes are a number, a list of names, a table such as {road: [128, 64, 128]} or {road: 7},"
    " or a YAML or CSV file of such a table"
)


class ClassConfig(Section):
    """How files hold one class of a label map."""

    index: Index | None = Field(default=None, description="its value in files that hold indexes")
    color: Color | None = Field(
        default=None, description="its colour, as it is shown and in files that hold colours"
    )


def color(value: Any) -> Any:
    """`#804080` as three numbers."""
    match = _HEX.fullmatch(value) if isinstance(value, str) else None
    return tuple(bytes.fromhex(match[1])) if match else value


def _table(value: Any) -> Any:
    """Every form as a table of `ClassConfig`."""
    if value is None:
        return None
    given = _listed(value)
    if not 1 <= len(given) <= MOST_CLASSES:
        raise ValueError(f"{len(given)} classes, but 1 to {MOST_CLASSES} are supported")
    # Where there are indexes, colours are for looks.
    for key in "index", "color":
        codes = [str(each[key]) for each in given.values() if each.get(key) is not None]
        if codes and len(codes) < len(given):
            raise ValueError(f"some classes have an entry `{key}`, and others have none")
        if twice := next((code for code in codes if codes.count(code) > 1), None):
            raise ValueError(f"two classes have the {key} {twice}")
        if codes:
            break
    return given


def _listed(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            raise ValueError(_FORMS)
        case int():
            return {str(n): {"index": n} for n in range(min(value, MOST_CLASSES + 1))}
        case str() | Path():
            return _listed(_of_file(str(value)))
        case Mapping():
            return {str(name): _class(each) for name, each in value.items()}
        case [*names]:
            if len({*map(str, names)}) < len(names):
                raise ValueError("two classes have the same name")
            return {str(name): {"index": n} for n, name in enumerate(names)}
    raise ValueError(_FORMS)


def _class(value: Any) -> Any:
    value = color(value)
    match value:
        case bool():
            raise ValueError(_FORMS)
        case int():
            return {"index": value}
        case [_, _, _]:
            return {"color": tuple(value)}
        case Mapping():
            return {key: color(each) for key, each in value.items()}
        case ClassConfig():
            return value.model_dump(exclude_none=True)
    raise ValueError(f"{shortened(repr(value), 60)} is neither an index nor a colour; {_FORMS}")


def _of_file(name: str) -> Any:
    """The table or the list in a file.

    Raises:
        ValueError: it cannot be read.
    """
    if is_address(name):
        raise ValueError(NO_ADDRESS)
    path = Path(name)
    try:
        if path.suffix.lower() in {".yaml", ".yml", ".json"}:
            tree = read_yaml(path)
            return tree.get("classes", tree)
        if path.suffix.lower() == ".csv":
            return _of_csv(path)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    raise ValueError(f"{name!r} is no YAML or CSV file; {_FORMS}")


def _of_csv(path: Path) -> dict[str, Any]:
    """Columns `name`, and `index`, or `r`, `g` and `b`, or `color`, or all of them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                {str(key).strip().lower(): (cell or "").strip() for key, cell in row.items()}
                for row in csv.DictReader(file, skipinitialspace=True)
            ]
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{path}: it is not a CSV file in UTF-8") from None
    table: dict[str, Any] = {}
    for number, row in enumerate(rows, start=2):
        each: dict[str, Any] = {}
        try:
            if row.get("index"):
                each["index"] = int(row["index"])
            if row.get("color"):
                each["color"] = color(row["color"])
            elif row.get("r"):
                each["color"] = tuple(int(row[band]) for band in "rgb")
            name = row["name"]
        except (KeyError, ValueError):
            name = ""
        if not name or not each or name in table:
            raise ValueError(
                f"{path}, line {number}: a class needs a name of its own, and an index, or r, g"
                " and b, below the headings `name,index,r,g,b`"
            )
        table[name] = each
    return table


Classes = Annotated[dict[str, ClassConfig] | None, BeforeValidator(_table)]
Ignore = Annotated[Index | Color | None, BeforeValidator(color)]
