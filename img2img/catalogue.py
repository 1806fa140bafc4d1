"""The catalogues as their sources say: names, summaries, arguments and defaults of parts.

What `img2img list` and the completion of a shell show must not wait for torch, so nothing is
imported here: the source of a part is its one description. Parts of Albumentations are read in the
same way.
"""

import ast
import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# By catalogue, the package that its parts are in, and what the registry is called there.
CATALOGUES = {
    "methods": ("img2img.training", "METHODS"),
    "generators": ("img2img.networks", "GENERATORS"),
    "discriminators": ("img2img.networks", "DISCRIMINATORS"),
    "objectives": ("img2img.losses", "OBJECTIVES"),
    "regularizers": ("img2img.losses", "REGULARIZERS"),
    "augmentations": ("img2img.diffaug", "AUGMENTATIONS"),
    "losses": ("img2img.losses", "RECONSTRUCTIONS"),
    "optimizers": ("img2img.training", "OPTIMIZERS"),
    "schedules": ("img2img.training", "SCHEDULES"),
    "backends": ("img2img.engine.backends", "BACKENDS"),
}
# Albumentations' parts are the classes below this one, but for those that are bases themselves.
_TRANSFORM = "BasicTransform"
_BASES = {_TRANSFORM, "DualTransform", "ImageOnlyTransform", "Transform3D"}

REQUIRED = "required"
"""Stands where an argument has no default."""


@dataclass(frozen=True)
class Entry:
    """One part of a catalogue."""

    name: str
    summary: str
    arguments: dict[str, Any]
    """By argument, its default; as text where it is an expression."""


@dataclass(frozen=True)
class _Module:
    classes: dict[str, ast.ClassDef]
    constants: dict[str, ast.expr]
    imports: dict[str, str]
    """By name, the module that it is imported from."""


def entries(catalogue: str) -> list[Entry]:
    """The parts of a catalogue, by name."""
    package, registry = CATALOGUES[catalogue]
    found = []
    for path in sorted(_folder(package).glob("*.py")):
        if f"@{registry}.register(" not in path.read_text(encoding="utf-8"):
            continue
        module = _module(f"{package}.{path.stem}")
        for part in module.classes.values():
            for decorator in part.decorator_list:
                if isinstance(decorator, ast.Call) and _text(decorator.func).startswith(registry):
                    found.append(_entry(module, part, decorator))
    return sorted(found, key=lambda entry: entry.name)


def transforms() -> list[Entry]:
    """Every transform of Albumentations that a configuration can name."""
    root = _folder("albumentations")
    homes: dict[str, _Module] = {}
    for path in sorted(root.rglob("*.py")):
        place = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        module = _module(place.removesuffix(".__init__"))
        homes |= dict.fromkeys(module.classes, module)

    def descends(name: str) -> bool:
        if name == _TRANSFORM:
            return True
        bases = homes[name].classes[name].bases if name in homes else []
        return any(descends(_text(base)) for base in bases)

    return [
        Entry(name, _summary(homes[name].classes[name]), _arguments(homes[name], name))
        for name in sorted(homes)
        if name not in _BASES and descends(name) and _is_public(homes[name], name)
    ]


def _entry(module: _Module, part: ast.ClassDef, decorator: ast.Call) -> Entry:
    name, preset = _value(module, decorator.args[0]), {}
    for keyword in decorator.keywords:
        preset[str(keyword.arg)] = _value(module, keyword.value)
    fixed = ", ".join(f"{key}={value}" for key, value in preset.items())
    summary = f"{_summary(part)} ({fixed})" if fixed else _summary(part)
    given = _arguments(module, part.name).items()
    settable = {key: preset.get(key, value) for key, value in given if value != REQUIRED}
    return Entry(str(name), summary, settable)


def _summary(part: ast.ClassDef) -> str:
    return (ast.get_docstring(part) or "").partition("\n")[0]


def _arguments(module: _Module, name: str) -> dict[str, Any]:
    """What the nearest `__init__` of a class and those it is derived from takes."""
    if name not in module.classes:
        home = module.imports.get(name, "")
        known = home.startswith(("img2img.", "albumentations."))
        return _arguments(_module(home), name) if known else {}
    part = module.classes[name]
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
    """What an expression is, where it is written out or a constant's name; else its text."""
    if isinstance(expression, ast.Name) and expression.id in module.constants:
        return _value(module, module.constants[expression.id])
    try:
        return ast.literal_eval(_Constants().visit(expression))
    except ValueError:
        return _text(expression)


class _Constants(ast.NodeTransformer):
    """OpenCV's constants as the numbers that a configuration takes."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if _text(node.value) != "cv2":
            return node
        return ast.Constant(getattr(importlib.import_module("cv2"), node.attr))


def _text(expression: ast.expr) -> str:
    return ast.unparse(expression)


def _is_public(module: _Module, name: str) -> bool:
    exported = module.constants.get("__all__")
    return not name.startswith("_") if exported is None else name in ast.literal_eval(exported)


def _folder(package: str) -> Path:
    own, _, below = package.partition(".")
    spec = importlib.util.find_spec(own)  # of the package at the top: nothing is imported
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], *filter(None, below.split(".")))


@cache
def _module(name: str) -> _Module:
    """A module's classes, constants and imports, from its source."""
    path = _folder(name)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = _Module({}, {}, {})
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            module.classes[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            module.constants[node.targets[0].id] = node.value
        elif isinstance(node, ast.ImportFrom) and node.module:
            module.imports.update({alias.name: node.module for alias in node.names})
    return module
