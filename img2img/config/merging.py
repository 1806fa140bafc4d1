"""Merges trees of keys before they are checked."""

from collections.abc import Mapping
from typing import Any

from img2img.config.base import Component
from img2img.config.files import MAX_DEPTH
from img2img.config.sections import RunConfig
from img2img.errors import ConfigError, counted, shortened

# By section, groups of keys that exclude each other, and keys that are derived from them.
ALTERNATIVES: dict[str, list[tuple[str, ...]]] = {
    "data": [("root",), ("root_a", "root_b"), ("inputs", "root_b")],
    "schedule": [("steps",), ("total_epochs",), ("minutes",)],
}
DERIVED: dict[str, set[str]] = {"schedule": {"measured_steps"}}


def nested(key: str, value: Any) -> dict[str, Any]:
    """The tree `{a: {b: {c: value}}}` for `a.b.c` and a value."""
    parts = key.strip().split(".")
    if len(parts) > MAX_DEPTH:
        raise ConfigError(f"{shortened(key, 100)}: no key is nested this deeply")
    for part in reversed(parts):
        value = {part: value}
    return dict(value)


def lay(tree: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Merge a source over earlier ones; among alternative keys, its choice replaces theirs."""
    for section, alternatives in ALTERNATIVES.items():
        given, before = over.get(section), tree.get(section)
        if not isinstance(given, Mapping) or not isinstance(before, dict):
            continue
        every = dict.fromkeys(key for keys in alternatives for key in keys)
        for chosen in every:
            if given.get(chosen, before.get(chosen)) != before.get(chosen):
                beside = {key for keys in alternatives if chosen in keys for key in keys}
                for key in every.keys() - beside | DERIVED.get(section, set()):
                    before.pop(key, None)
                break
    merge(tree, over)


def merge(tree: dict[str, Any], over: Mapping[str, Any], path: str = "") -> None:
    """Merge `over` into `tree`. A component whose name changes loses its arguments.

    Keys of the section itself are kept, such as the length in `schedule`.
    """
    for key, value in over.items():
        old = tree.get(key)
        if isinstance(value, Mapping) and isinstance(old, dict):
            if "name" in old and value.get("name", old["name"]) != old["name"]:
                for argument in old.keys() - _own_keys(f"{path}{key}"):
                    del old[argument]
            merge(old, value, f"{path}{key}.")
        elif isinstance(value, Mapping) and isinstance(old, list) and all(map(_is_index, value)):
            tree[key] = _merge_items(f"{path}{key}", old, value)
        else:
            tree[key] = value


def _own_keys(path: str) -> set[str]:
    """The keys of a component's section that are not arguments of its part."""
    field = RunConfig.model_fields.get(path)
    kind = None if field is None else field.annotation
    if isinstance(kind, type) and issubclass(kind, Component):
        return set(kind.model_fields)
    return {"name"}


def _merge_items(path: str, items: list[Any], over: Mapping[Any, Any]) -> list[Any]:
    """Change list entries by number, as in `losses.reconstruction.0.weight=10`."""
    numbered = {str(index): item for index, item in enumerate(items)}
    changes = {str(index): value for index, value in over.items()}
    beyond = [index for index in changes if index not in numbered]
    if beyond:
        raise ConfigError(
            f"{path}.{beyond[0]}: the list has only {counted(len(items), 'entry')}, numbered from 0"
        )
    merge(numbered, changes, f"{path}.")
    return list(numbered.values())


def _is_index(key: object) -> bool:
    return str(key).isdecimal()
