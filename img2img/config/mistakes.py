"""Explains the errors of a configuration, key by key."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from img2img.config.sections import RunConfig
from img2img.errors import brief, nearest, shortened

# Errors listed in one message.
MAX_LISTED = 20


def explain(
    error: ValidationError, tree: Mapping[str, Any], root: type[BaseModel], where: str = ""
) -> str:
    """A line for each wrong key: its path, what was expected, and what was given.

    Args:
        tree: the tree of keys that was checked.
        root: the model it was checked against.
        where: the key that the tree is below; empty for a whole configuration.
    """
    reasons: dict[str, list[str]] = {}
    found = error.errors(include_url=False)
    for detail in found[:MAX_LISTED]:
        path, section = _locate(detail["loc"], root)
        if detail["type"] == "extra_forbidden":
            word = path.rpartition(".")[2]
            elsewhere = [] if where else [key for key in keys_called(word, tree) if key != path]
            hint = f" (did you mean {elsewhere[0]!r}?)" if elsewhere else ""
            known = section.model_fields
            reason = f"unknown key{hint or nearest(word, known)}"
            if where:  # a method's own keys are few
                takes = (
                    f"choose from: {', '.join(known)}" if known else "this method has no settings"
                )
                reason += f"; {takes}"
        elif detail["type"] == "missing":
            reason = "missing"
        else:
            reason = detail["msg"].removeprefix("Value error, ")
        given = detail["input"]
        if detail["type"] == "list_type" and isinstance(given, str | dict):
            part = f"{{name: {given}}}" if isinstance(given, str) else "{name: ...}"
            reason += f"; write it as [{shortened(part)}]"
        if isinstance(given, str | int | float | list) and detail["type"] != "extra_forbidden":
            reason += f" (given: {brief(given)})"
        reasons.setdefault(_full(where, path), []).append(reason)
    lines = [f"{path}: {'; or '.join(dict.fromkeys(r))}" for path, r in reasons.items()]
    if len(found) > MAX_LISTED:
        lines.append(f"... and {len(found) - MAX_LISTED} more")
    return "\n".join(lines)


def wrong_keys(error: ValidationError, root: type[BaseModel], where: str = "") -> list[str]:
    """The keys that `explain` has a line for."""
    paths = (_locate(detail["loc"], root)[0] for detail in error.errors(include_url=False))
    return list(dict.fromkeys(_full(where, path) for path in paths))


def _full(where: str, path: str) -> str:
    return ".".join(filter(None, [where, path])) or "configuration"


def keys_called(word: str, tree: Mapping[str, Any]) -> list[str]:
    """The dotted keys of the configuration, and of a tree, whose last part is this word."""
    return [key for key in (*_known(RunConfig), *_dotted(tree)) if key.endswith(f".{word}")]


def _known(section: type[BaseModel], path: str = "") -> Iterator[str]:
    """All dotted keys of a section."""
    for name, field in section.model_fields.items():
        yield f"{path}{name}"
        kind: Any = field.annotation
        if _is_section(kind):
            yield from _known(kind, f"{path}{name}.")


def _dotted(tree: Mapping[str, Any]) -> Iterator[str]:
    """The dotted keys of a tree."""
    for key, value in tree.items():
        yield str(key)
        if isinstance(value, Mapping):
            yield from (f"{key}.{below}" for below in _dotted(value))


def _locate(location: tuple[int | str, ...], root: type[BaseModel]) -> tuple[str, type[BaseModel]]:
    """The dotted key of an error, and its section.

    Pydantic's locations also name branches of unions, which are left out.
    """
    section: type[BaseModel] = root
    kind: Any = root
    keys: list[str] = []
    for part in location:
        if get_origin(kind) in (Union, UnionType):  # of a section and null
            kind = next((k for k in get_args(kind) if _is_section(k)), kind)
        if isinstance(part, int) and get_origin(kind) is list:
            kind = get_args(kind)[0]
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif _is_section(kind):
            section = kind
            field = section.model_fields.get(str(part))
            kind = None if field is None else field.annotation
        else:
            break
        keys.append(shortened(str(part), 100))
    return ".".join(keys), section


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
