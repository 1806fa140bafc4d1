"""`img2img info`."""

from img2img.cli.models import require_model
from img2img.cli.options import AsJson, Model
from img2img.cli.output import console, print_json, say

MEANINGS = {
    "parameters": "number of trained weights",
    "pixels": "whether it takes and returns uint8 pixels, (batch, height, width, channels)",
    "half": "whether its weights are float16",
    "batch": "the batch size that it was exported for",
    "size": "height and width that it was exported for",
}


def info(
    model: Model,
    as_json: AsJson = False,
) -> None:
    """Show what is in a model: its networks, what they expect, and how they were trained."""
    require_model(model)
    from rich.markup import escape
    from rich.table import Table

    from img2img.engine.exported import is_exported, open_exported
    from img2img.images import Domain
    from img2img.models.checkpoint import load_model
    from img2img.models.spec import ModelSpec

    extras: dict[str, dict[str, object]] = {}
    if is_exported(model):
        description, _ = open_exported(model)
        origin, specs = f"img2img {description.version}", {description.generator: description.spec}
        extras[description.generator] = description.model_dump(
            mode="json", include={*MEANINGS}, exclude_none=True
        )
    else:
        file = load_model(model)
        origin, specs = file.origin, file.specs
        for name in specs:
            count = sum(weight.numel() for weight in file.generator(name).parameters())
            extras[name] = {"parameters": count}
    if as_json:
        generators = {
            name: {**spec.model_dump(mode="json"), **extras[name]} for name, spec in specs.items()
        }
        print_json({"origin": origin, "generators": generators})
        return
    say(f"{model}: written by {origin}")
    for name, spec in specs.items():
        table = Table(title=escape(f"generator {name}"), title_justify="left", box=None)
        for column in ("", "", ""):
            table.add_column(column)
        for key, value in spec:
            meaning = ModelSpec.model_fields[key].description or ""
            shown = value.summary if isinstance(value, Domain) else str(value)
            table.add_row(key, escape(shown), f"[dim]{escape(meaning)}[/]")
        for key, value in extras[name].items():
            shown = f"{value:,}" if key == "parameters" else str(value)
            table.add_row(key, shown, f"[dim]{MEANINGS[key]}[/]")
        console.print(table)
