"""Configuration files: the user's YAML, and the recipes and presets that ship with the program."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from img2img import plugins
from img2img.errors import ConfigError, brief, nearest, unknown
from img2img.runtime.resources import bundled

# Limits far above what anybody writes: bytes of a file, values with aliases expanded, levels of
# nesting, and characters of one text or number (Python refuses to print longer numbers).
MAX_BYTES, MAX_VALUES, MAX_DEPTH, MAX_LENGTH = 2**20, 50_000, 50, 3_500


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dictionary."""
    if path.is_dir():
        inside = path / "config.yaml"
        hint = f" (did you mean {str(inside)!r}?)" if inside.is_file() else ""
        raise ConfigError(f"cannot read {path}: it is a folder, not a YAML file{hint}", path=path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(
                f"cannot read {path}: it is larger than 1 MB, which is too large for a"
                " configuration"
            )
        text = data.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read {path}: it is not a UTF-8 text file") from None
    tree = parse(text, str(path)) or {}
    if not isinstance(tree, dict):
        raise ConfigError.of(path, f"expected keys and values, found {type(tree).__name__}")
    return tree


def parse(text: str, source: str) -> Any:
    """The value of a YAML text of limited size; errors name the source."""
    try:
        _refuse_bombs(text, source)
        return yaml.safe_load(text)
    except ValueError as error:  # an impossible date or number
        raise ConfigError(f"{source}: not YAML: {error}") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" in line {mark.line + 1}" if mark else ""
        reason = problem or str(error).splitlines()[0]
        raise ConfigError(f"{source}: not YAML{where}: {reason}") from None


def _refuse_bombs(text: str, source: str) -> None:
    """Refuse a text whose aliases expand to millions of values or contain themselves."""
    sizes: dict[str, int] = {}
    begun: list[tuple[str | None, list[int]]] = []
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if count > MAX_VALUES:  # slow to parse even without aliases
            raise ConfigError(f"{source}: more than {MAX_VALUES:,} values")
        anchor, size = getattr(event, "anchor", None), 1
        if isinstance(event, yaml.CollectionStartEvent):
            begun.append((anchor, [1]))
            if len(begun) > MAX_DEPTH:
                raise ConfigError(f"{source}: nested more than {MAX_DEPTH} levels deep")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, parts = begun.pop()
            size = sum(parts)
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == open_ for open_, _ in begun):
                raise ConfigError(f"{source}: the alias *{brief(anchor)} contains itself")
            size, anchor = sizes.get(str(anchor), 1), None
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        elif len(event.value) > MAX_LENGTH:
            raise ConfigError(f"{source}: a text or number has more than {MAX_LENGTH} characters")
        if size > MAX_VALUES:
            raise ConfigError(
                f"{source}: more than {MAX_VALUES:,} values, with its aliases expanded"
            )
        if anchor:
            sizes[anchor] = size
        if begun:
            begun[-1][1].append(size)


def shipped() -> Iterator[tuple[Path, str]]:
    """The configurations of this program and of its plug-ins, each with its package."""
    yield from ((path, plugins.OWN) for path in sorted(bundled("configs").glob("*.yaml")))
    yield from plugins.configurations()


def recipes() -> dict[str, Path]:
    """By method, the file of its recipe: the shipped one with the name of the method."""
    files = {path.stem: path for path, _ in shipped()}
    return {name: path for name, path in files.items() if _method_of(path) == name}


def recipe(method: str) -> dict[str, Any]:
    """A method's own recipe.

    Raises:
        ConfigError: there is no such method, or two packages provide one.
    """
    published = recipes()
    if method not in published:
        raise ConfigError(f"method: {unknown('method', method, [*published])}")
    return read_yaml(_shipped_as(published[method].name))


def found(path: Path) -> Path:
    """The file of a configuration: the path itself, or the shipped file with that name."""
    if path.exists():
        return path
    names = sorted({each.name for each, _ in shipped()})
    if len(path.parts) == 1 and path.name in names:
        return _shipped_as(path.name)
    beside = [str(each) for each in path.parent.glob("*.y*ml")]
    raise ConfigError(
        f"cannot read {path}: no such file{nearest(str(path), [*names, *beside])}; the bundled"
        f" ones are: {', '.join(names)}"
    )


def _shipped_as(name: str) -> Path:
    """The only shipped file with this name."""
    files = [(path, origin) for path, origin in shipped() if path.name == name]
    if len(files) > 1:
        both = " and ".join(origin for _, origin in files)
        raise ConfigError(f"{name}: {both} both provide this configuration; uninstall one of them")
    return files[0][0]


def _method_of(path: Path) -> Any:
    """The method that a shipped file is for; None if it cannot be read."""
    try:
        return read_yaml(path).get("method")
    except ConfigError:
        return None


def read_for(method: str, path: Path) -> dict[str, Any]:
    """Read a configuration file; refuse it if it is for another method."""
    tree = read_yaml(path)
    if tree.get("method", method) != method:
        raise ConfigError(
            f"method: {path} is a configuration for {brief(tree['method'])}, not for {method!r}"
        )
    if path.parent == bundled("configs"):
        tree["data"] = {key: _where_it_is(value) for key, value in tree.get("data", {}).items()}
    return tree


def _where_it_is(value: Any) -> Any:
    """Make the data folder that a shipped configuration names a path that works anywhere."""
    if not isinstance(value, str) or not value.startswith("datasets/") or Path(value).exists():
        return value
    return str(bundled(value)) if bundled(value).exists() else value


def presets() -> dict[str, dict[str, Any]]:
    """By name of an objective, the keys that it stands for.

    A preset also has `discriminators`: by name of a discriminator, the arguments that fit the
    objective.
    """
    files = sorted(bundled("configs/presets").glob("*.yaml"))
    return {path.stem: read_yaml(path) for path in files}


def preset_summary(name: str) -> str:
    """The comment in the first line of a preset's file."""
    path = bundled(f"configs/presets/{name}.yaml")
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
