"""Loads the configuration of a run from its sources."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from img2img.config.base import Section
from img2img.config.files import found, parse, presets, read_for, recipe
from img2img.config.merging import lay, merge, nested
from img2img.config.mistakes import explain, wrong_keys
from img2img.config.parts import check_arguments
from img2img.config.renaming import renewed
from img2img.config.sections import RunConfig
from img2img.errors import ConfigError

S = TypeVar("S", bound=Section)


def load_config(
    method: str,
    file: Path | str | None = None,
    flags: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    saved: Path | str | None = None,
) -> RunConfig:
    """Merge the configuration of a run from its sources, and check it.

    Args:
        method: such as `pix2pix`; its recipe is the first source.
        file: a YAML file with any part of the tree, or the name of a shipped one.
        flags: values by dotted key.
        assignments: texts `key.sub=value`; the value is read as YAML.
        saved: the `config.yaml` of a run to resume; if it exists, it replaces the recipe.

    Raises:
        ConfigError: a file, key or value is unknown or invalid; the message starts with the key.
    """
    tree, resumed = recipe(method), {}
    if saved is not None and Path(saved).is_file():
        tree = renewed(read_for(method, Path(saved)))
        resumed = deepcopy(tree)
    given: dict[str, Any] = {}
    for key, value in (flags or {}).items():
        merge(given, nested(key, value))
    assigned: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{assignment}: write it as key=value, e.g. generator.ngf=32")
        merge(assigned, nested(key, parse(text, key)))
    chosen = [] if file is None else [read_for(method, found(Path(file)))]
    sources = [renewed(source, _note) for source in (*chosen, given, assigned)]
    preset = _preset(sources)
    suited = preset.pop("discriminators", {})
    for source in _with_preset(preset, sources):
        lay(tree, source)
    if suited and _name(tree, "discriminator"):
        _adapt_discriminator(tree["discriminator"], suited, [resumed, *sources])
    config = check(tree)
    check_arguments(config)
    return config


def _preset(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The preset named by the last source with an objective; empty if that is not a preset."""
    names = [name for source in sources if (name := _name(source, "objective"))]
    return presets().get(names[-1], {}) if names else {}


def _with_preset(
    preset: Mapping[str, Any], sources: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Insert the preset before the source that names it, so that this source overrides it."""
    if not preset:
        return [*sources]
    index = max(i for i, source in enumerate(sources) if _name(source, "objective"))
    source = sources[index]
    own = {key: value for key, value in source["objective"].items() if key != "name"}
    objective = preset["objective"] | own
    named = {**source, "objective": objective}
    return [*sources[:index], {**preset, "objective": objective}, named, *sources[index + 1 :]]


def _adapt_discriminator(
    discriminator: dict[str, Any],
    arguments: Mapping[str, Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
) -> None:
    """Give a discriminator the arguments of a preset, unless the user has chosen a normalisation.

    BatchNorm counts as chosen only if it is set in the source that names the objective, or in a
    later one.
    """
    chosen: dict[str, Any] = {"discriminator": {"name": discriminator["name"]}}
    for source in sources:
        if _name(source, "objective") and chosen["discriminator"].get("norm") == "batch":
            del chosen["discriminator"]["norm"]
        if isinstance(source.get("discriminator"), Mapping):
            lay(chosen, {"discriminator": source["discriminator"]})
    if "norm" not in chosen["discriminator"]:
        discriminator |= arguments.get(discriminator["name"], {})


def _name(source: Mapping[str, Any], component: str) -> str:
    """A component's name in a source; empty if the source does not set it."""
    section = source.get(component)
    return str(section.get("name", "")) if isinstance(section, Mapping) else ""


def _note(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=2)


def check(tree: Mapping[str, Any]) -> RunConfig:
    """Turn a plain tree into a `RunConfig`; errors explain each wrong key.

    Keys of earlier versions are accepted.
    """
    return _checked(RunConfig, renewed(tree))


def check_settings(kind: type[S], config: RunConfig) -> S:
    """Check a method's own settings, the section `settings` of a configuration.

    Args:
        kind: the model of the method's settings.

    Raises:
        ConfigError: a setting is unknown or invalid; the message starts with its key.
    """
    return _checked(kind, config.settings, "settings")


def _checked(kind: type[S], tree: Mapping[str, Any], path: str = "") -> S:
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        keys = wrong_keys(error, kind, path)
        key = keys[0] if len(keys) == 1 else None
        raise ConfigError(explain(error, tree, kind, path), key=key) from None


def dump(config: RunConfig) -> str:
    """The configuration as YAML text, which `load_config` can read."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text
