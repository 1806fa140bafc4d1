"""`img2img list`."""

from typing import Annotated

import typer

from img2img.catalogue import CATALOGUES, Entry, entries, transforms
from img2img.cli.output import console, print_json
from img2img.errors import ConfigError, nearest

WHAT = [*CATALOGUES, "transforms"]


def list_parts(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help=f"Which catalogue: {', '.join(WHAT)}.",
            show_default=False,
            autocompletion=lambda: WHAT,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """List the parts that a setting or option can name, with their arguments and defaults."""
    from rich.markup import escape
    from rich.table import Table

    found = _entries(what)
    if as_json:
        print_json({e.name: {"summary": e.summary, "arguments": e.arguments} for e in found})
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    table.add_column("arguments")
    for entry in found:
        shown = ", ".join(f"{key}={value}" for key, value in entry.arguments.items())
        table.add_row(f"[bold]{entry.name}[/]", escape(entry.summary), f"[dim]{escape(shown)}[/]")
    console.print(table)


def _entries(what: str) -> list[Entry]:
    if what == "transforms":
        return transforms()
    if what not in CATALOGUES:
        raise ConfigError(
            f"there is no list {what!r}{nearest(what, WHAT)}; there are: {', '.join(WHAT)}"
        )
    found = entries(what)
    if what == "objectives":
        found += _presets()
    return found


def _presets() -> list[Entry]:
    """What objectives of some more names stand for."""
    import yaml

    from img2img.config import preset_summary, presets

    found = []
    for name, tree in presets().items():
        tree.pop("discriminators")
        settings = yaml.safe_dump(tree, default_flow_style=True, sort_keys=False, width=1000)
        found.append(Entry(name, f"{preset_summary(name)} Stands for {settings.strip()}.", {}))
    return found
