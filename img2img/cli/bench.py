"""`img2img bench`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from img2img.cli import completion
from img2img.cli.models import require_model
from img2img.cli.options import AsJson, Device, Direction, Model
from img2img.cli.output import console, error_console, print_json, say_note
from img2img.cli.wording import in_options


def bench(
    model: Model,
    source: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="Image to translate; default: noise."),
    ] = None,
    size: Annotated[
        int,
        typer.Option(min=1, max=8192, help="Side of the image, in pixels, if there is no --input."),
    ] = 256,
    batch: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 8,
    backend: Annotated[
        str | None,
        typer.Option(
            help="Measure only this backend; see `img2img list backends`.",
            autocompletion=completion.backends,
        ),
    ] = None,
    direction: Direction = None,
    device: Device = "auto",
    wait: Annotated[
        float,
        typer.Option(
            min=1, help="Maximum seconds for a backend to start; slower ones are skipped."
        ),
    ] = 60,
    as_json: AsJson = False,
) -> None:
    """Measure how fast each backend runs a model on this machine.

    Example: img2img bench runs/mine --input photo.jpg

    The table has, for each backend and precision, the seconds until it is ready, the milliseconds
    per image alone and in a batch, the memory for its weights and a batch, and the difference of
    its results from float32: the mean and the 99th percentile, in grey levels of 255. Pass your
    choice to `translate` as --backend and --precision.
    """
    require_model(model)
    from dataclasses import asdict

    from rich.table import Table

    from img2img.engine.bench import noise
    from img2img.engine.bench_process import bench_apart
    from img2img.engine.exported import is_exported
    from img2img.engine.loading import choose_generator
    from img2img.images import read_native_picture

    channels = 3
    if not (source or is_exported(model)):
        file, name = choose_generator(model, direction)
        channels = file.specs[name].in_channels
    picture = read_native_picture(source) if source else noise(size, channels)
    found = bench_apart(
        model, picture, batch, backend=backend, device=device, direction=direction, wait=wait
    )
    measurements = []
    with _saying() as say:
        for m in found:
            if m.ended:
                measurements.append(m)
            elif m.preparing is None:
                say(f"{m.backend} in {m.precision}: starting (at most {wait:g} s)")
            else:
                say(f"{m.backend} in {m.precision}: ready in {m.preparing:.1f} s; measuring")
    if as_json:
        print_json([asdict(measurement) for measurement in measurements])
        return
    height, width = picture.size
    say(f"{model}: {width} x {height} pixels on {measurements[0].device}")
    table = Table(box=None, pad_edge=False)
    for column in ("backend", "precision"):
        table.add_column(column, no_wrap=True)
    for column in ("ready", "ms alone", f"ms in {batch}", "images/s", "memory", "off by", "99 %"):
        table.add_column(column, justify="right", no_wrap=True)
    for m in measurements:
        if m.difference and m.together and m.alone and m.preparing is not None:
            cells = [
                f"{m.preparing:.1f} s",
                f"{1e3 * m.alone:.1f}",
                f"{1e3 * m.together:.1f}",
                f"{1 / min(m.alone, m.together):.1f}",
                f"{(m.memory or 0) / 1e6:.0f} MB",
                f"{m.difference.mean:.2g}",
                f"{m.difference.tail:.2g}",
            ]
            table.add_row(m.backend, m.precision, *cells)
    console.print(table)
    for why in dict.fromkeys(f"{m.backend}: {m.missing}" for m in measurements if m.missing):
        say(in_options(why))


@contextmanager
def _saying() -> Iterator[Callable[[str], None]]:
    """Report progress: on a terminal in a single line, elsewhere in one line each."""
    if not error_console.is_terminal:
        yield say_note
        return
    with error_console.status("opening the model", spinner="line") as status:
        yield status.update
