"""`img2img train METHOD`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from img2img.cli import completion
from img2img.cli.lasting import lasting_output
from img2img.cli.models import plausible
from img2img.cli.output import console
from img2img.cli.pairing import (
    DataA,
    DataB,
    Match,
    Pairs,
    SideBySide,
    Unequal,
    pairing_flags,
)
from img2img.errors import ConfigError, nearest, nearest_path

MethodName = Annotated[
    str | None,
    typer.Argument(
        metavar="METHOD",
        help="pix2pix: pairs of images; cyclegan: two folders without pairs. With"
        " --resume: the run folder, instead.",
        show_default=False,
        autocompletion=completion.methods,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder of images: A/ and B/, trainA/ and trainB/, train/A and train/B, "
        "or pairs side by side in one image."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="YAML file with any part of the configuration, or the name of a shipped one.",
        autocompletion=completion.configurations,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Run folder; by default runs/METHOD.", show_default=False),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Continue from the newest state in the run folder, with its settings."
    ),
]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="Length in generator updates.")]
MaxEpochs = Annotated[int | None, typer.Option(min=1, help="Length in passes over the images.")]
MaxMinutes = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        help="Length in minutes, including those before a --resume; the learning rate"
        " decays to fit.",
    ),
]
StopAfter = Annotated[
    float | None, typer.Option(min=0, help="Pause after this many minutes, to --resume later.")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"] | None,
    typer.Option(help="Arithmetic of the networks; auto: the fastest that this machine has."),
]
Direction = Annotated[
    Literal["AtoB", "BtoA"] | None, typer.Option(help="Which image of a pair is the input.")
]
BatchSize = Annotated[int | None, typer.Option(help="Images a step, in each process.")]
CropSize = Annotated[int | None, typer.Option(help="Side of the crops trained on, in pixels.")]
LoadSize = Annotated[
    int | None, typer.Option(help="Side that images are resized to before the crop.")
]
Workers = Annotated[int | None, typer.Option(help="Processes that load images; 0: none extra.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out unmatched and broken files instead of refusing."),
]
InitFrom = Annotated[
    Path | None,
    typer.Option(
        help="Model file or run to start from: fine-tuning.",
        autocompletion=completion.models,
        callback=plausible,
    ),
]
OnNonfinite = Annotated[
    Literal["stop", "skip"] | None,
    typer.Option(help="Where a loss or gradient is not finite: end the run, or skip the step."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every loss and measure, too.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set any key, e.g. --set generator.ngf=32 (may be repeated; wins over all else).",
    ),
]


def train(
    method: MethodName = None,
    data: Data = None,
    data_a: DataA = None,
    data_b: DataB = None,
    side_by_side: SideBySide = False,
    match: Match = None,
    pairs: Pairs = None,
    unequal: Unequal = None,
    config: Config = None,
    output: Output = None,
    resume: Resume = False,
    max_steps: MaxSteps = None,
    max_epochs: MaxEpochs = None,
    max_minutes: MaxMinutes = None,
    stop_after: StopAfter = None,
    device: Device = None,
    precision: Precision = None,
    direction: Direction = None,
    batch_size: BatchSize = None,
    crop_size: CropSize = None,
    load_size: LoadSize = None,
    workers: Workers = None,
    seed: Seed = None,
    skip_bad: SkipBad = False,
    init_from: InitFrom = None,
    on_nonfinite: OnNonfinite = None,
    assignments: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Train a translator on your own images.

    Example: img2img train pix2pix --data my-pairs --output runs/mine --max-minutes 30

    Example: img2img train cyclegan --data-a photos --data-b paintings --output runs/paint

    Example: img2img train --resume runs/mine

    The run folder then holds model.safetensors, which `img2img translate` takes, with sample
    sheets, curves and checkpoints. Every key of the configuration is in docs/configuration.md.
    """
    flags = {
        **data_flags(data, data_a, data_b),
        **pairing_flags(match, pairs, unequal, side_by_side),
        **_given(
            {
                "schedule.steps": max_steps,
                "schedule.total_epochs": max_epochs,
                "schedule.minutes": max_minutes,
                "data.direction": direction,
                "data.batch_size": batch_size,
                "data.crop_size": crop_size,
                "data.load_size": load_size,
                "data.workers": workers,
                "data.skip_bad": skip_bad or None,
                "init_from": init_from,
                "on_nonfinite": on_nonfinite,
                "device": device,
                "precision": precision,
                "seed": seed,
            }
        ),
    }
    from img2img.config import load_config

    method, output = _run(method, output, resume)
    _refuse_other_bytes(output)
    saved = output / "config.yaml"
    if resume and not (saved.is_file() or data or data_a or config or assignments):
        raise _no_run(output)
    run_config = load_config(
        method, config, flags, assignments or [], saved=saved if resume else None
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
    """The method and the run folder; a run to resume has a method of its own."""
    from img2img.config import read_yaml, recipes

    methods = recipes()
    if named in methods:
        return named, output or Path("runs") / named
    if resume:
        if named and output:
            raise ConfigError(f"--resume {named} --output {output}: two run folders; give one")
        run = Path(named) if named else output
        if run is None:
            raise ConfigError("--resume: name the run, like img2img train --resume runs/mine")
        saved = run / "config.yaml"
        if not saved.is_file():
            raise _no_run(run)
        return str(read_yaml(saved).get("method")), run
    if named and (Path(named) / "config.yaml").is_file():
        raise ConfigError(f"{named} is a run; go on with: img2img train --resume {named}")
    if named is None or Path(named).is_dir():
        data = f" --data {named}" if named else ""
        raise ConfigError(
            f"METHOD is missing: img2img train pix2pix{data} for pairs of images, img2img train"
            f" cyclegan{data} for two kinds of images without pairs"
        )
    return named, output or Path("runs") / named  # what it should be is said with the rest


def _no_run(run: Path) -> ConfigError:
    from img2img.config import recipes

    methods = recipes()
    near = nearest_path(run) or ("" if run.name in methods else nearest(run.name, methods))
    return ConfigError(
        f"--resume {run}: not a run, as there is no {run / 'config.yaml'}{near}; a new one needs"
        " METHOD and --output"
    )


def _refuse_other_bytes(output: Path) -> None:
    """Weights cannot be saved under a name that is no text; that is better known before."""
    try:
        str(output).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"--output {output}: the name is not UTF-8") from None


def data_flags(data: Path | None, data_a: Path | None, data_b: Path | None) -> dict[str, Any]:
    """The configuration's keys for the three ways to name the images."""
    return _given({"data.root": data, "data.root_a": data_a, "data.root_b": data_b})


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flags.items() if value is not None}
