"""Opening a model to translate with, and checking the options against it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from img2img.config import Direction
from img2img.engine.exported import ExportedModel, is_exported
from img2img.engine.options import TranslatorOptions
from img2img.errors import ConfigError, ModelFileError
from img2img.models.checkpoint import load_model
from img2img.models.spec import ANOTHER_PROGRAM, ModelFile, ModelSpec, build_generator
from img2img.networks import Generator


def choose_generator(path: Path, direction: Direction | None) -> tuple[ModelFile, str]:
    """Open a model file or run folder; returns it and the name of the direction's generator.

    Raises:
        ModelFileError: there is no model, or it does not translate images.
        ConfigError: the model does not translate in that direction.
    """
    model = load_model(path)
    found = {spec.direction: name for name, spec in model.specs.items()}
    chosen = direction or ("AtoB" if "AtoB" in found else next(iter(found)))
    if chosen not in found:
        raise ConfigError(f"`direction`: {path} translates {' and '.join(found)}, not {chosen}")
    name = found[chosen]
    if model.specs[name].input.kind == "noise":
        raise ModelFileError.of(path, "generates images from noise, so it cannot translate images")
    if length := model.specs[name].style_dim:
        raise ModelFileError.of(
            path,
            f"its generator needs a style vector of length {length}, which `translate` does not"
            " support",
        )
    return model, name


def load_for_inference(
    path: Path, options: TranslatorOptions
) -> tuple[Generator | ExportedModel, ModelSpec, TranslatorOptions]:
    """A model set up for inference, its specification, and the options as the model resolves them.

    Raises:
        ModelFileError: there is no model, or it cannot be rebuilt.
        ConfigError: the model does not translate in that direction, or does not allow an option.
    """
    decided = replace(options, direction=None, statistics=None, reference_exact=False)
    if is_exported(path):
        exported = ExportedModel.load(path, options.say)
        _check_exported(path, exported, options)
        decided = replace(decided, device="cpu", precision="fp32", backend="eager")
        return exported, exported.spec, decided
    model, name = choose_generator(path, options.direction)
    spec = model.specs[name]
    changes: dict[str, Any] = {}
    if options.statistics:
        changes["norm_statistics"] = options.statistics
    if options.reference_exact:
        running = (options.statistics or spec.norm_statistics) == "running"
        changes["dropout"] = not running and _tested_with_dropout(spec)
        decided = _as_reference(decided)
    spec = spec.model_copy(update=changes)
    try:
        generator = build_generator(spec, model.tensors[name])
    except ModelFileError as error:
        raise ModelFileError.of(path, str(error)) from None
    return generator, spec, decided


def _tested_with_dropout(spec: ModelSpec) -> bool:
    """Whether the reference's test script leaves dropout on, without its evaluation mode.

    Weights alone do not show whether they were trained with dropout: `import` has an option.
    """
    had = spec.arguments.get("dropout", False)
    return spec.dropout if spec.method == ANOTHER_PROGRAM else bool(had)


def _as_reference(options: TranslatorOptions) -> TranslatorOptions:
    """Options that reproduce the reference implementation's test script.

    Raises:
        ConfigError: an option is set to something else.
    """
    allowed = {"precision": ("fp32", "auto"), "backend": ("eager", "auto"), "tile": ("auto",)}
    for option, choices in allowed.items():
        if (value := getattr(options, option)) not in choices:
            raise ConfigError(
                f"`{option}`: {value} cannot be used with `reference_exact`: the reference"
                f" implementation uses {choices[0]}"
            )
    scale = "native" if options.scale == "auto" else options.scale
    return replace(
        options, precision="fp32", backend="eager", truncate=True, tile="off", scale=scale
    )


def _check_exported(path: Path, exported: ExportedModel, options: TranslatorOptions) -> None:
    """Refuse options that were fixed when the model was exported.

    Raises:
        ConfigError: one of them is set to something else.
    """
    spec = exported.spec
    if options.direction not in (None, spec.direction):
        raise ConfigError(
            f"`direction`: {path} translates {spec.direction}, not {options.direction}"
        )
    if options.statistics not in (None, spec.norm_statistics):
        raise ConfigError(
            f"`statistics`: {path} was exported with {spec.norm_statistics} statistics; use the"
            " model file to change them"
        )
    if options.reference_exact:
        raise ConfigError(
            "`reference_exact`: not possible with an exported model; use the model file"
        )
    possible = {"auto", "cpu"} if exported.half else {"auto", "cpu", "fp32"}
    chosen = [*options.devices, options.precision, options.backend]
    if impossible := [name for name in chosen if name not in possible]:
        raise ConfigError(
            f"{impossible[0]}: an exported model runs only on the CPU and with the settings it was"
            " exported with; use the model file to change them"
        )
