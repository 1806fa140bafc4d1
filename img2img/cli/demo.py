"""`img2img demo`."""

from pathlib import Path
from typing import Annotated

import typer

from img2img.cli.lasting import lasting_output
from img2img.cli.output import console, say


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder to write.")] = Path(
        "runs/demo"
    ),
) -> None:
    """Train on bundled satellite images and relief maps, then translate an unseen continent.

    Takes about five minutes on two CPU cores. Run it again to resume after a stop.
    """
    from rich.table import Table

    from img2img.cli.display import Display
    from img2img.demo import run_demo
    from img2img.runtime.devices import keep_freed_memory, resolve_device

    if resolve_device("auto").type == "cpu":
        keep_freed_memory()
    with lasting_output():
        result = run_demo(output, [Display(console)])
    table = Table(title=f"{result.pairs} held-out pairs: South America, never trained on")
    table.add_column("")
    table.add_column("mean L1 distance to the target", justify="right")
    table.add_column("of the input's", justify="right")
    table.add_row("input", f"{result.l1_input:.4f}", "100 %")
    table.add_row("translated", f"{result.l1_translated:.4f}", f"{100 * result.l1_ratio:.1f} %")
    console.print(table)
    say(
        f"upsampling grid: {result.checkerboard_ratio:.2f} times the target's power at those"
        f" frequencies; {result.train_seconds:.0f} s of training at"
        f" {result.images_per_second:.1f} images/s on {result.device} in {result.precision}"
    )
    say(f"open it: {output / 'demo.png'}")
