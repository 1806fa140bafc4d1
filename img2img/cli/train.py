"""`img2img train METHOD`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from img2img.cli import completion
from img2img.cli.lasting import lasting_output
from img2img.cli.models import check_model_option
from img2img.cli.options import (
    Data,
    DataB,
    DeviceIfGiven,
    Inputs,
    Match,
    Pairs,
    SideBySide,
    Unequal,
    keys_given,
)
from img2img.cli.output import console
from img2img.errors import ConfigError, nearest, nearest_path, unknown

Config = Annotated[
    Path | None,
    typer.Option(
        help="YAML file with any part of the configuration, or the name of a bundled one.",
        autocompletion=completion.configurations,
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set any configuration key, such as generator.ngf=32. Repeatable; overrides"
        " everything else.",
    ),
]


def train(
    context: typer.Context,
    method: Annotated[
        str | None,
        typer.Argument(
            metavar="METHOD",
            help="pix2pix for pairs of images, cyclegan for two folders without pairs; with"
            " --resume, the run folder. See `img2img list methods`.",
            show_default=False,
            autocompletion=completion.methods,
        ),
    ] = None,
    data: Data = None,
    data_a: Inputs = None,
    data_b: DataB = None,
    side_by_side: SideBySide = False,
    match: Match = None,
    pairs: Pairs = None,
    unequal: Unequal = None,
    config: Config = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Run folder; default: runs/METHOD.", show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue from the newest state in the run folder, with its settings."
        ),
    ] = False,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Training length in generator updates.")
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(min=1, help="Training length in passes over the images.")
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Training length in minutes, including those before a --resume. The learning"
            " rate schedule is fitted to it.",
        ),
    ] = None,
    stop_after: Annotated[
        float | None, typer.Option(min=0, help="Pause after this many minutes; --resume continues.")
    ] = None,
    device: DeviceIfGiven = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None,
        typer.Option(
            help="Numeric precision of the networks. auto: the fastest that this machine supports."
        ),
    ] = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None,
        typer.Option(help="Which image of a pair is the input: A (AtoB) or B (BtoA)."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per step, in each process.")
    ] = None,
    crop_size: Annotated[
        int | None, typer.Option(help="Side of the training crops, in pixels.")
    ] = None,
    load_size: Annotated[
        int | None, typer.Option(help="Side that images are resized to before cropping.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that load images; 0: the training process loads them."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad", help="Skip unmatched and broken files instead of stopping with an error."
        ),
    ] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(
            help="Model file or run folder to start from, for fine-tuning.",
            autocompletion=completion.models,
            callback=check_model_option,
        ),
    ] = None,
    on_nonfinite: Annotated[
        Literal["stop", "skip"] | None,
        typer.Option(help="If a loss or gradient is not finite: stop the run, or skip the step."),
    ] = None,
    assignments: Assignments = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every loss and measure.")
    ] = False,
) -> None:
    """Train a translator on your own images.

    Example: img2img train pix2pix --data my-pairs --output runs/mine --max-minutes 30

    Example: img2img train cyclegan --data-a photos --data-b paintings --output runs/paint

    Example: img2img train --resume runs/mine

    The run folder holds the model, model.safetensors, for `img2img translate`, and sample sheets,
    curves and checkpoints. docs/configuration.md lists every key of the configuration.
    """
    from img2img.config import load_config

    method, output = _run(method, output, resume)
    _refuse_other_bytes(output)
    saved = output / "config.yaml"
    if resume and not (saved.is_file() or data or data_a or config or assignments):
        raise _no_run(output)
    run_config = load_config(
        method,
        config,
        keys_given(context.params),
        assignments or [],
        saved=saved if resume else None,
    )

    from img2img.cli.display import Display
    from img2img.runtime.devices import keep_freed_memory, resolve_device
    from img2img.training.run import train as run

    if resolve_device(run_config.device).type == "cpu":
        keep_freed_memory()
    with lasting_output():
        run(
            run_config,
            output,
            resume=resume,
            stop_after=stop_after,
            observers=[Display(console, verbose)],
        )


def _run(named: str | None, output: Path | None, resume: bool) -> tuple[str, Path]:
    """The method and the run folder. A run to resume already has its method."""
    from img2img.config import read_yaml, recipes

    methods = recipes()
    if named in methods:
        return named, output or Path("runs") / named
    if resume:
        if named and output:
            raise ConfigError(
                f"--resume {named} --output {output}: these are two run folders; give only one"
            )
        run = Path(named) if named else output
        if run is None:
            raise ConfigError(
                "--resume: name the run folder, as in: img2img train --resume runs/mine"
            )
        saved = run / "config.yaml"
        if not saved.is_file():
            raise _no_run(run)
        method = str(read_yaml(saved).get("method", ""))
        if method not in methods:
            raise ConfigError.of(saved, f"method: {unknown('method', method, [*methods])}")
        return method, run
    if named and (Path(named) / "config.yaml").is_file():
        raise ConfigError(f"{named} is a run folder; to resume it: img2img train --resume {named}")
    if named is None or Path(named).is_dir():
        data = f" --data {named}" if named else ""
        raise ConfigError(
            f"METHOD is missing: img2img train pix2pix{data} for pairs of images, img2img train"
            f" cyclegan{data} for two sets of images without pairs"
        )
    return named, output or Path("runs") / named  # what it should be is said with the rest


def _no_run(run: Path) -> ConfigError:
    from img2img.config import recipes

    methods = recipes()
    near = nearest_path(run) or ("" if run.name in methods else nearest(run.name, methods))
    return ConfigError(
        f"--resume {run}: not a run folder, because {run / 'config.yaml'} does not exist{near};"
        " to start a new run, give METHOD and --output"
    )


def _refuse_other_bytes(output: Path) -> None:
    """Refuse a name that is not valid text, because weights cannot be saved under it."""
    try:
        str(output).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"--output {output}: the name is not valid UTF-8; choose another name"
        ) from None
