"""The arguments of parts that a configuration names, checked without importing the parts."""

from collections.abc import Iterable, Iterator

from img2img.catalogue import arguments_of
from img2img.config.base import Component
from img2img.config.sections import RunConfig
from img2img.errors import ConfigError, nearest, shortened


def check_arguments(config: RunConfig) -> None:
    """Refuse arguments that a part does not have, in the order of the keys.

    Whether a value fits, and a part that only the running program knows, show when it is built.

    Raises:
        ConfigError: a part has no such argument.
    """
    for catalogue, kind, path, section in _parts(config):
        known = arguments_of(catalogue).get(section.name)
        if known is not None:
            refuse_unknown(section, section.arguments, known, kind, path)


def refuse_unknown(
    section: Component, given: Iterable[str], settable: Iterable[str], kind: str, path: str
) -> None:
    """Refuse arguments that a part does not have.

    Args:
        path: the section's key.

    Raises:
        ConfigError: a part has no such argument.
    """
    # The section of an optimizer has keys that are not arguments.
    known = [*(key for key in type(section).model_fields if key != "name"), *settable]
    for key in given:
        if key not in known:
            raise ConfigError.of_key(
                f"{path}.{shortened(key, 100)}",
                f"{kind} {section.name!r} has no such argument{nearest(key, known)}; it takes:"
                f" {', '.join(known) or 'none'}",
            )


def _parts(config: RunConfig) -> Iterator[tuple[str, str, str, Component]]:
    """By catalogue: its kind of part, the key and the section of each that is named."""
    for kind in ("generator", "discriminator", "objective", "optimizer", "schedule"):
        yield f"{kind}s", kind, kind, getattr(config, kind)
    lists = {
        "regularizers": ("regularizers", "regularizer", config.regularizers),
        "critic.augment": ("augmentations", "augmentation", config.critic.augment),
    } | {
        f"losses.{name}": ("losses", "reconstruction loss", sections)
        for name, sections in config.losses.items()
    }
    for path, (catalogue, kind, sections) in lists.items():
        for index, section in enumerate(sections):
            yield catalogue, kind, f"{path}.{index}", section
