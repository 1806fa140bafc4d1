"""Configurations as files: YAML of one's own, the shipped recipes and presets."""

from pathlib import Path
from typing import Any

import yaml

from img2img.errors import ConfigError
from img2img.resources import bundled


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dictionary."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read {path}: not a text file") from None
    tree = parse(text, str(path)) or {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(tree).__name__}")
    return tree


def parse(text: str, source: str) -> Any:
    """The value of a YAML text; an error names the source."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" in line {mark.line + 1}" if mark else ""
        reason = problem or str(error).splitlines()[0]
        raise ConfigError(f"{source}: not YAML{where}: {reason}") from None


def recipes() -> dict[str, dict[str, Any]]:
    """The method's own recipe, by method: the shipped files that are named like their method."""
    trees = {path.stem: read_yaml(path) for path in sorted(bundled("configs").glob("*.yaml"))}
    return {name: tree for name, tree in trees.items() if tree.get("method") == name}


def read_for(method: str, path: Path) -> dict[str, Any]:
    """A configuration's file, refused if it is for another method."""
    tree = read_yaml(path)
    if tree.get("method", method) != method:
        raise ConfigError(f"method: {path} is for {tree['method']!r}, not for {method!r}")
    return tree


def presets() -> dict[str, dict[str, Any]]:
    """By name, what an objective of that name stands for: some keys of the tree, its own too.

    `discriminators` is no key of the tree: by the discriminator's name, what it is to be like.
    """
    files = sorted(bundled("configs/presets").glob("*.yaml"))
    return {path.stem: read_yaml(path) for path in files}


def preset_summary(name: str) -> str:
    """The first line of a preset's file, a comment."""
    path = bundled(f"configs/presets/{name}.yaml")
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
