"""`img2img list`."""

import inspect
from typing import Annotated, Any, Literal

import typer

from img2img.cli.output import console, print_json

Catalogue = Literal[
    "methods",
    "generators",
    "discriminators",
    "objectives",
    "regularizers",
    "augmentations",
    "losses",
    "optimizers",
    "schedules",
    "transforms",
    "backends",
]


def list_parts(
    what: Annotated[Catalogue, typer.Argument(help="Which catalogue.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """List the parts that a setting or option can name, with their arguments and defaults."""
    from rich.markup import escape
    from rich.table import Table

    entries = _entries(what)
    if as_json:
        print_json({name: {"summary": summary, "arguments": a} for name, summary, a in entries})
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    table.add_column("arguments")
    for name, summary, arguments in entries:
        shown = ", ".join(f"{key}={value}" for key, value in arguments.items())
        table.add_row(f"[bold]{name}[/]", escape(summary), f"[dim]{escape(shown)}[/]")
    console.print(table)


def _entries(what: Catalogue) -> list[tuple[str, str, dict[str, Any]]]:
    if what == "transforms":
        from img2img.data.augment import transforms

        return [
            (name, summary, {key: _plain(value) for key, value in arguments.items()})
            for name, summary, arguments in transforms()
        ]

    import yaml

    from img2img.config import preset_summary, presets
    from img2img.diffaug import AUGMENTATIONS
    from img2img.inference.backends import BACKENDS
    from img2img.losses import OBJECTIVES, RECONSTRUCTIONS, REGULARIZERS
    from img2img.networks import DISCRIMINATORS, GENERATORS
    from img2img.registry import Registry
    from img2img.training import METHODS
    from img2img.training.optimizers import OPTIMIZERS
    from img2img.training.schedule import SCHEDULES

    registries: dict[Catalogue, Registry[Any]] = {
        "methods": METHODS,
        "generators": GENERATORS,
        "discriminators": DISCRIMINATORS,
        "objectives": OBJECTIVES,
        "regularizers": REGULARIZERS,
        "augmentations": AUGMENTATIONS,
        "losses": RECONSTRUCTIONS,
        "optimizers": OPTIMIZERS,
        "schedules": SCHEDULES,
        "backends": BACKENDS,
    }
    entries = [(part.name, part.summary, part.defaults()) for part in registries[what]]
    if what == "objectives":
        for name, tree in presets().items():
            tree.pop("discriminators")
            settings = yaml.safe_dump(tree, default_flow_style=True, sort_keys=False, width=1000)
            entries.append((name, f"{preset_summary(name)} Stands for {settings.strip()}.", {}))
    return entries


def _plain(default: Any) -> Any:
    """A default as text or number: some are functions, and some arguments have none."""
    if default is inspect.Parameter.empty:
        return "required"
    return default.__name__ if inspect.isfunction(default) else default
