"""`img2img list`."""

from itertools import pairwise
from typing import Annotated

import typer

from img2img.catalogue import CATALOGUES, Entry, entries, transforms
from img2img.cli.options import AsJson
from img2img.cli.output import console, print_json
from img2img.errors import ConfigError, unknown
from img2img.plugins import OWN

WHAT = [*CATALOGUES, "transforms"]


def list_parts(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help=f"Catalogue to list: {', '.join(WHAT)}.",
            show_default=False,
            autocompletion=lambda: WHAT,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """List the parts that a setting or option can name, with their arguments and defaults.

    Parts of plug-ins are included, with the name of their package.
    """
    from rich.markup import escape
    from rich.table import Table

    found = _entries(what)
    if as_json:
        print_json(
            {
                each.name: {
                    "summary": each.summary,
                    "arguments": each.arguments,
                    "from": each.origin,
                }
                for each in found
            }
        )
        return
    foreign = what in CATALOGUES and any(each.origin != OWN for each in found)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    table.add_column("settings" if what == "methods" else "arguments", overflow="fold")
    if foreign:
        table.add_column("from")
    for entry in found:
        shown = ", ".join(f"{key}={value}" for key, value in entry.arguments.items())
        row = [f"[bold]{entry.name}[/]", escape(entry.summary), f"[dim]{escape(shown)}[/]"]
        table.add_row(*row, *([entry.origin] if foreign else []))
    console.print(table)


def _entries(what: str) -> list[Entry]:
    if what == "transforms":
        return transforms()
    if what not in CATALOGUES:
        raise ConfigError(unknown("catalogue", what, WHAT))
    found = entries(what)
    for first, second in pairwise(found):
        if first.name == second.name:
            raise ConfigError(
                f"{first.origin} and {second.origin} both provide {first.name!r}; uninstall one"
                " of them"
            )
    if what == "objectives":
        found += _presets()
    return found


def _presets() -> list[Entry]:
    """The presets: names of objectives that stand for several settings."""
    import yaml

    from img2img.config import preset_summary, presets

    found = []
    for name, tree in presets().items():
        tree.pop("discriminators")
        settings = yaml.safe_dump(tree, default_flow_style=True, sort_keys=False, width=1000)
        found.append(Entry(name, f"{preset_summary(name)} Short for {settings.strip()}.", {}))
    return found
