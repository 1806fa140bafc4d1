"""Opening a model to translate with: its generator, and what it leaves to be chosen."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from img2img.engine.exported import ExportedGenerator, is_exported
from img2img.engine.sizing import Scale, Size
from img2img.engine.splitting import Tile, TileNorm
from img2img.engine.strips import OnPart
from img2img.errors import ConfigError, ModelFileError
from img2img.models.checkpoint import load_model
from img2img.models.spec import ANOTHER_PROGRAM, ModelFile, ModelSpec, build_generator
from img2img.networks import Generator
from img2img.runtime.devices import PrecisionName


class Options(TypedDict, total=False):
    """How to translate: keywords of `Translator`, which says what they mean."""

    device: str | Sequence[str]
    precision: Literal["auto"] | PrecisionName
    backend: str
    batch: int | None
    scale: Scale
    resize: Size | None
    max_side: int | None
    truncate: bool
    tile: Tile
    tile_norm: TileNorm
    smooth: float | None
    even: bool
    max_memory: str | None
    progress: OnPart | None
    say: Callable[[str], None] | None


def choose_generator(
    path: Path, direction: Literal["AtoB", "BtoA"] | None
) -> tuple[ModelFile, str]:
    """Open a model file or run folder; the name of its generator of pictures for that direction.

    Raises:
        ModelFileError: there is no model, or it is not one of pictures.
        ConfigError: the model does not translate in that direction.
    """
    model = load_model(path)
    found = {spec.direction: name for name, spec in model.specs.items()}
    chosen = direction or ("AtoB" if "AtoB" in found else next(iter(found)))
    if chosen not in found:
        raise ConfigError(f"direction: {path} translates {' and '.join(found)}, not {chosen}")
    name = found[chosen]
    spec = model.specs[name]
    if (spec.in_channels, spec.out_channels) != (3, 3):
        raise ModelFileError(
            f"{path}: translates {spec.in_channels} channels to {spec.out_channels};"
            " pictures have 3"
        )
    return model, name


def opened(
    path: Path,
    direction: Literal["AtoB", "BtoA"] | None,
    statistics: Literal["image", "running"] | None,
    reference_exact: bool,
    options: Options,
    say: Callable[[str], None],
) -> tuple[Generator, ModelSpec, Options]:
    """A generator set up for inference, and options with what it fixes; see `Translator.load`.

    Raises:
        ModelFileError: there is no model, or it cannot be rebuilt.
        ConfigError: the model does not translate in that direction, or leaves no such choice.
    """
    if is_exported(path):
        exported, spec = ExportedGenerator.load(path, say)
        if direction not in (None, spec.direction):
            raise ConfigError(f"direction: {path} translates {spec.direction}, not {direction}")
        if statistics not in (None, spec.norm_statistics):
            raise ConfigError(f"statistics: were fixed when {path} was exported")
        return exported, spec, _as_exported(exported, options, reference_exact)
    model, name = choose_generator(path, direction)
    spec = model.specs[name]
    changes: dict[str, Any] = {}
    if statistics:
        check_choice("statistics", statistics, ("image", "running"))
        changes["norm_statistics"] = statistics
    if reference_exact:
        running = (statistics or spec.norm_statistics) == "running"
        changes["dropout"] = not running and _tested_with_dropout(spec)
        options = _as_reference(options)
    spec = spec.model_copy(update=changes)
    try:
        generator = build_generator(spec, model.tensors[name])
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    return generator, spec, options


def check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse what is none of the values allowed.

    Raises:
        ConfigError: it is another.
    """
    if value not in allowed:
        raise ConfigError(f"{name}: {value!r} is none of {', '.join(map(str, allowed))}")


def _tested_with_dropout(spec: ModelSpec) -> bool:
    """Whether the reference's test script leaves dropout on, as it does unless with `--eval`.

    Of weights alone nobody can tell whether their training had any; `import` is told.
    """
    had = spec.arguments.get("dropout", False)
    return spec.dropout if spec.method == ANOTHER_PROGRAM else bool(had)


def _as_reference(options: Options) -> Options:
    """Options for results as the reference implementation's test script has them.

    Raises:
        ConfigError: another choice was made.
    """
    allowed = {"precision": ("fp32", "auto"), "backend": ("eager", "auto"), "tile": ("auto",)}
    for option, choices in allowed.items():
        if (given := options.get(option, "auto")) not in choices:
            raise ConfigError(f"{option}: {given} is not as the reference does it")
    fixed: Options = {"precision": "fp32", "backend": "eager", "truncate": True, "tile": "off"}
    if options.get("scale", "auto") == "auto":
        fixed["scale"] = "native"
    return {**options, **fixed}


def _as_exported(exported: ExportedGenerator, options: Options, reference_exact: bool) -> Options:
    """Options for an exported model, which leaves no choice of some.

    Raises:
        ConfigError: another choice was made.
    """
    if reference_exact:
        raise ConfigError("reference_exact: not with an exported model; give the model file")
    device = options.get("device", "auto")
    devices = [device] if isinstance(device, str) else device
    given = [*devices, options.get("precision", "auto"), options.get("backend", "auto")]
    there = {"auto", "cpu"} if exported.has_float16 else {"auto", "cpu", "fp32"}
    if other := [name for name in given if name not in there]:
        raise ConfigError(
            f"{other[0]}: an exported model runs on the CPU and as it was exported; for a choice,"
            " give the model file"
        )
    fixed: Options = {"device": "cpu", "precision": "fp32", "backend": "eager"}
    return {**options, **fixed}
