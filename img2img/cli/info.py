"""`img2img info`."""

from pathlib import Path
from typing import Annotated

import typer

from img2img.cli.output import console, print_json


def info(
    model: Annotated[Path, typer.Argument(help="Run folder, or a model file from one.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what is in a model file: its networks, what they expect, how they were trained."""
    from rich.markup import escape
    from rich.table import Table

    from img2img.checkpoint import load_model
    from img2img.spec import ModelSpec

    file = load_model(model)
    counts = {
        name: sum(p.numel() for p in file.generator(name).parameters()) for name in file.specs
    }
    if as_json:
        generators = {
            name: {**spec.model_dump(mode="json"), "parameters": counts[name]}
            for name, spec in file.specs.items()
        }
        print_json({"origin": file.origin, "generators": generators})
        return
    console.print(f"{model}: written by {file.origin}", markup=False)
    for name, spec in file.specs.items():
        table = Table(title=escape(f"generator {name}"), title_justify="left", box=None)
        for column in ("", "", ""):
            table.add_column(column)
        for key, value in spec.model_dump().items():
            meaning = ModelSpec.model_fields[key].description or ""
            table.add_row(key, escape(str(value)), f"[dim]{escape(meaning)}[/]")
        table.add_row("parameters", f"{counts[name]:,}", "[dim]weights that were trained[/]")
        console.print(table)
