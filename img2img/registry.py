"""The registries of parts: for each name a class and its arguments.

A part is added by one class with one decorator in one file::

    @GENERATORS.register("unet")
    class UNetGenerator(Generator):
        "One line that `img2img list generators` shows."
        def __init__(self, *, in_channels: int, out_channels: int, ngf: Positive = 64): ...

Its YAML section is `name` plus the arguments of `__init__`; their annotations are what a value is
checked against. Arguments that the program supplies itself (here the channels), which the registry
names, are passed to `build` as keywords and cannot be set from a configuration. Parts of plug-ins
(`img2img.plugins`) are entered in the same way; they are imported when a part is first looked up.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError

from img2img.config import Component
from img2img.config.parts import refuse_unknown
from img2img.errors import ConfigError, brief, unknown
from img2img.plugins import load_plugins, owner

Positive = Annotated[int, Field(gt=0, lt=2**31)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

T = TypeVar("T")


class UnknownPart(ConfigError):
    """No installed part has the name in a configuration or model."""


@dataclass(frozen=True)
class Part(Generic[T]):
    """One entry of a registry: its name, its class, and the arguments that it presets."""

    name: str
    factory: Callable[..., T]
    preset: Mapping[str, Any]

    @property
    def summary(self) -> str:
        """The first line of the class's docstring, and the arguments that the entry presets."""
        first = (inspect.getdoc(self.factory) or "").partition("\n")[0]
        fixed = ", ".join(f"{key}={value}" for key, value in self.preset.items())
        return f"{first} ({fixed})" if fixed else first

    @property
    def origin(self) -> str:
        """The package it is from, with its version."""
        return owner(self.factory.__module__)

    @property
    def needs_rgb(self) -> str:
        """Why it needs RGB images, from the attribute of its class; empty if it does not."""
        return getattr(self.factory, "needs_rgb", "")

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """All keyword arguments, including those that only the program supplies."""
        signature = inspect.signature(self.factory)
        return {name: p for name, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD}

    @cached_property
    def hints(self) -> dict[str, Any]:
        target = self.factory.__init__ if inspect.isclass(self.factory) else self.factory
        return get_type_hints(target, include_extras=True)

    def defaults(self) -> dict[str, Any]:
        """The arguments that a configuration may set, and their defaults."""
        return {
            name: self.preset.get(name, p.default)
            for name, p in self.parameters.items()
            if p.default is not p.empty
        }


class Registry(Generic[T]):
    """The parts of one kind, by name.

    Args:
        supplied: names of the arguments that the program passes itself.
        others: returns names that are resolved elsewhere, such as presets, for error messages.
    """

    def __init__(
        self, kind: str, *supplied: str, others: Callable[[], Iterable[str]] = tuple
    ) -> None:
        self.kind = kind
        self.supplied = supplied
        self._others = others
        self._own: dict[str, Part[T]] = {}
        self._rivals: dict[str, Part[T]] = {}
        """Parts of another package that have the same name as one in `_own`."""

    @property
    def _parts(self) -> dict[str, Part[T]]:
        load_plugins()
        return self._own

    def __iter__(self) -> Iterator[Part[T]]:
        return iter(self._parts.values())

    def names(self) -> list[str]:
        return list(self._parts)

    def register(self, name: str, **preset: Any) -> Callable[[type[T]], type[T]]:
        """Register the decorated class as `name`; `preset` changes defaults of its arguments.

        Two packages may register parts of the same name; using that name is then an error.
        """

        def decorate(part: type[T]) -> type[T]:
            entry = Part(name, part, preset)
            first = self._own.setdefault(name, entry)
            if first is not entry:
                if first.origin == entry.origin:
                    raise ValueError(f"{self.kind} {name!r} is registered twice")
                self._rivals[name] = entry
            return part

        return decorate

    def find(self, section: Component, path: str) -> Part[T]:
        """The part that `section` names; `path` is the key of the section, for messages.

        Raises:
            UnknownPart: there is no such part.
            ConfigError: two packages provide it.
        """
        parts = self._parts
        if section.name in self._rivals:
            both = parts[section.name].origin, self._rivals[section.name].origin
            raise ConfigError.of_key(
                f"{path}.name",
                f"{' and '.join(both)} both provide a {self.kind} {section.name!r}; uninstall one"
                " of them",
            )
        if section.name in parts:
            return parts[section.name]
        if section.name in self._others():
            raise ConfigError.of_key(
                f"{path}.name",
                f"{brief(section.name)} is a preset for several settings, which only a new run"
                " accepts; set them one by one here",
            )
        known = [*parts, *self._others()]
        broken = "".join(f"; {failure}" for failure in load_plugins())
        raise UnknownPart.of_key(
            f"{path}.name",
            f"{unknown(self.kind, section.name, known)}{broken}",
        )

    def arguments(self, section: Component, path: str) -> dict[str, Any]:
        """All arguments of the part that `section` names: those given, checked, and the defaults.

        Raises:
            ConfigError: an argument is unknown, or its value is invalid.
        """
        part = self.find(section, path)
        settable = {
            name: value for name, value in part.defaults().items() if name not in self.supplied
        }
        given = section.arguments
        refuse_unknown(section, given, settable, self.kind, path)
        return settable | {
            key: _checked(value, part.hints[key], f"{path}.{key}") for key, value in given.items()
        }

    def build(self, section: Component, path: str, *, rgb: bool = True, **supplied: Any) -> T:
        """Build the part that `section` describes.

        Args:
            rgb: whether it is for RGB images.

        Raises:
            ConfigError: there is no such part, an argument is invalid, or the part needs RGB
                images.
        """
        part = self.find(section, path)
        arguments = self.arguments(section, path)
        if not rgb:  # the class first: to build the part may need a download
            self._refuse(part.needs_rgb, section, path)
        built = part.factory(**arguments, **supplied)
        if not rgb:
            self._refuse(getattr(built, "needs_rgb", ""), section, path)
        return built

    def _refuse(self, reason: str, section: Component, path: str) -> None:
        if reason:
            raise ConfigError.of_key(
                path,
                f"{self.kind} {section.name!r} needs RGB images, but these are not: {reason}"
                " (grey files are read as RGB with `data.A.channels=3` and `data.B.channels=3`)",
            )

    def build_all(
        self, sections: Sequence[Component], path: str, *, rgb: bool = True
    ) -> dict[str, T]:
        """Build the parts of a list, by name; a second `l1` is named `l1_2`. See `build`."""
        parts: dict[str, T] = {}
        for index, section in enumerate(sections):
            count = sum(earlier.name == section.name for earlier in sections[: index + 1])
            name = section.name if count == 1 else f"{section.name}_{count}"
            parts[name] = self.build(section, f"{path}.{index}", rgb=rgb)
        return parts


def _checked(value: Any, annotation: Any, path: str) -> Any:
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        reasons = dict.fromkeys(detail["msg"] for detail in error.errors())
        reason = f"{'; or '.join(reasons)} (given: {brief(value)})"
        raise ConfigError.of_key(path, reason) from None


def import_submodules(package: str, path: list[str]) -> None:
    """Import every module of a package, so that its parts are registered."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
