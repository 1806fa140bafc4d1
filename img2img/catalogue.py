"""Names, summaries, arguments and defaults of all parts, read from their source code.

`img2img list` and shell completion must not wait for torch, so no part is imported. The parts of
plug-ins and of Albumentations are read in the same way.
"""

import ast
import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from img2img.plugins import OWN, module_path, plugins

# By catalogue, the package that its parts are in, and what the registry is called there.
CATALOGUES = {
    "methods": ("img2img.training.methods", "METHODS"),
    "generators": ("img2img.networks", "GENERATORS"),
    "discriminators": ("img2img.networks", "DISCRIMINATORS"),
    "objectives": ("img2img.losses", "OBJECTIVES"),
    "regularizers": ("img2img.losses", "REGULARIZERS"),
    "augmentations": ("img2img.diffaug", "AUGMENTATIONS"),
    "losses": ("img2img.losses", "RECONSTRUCTIONS"),
    "optimizers": ("img2img.training", "OPTIMIZERS"),
    "schedules": ("img2img.training", "SCHEDULES"),
    "backends": ("img2img.engine.backends", "BACKENDS"),
    "codecs": ("img2img.images.codecs", "CODECS"),
    "conditions": ("img2img.doctor", "CONDITIONS"),
}
# Albumentations' transforms are the subclasses of this one, except for those that are bases.
_TRANSFORM = "BasicTransform"
_BASES = {_TRANSFORM, "DualTransform", "ImageOnlyTransform", "Transform3D"}

REQUIRED = "required"
"""The default of arguments that must be given."""


@dataclass(frozen=True)
class Entry:
    """One part of a catalogue."""

    name: str
    summary: str
    arguments: dict[str, Any]
    """Arguments (of a method: its settings) and their defaults; expressions are kept as text."""
    origin: str = OWN
    """The package it is from, with its version."""


@dataclass(frozen=True)
class _Module:
    classes: dict[str, ast.ClassDef]
    constants: dict[str, ast.expr]
    imports: dict[str, str]
    """Imported names, each with the module it is from."""


_NOTHING = _Module({}, {}, {})


def entries(catalogue: str) -> list[Entry]:
    """The parts of a catalogue, including those of plug-ins, sorted by name."""
    package, registry = CATALOGUES[catalogue]
    return sorted(
        (
            _entry(module, part, decorator, origin, settings=catalogue == "methods")
            for module, origin in _modules_with(package, registry)
            for part in module.classes.values()
            for decorator in part.decorator_list
            if isinstance(decorator, ast.Call) and _text(decorator.func) == f"{registry}.register"
        ),
        key=lambda entry: entry.name,
    )


@cache
def arguments_of(catalogue: str) -> dict[str, list[str]]:
    """The arguments of each part of a catalogue, by name; without names that two packages bring."""
    known = entries(catalogue)
    count = Counter(entry.name for entry in known)
    return {entry.name: [*entry.arguments] for entry in known if count[entry.name] == 1}


def _modules_with(package: str, registry: str) -> Iterator[tuple[_Module, str]]:
    """The modules that register parts in a catalogue, each with the package it is from."""
    folder = module_path(package)
    assert folder is not None
    names = [(f"{package}.{path.stem}", OWN) for path in sorted(folder.glob("*.py"))]
    names += [(name, plugin.distribution) for plugin in plugins() for name in plugin.modules()]
    for name, origin in names:
        if f"@{registry}.register(" in _source(name):
            yield _module(name), origin


def transforms() -> list[Entry]:
    """All transforms of Albumentations that a configuration can name."""
    root = module_path("albumentations")
    assert root is not None
    homes: dict[str, _Module] = {}
    for path in sorted(root.rglob("*.py")):
        place = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        module = _module(place.removesuffix(".__init__"))
        homes |= dict.fromkeys(module.classes, module)

    origin = f"albumentations {version('albumentations')}"

    def descends(name: str) -> bool:
        if name == _TRANSFORM:
            return True
        bases = homes[name].classes[name].bases if name in homes else []
        return any(descends(_text(base)) for base in bases)

    return [
        Entry(name, _summary(homes[name].classes[name]), _arguments(homes[name], name), origin)
        for name in sorted(homes)
        if name not in _BASES and descends(name) and _is_public(homes[name], name)
    ]


def _entry(
    module: _Module, part: ast.ClassDef, decorator: ast.Call, origin: str, *, settings: bool
) -> Entry:
    name, preset = _value(module, decorator.args[0]), {}
    for keyword in decorator.keywords:
        preset[str(keyword.arg)] = _value(module, keyword.value)
    fixed = ", ".join(f"{key}={value}" for key, value in preset.items())
    summary = f"{_summary(part)} ({fixed})" if fixed else _summary(part)
    if settings:
        return Entry(str(name), summary, _settings(module, part), origin)
    given = _arguments(module, part.name).items()
    settable = {key: preset.get(key, value) for key, value in given if value != REQUIRED}
    return Entry(str(name), summary, settable, origin)


def _settings(module: _Module, method: ast.ClassDef) -> dict[str, Any]:
    """The keys of a method's section `settings` and their defaults, from its settings class."""
    chosen = [value for name, value in _assigned(method) if name == "settings" and value]
    if not chosen:
        return {}
    name = _text(chosen[0])
    home = module if name in module.classes else _module(module.imports.get(name, ""))
    fields = _assigned(home.classes[name]) if name in home.classes else ()
    return {f"settings.{key}": _field_default(home, value) for key, value in fields}


def _assigned(part: ast.ClassDef, *, typed: bool = False) -> Iterator[tuple[str, ast.expr | None]]:
    """The names assigned or annotated in the body of a class, in order."""
    for node in part.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and not typed:
            yield node.targets[0].id, node.value


def _field_default(module: _Module, value: ast.expr | None) -> Any:
    """The default of a pydantic field: the value itself, or the one in `Field(default=...)`."""
    if isinstance(value, ast.Call) and _text(value.func) == "Field":
        named = [keyword.value for keyword in value.keywords if keyword.arg == "default"]
        value = next(iter([*value.args, *named]), None)
    return REQUIRED if value is None else _value(module, value)


def _summary(part: ast.ClassDef) -> str:
    return (ast.get_docstring(part) or "").partition("\n")[0]


def _arguments(module: _Module, name: str) -> dict[str, Any]:
    """The arguments of a dataclass or of `__init__`, own or inherited."""
    if name not in module.classes:
        home = module.imports.get(name, "")
        known = "img2img", "albumentations", *(plugin.module for plugin in plugins())
        if not any(f"{home}.".startswith(f"{each}.") for each in known):
            return {}
        return _arguments(_module(home), name)
    part = module.classes[name]
    if any(_text(each).startswith("dataclass") for each in part.decorator_list):
        return {key: _field_default(module, value) for key, value in _assigned(part, typed=True)}
    for function in part.body:
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            spec = function.args
            places = [*spec.posonlyargs, *spec.args][1:]
            missing = [None] * (len(places) - len(spec.defaults))
            pairs = [
                *zip(places, [*missing, *spec.defaults][-len(places) :], strict=True),
                *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
            ]
            return {
                argument.arg: REQUIRED if default is None else _value(module, default)
                for argument, default in pairs
            }
    inherited = (_arguments(module, _text(base)) for base in part.bases)
    return next(filter(None, inherited), {})


def _value(module: _Module, expression: ast.expr) -> Any:
    """The value of an expression if it is a literal or a constant; otherwise its text."""
    if isinstance(expression, ast.Name) and expression.id in module.constants:
        return _value(module, module.constants[expression.id])
    try:
        return ast.literal_eval(_Constants().visit(expression))
    except ValueError:
        return _text(expression)


class _Constants(ast.NodeTransformer):
    """Replaces OpenCV's constants by the numbers that a configuration takes."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if _text(node.value) != "cv2":
            return node
        return ast.Constant(getattr(importlib.import_module("cv2"), node.attr))


def _text(expression: ast.expr) -> str:
    return ast.unparse(expression)


def _is_public(module: _Module, name: str) -> bool:
    exported = module.constants.get("__all__")
    return not name.startswith("_") if exported is None else name in ast.literal_eval(exported)


def _source(name: str) -> str:
    """The source of a module; empty if it cannot be read."""
    path = module_path(name)
    if path is None:
        return ""
    try:
        return (path / "__init__.py" if path.is_dir() else path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


@cache
def _module(name: str) -> _Module:
    """The classes, constants and imports of a module; empty if its source has a syntax error."""
    try:
        tree = ast.parse(_source(name))
    except (SyntaxError, ValueError):
        return _NOTHING
    module = _Module({}, {}, {})
    path = module_path(name)
    package = name.split(".") if path is not None and path.is_dir() else name.split(".")[:-1]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            module.classes[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            module.constants[node.targets[0].id] = node.value
        elif isinstance(node, ast.ImportFrom):
            # One dot is the package that the module is in, each further dot the one above.
            above = package[: len(package) + 1 - node.level] if node.level else []
            home = ".".join(filter(None, [*above, node.module]))
            module.imports.update({alias.name: home for alias in node.names})
    return module
