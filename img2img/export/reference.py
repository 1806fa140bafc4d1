"""Exporting checkpoints for pytorch-CycleGAN-and-pix2pix."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from img2img.config import Direction
from img2img.errors import ConfigError, ExportFailed, ModelFileError
from img2img.models.checkpoint import load_model
from img2img.models.compat.collection import import_files
from img2img.models.compat.description import write_description
from img2img.models.compat.junyanz import reference_state
from img2img.models.spec import ModelSpec, rebuilt
from img2img.runtime.files import atomic_write

# The reference's names by ours. Its `D_A` judges the results of `G_A`, images of domain B.
NAMES = {"G": "G", "D": "D", "G_AB": "G_A", "G_BA": "G_B", "D_B": "D_A", "D_A": "D_B"}
# Settings that the reference's command line can build; CUT's also downsamples with a blur.
_PUBLISHED = {
    "norm": ("batch", "instance", "none"),
    "n_downs": (2,),
    "upsample": ("deconv",),
    "downsample": ("stride",),
    "value_range": ("-1,1",),
    "output": ("tanh",),
    "attention": (False,),
}
_CUT = {"downsample": "blur", "upsample": "bilinear", "pad_up": "zero"}


def export_reference(
    model: Path | str,
    output: Path | str | None = None,
    *,
    direction: Direction | None = None,
) -> tuple[list[Path], list[str]]:
    """Write each network of a model as a state_dict with the reference's names.

    The files are `latest_net_G.pth`, or `latest_net_G_A.pth` and so on. They contain the model's
    weights bit for bit, in their own type; each file is read back before it gets its name. Settings
    of a generator that cannot be inferred from its weights are written to a JSON file next to them,
    so that importing it again is exact.

    Args:
        model: a model file or run folder.
        output: a folder, or a file name if there is only one network; None: a folder next to the
            model.
        direction: write only the generator with this translation direction.

    Returns:
        The files, and notes on them for the user.

    Raises:
        ModelFileError: there is no model.
        ConfigError: it has no generator with that direction, or `output` is a single file but there
            are several networks.
        StorageError: a file cannot be written.
    """
    path = Path(model)
    file = load_model(path)
    specs = file.specs | file.discriminators
    chosen = [*specs]
    if direction:
        chosen = [name for name, spec in file.specs.items() if spec.direction == direction]
    if not chosen:
        raise ConfigError(f"`direction`: {path} does not translate {direction}")
    stem = path.name if path.is_dir() else path.stem
    folder = path.parent / f"{stem}-reference" if output is None else Path(output)
    single = folder.suffix == ".pth" and not folder.is_dir()
    if folder.suffix and not single and not folder.exists():
        raise ConfigError(f"`output`: {folder} must be a folder, or a file name that ends in .pth")
    if single and len(chosen) > 1:
        names = ", ".join(chosen)
        raise ConfigError(
            f"`output`: {folder} is a single file, but {names} are written; give a folder"
        )
    written, notes = [], []
    for name in chosen:
        target = folder if single else folder / f"latest_net_{NAMES.get(name, name)}.pth"
        spec = specs[name]
        told = _write(target, rebuilt(spec, file.tensors[name]))
        written.append(target)
        # Only imported files contain discriminators, which are inferred from their weights alone.
        if isinstance(spec, ModelSpec):
            described = write_description(target, spec)
            written.append(described)
            if unpublished := _unpublished(spec.arguments):
                notes.append(
                    f"{name}: only forks of the reference can load this network:"
                    f" {', '.join(unpublished)}"
                )
            if untold := _untold(spec, told):
                notes.append(
                    f"{name}: the weights alone do not say {', '.join(untold)}; img2img reads that"
                    f" from {described.name}"
                )
    return written, notes


def _untold(spec: ModelSpec, told: ModelSpec | None) -> list[str]:
    """The settings of a generator that its weights alone would give wrongly."""
    if told is None:
        return ["the architecture"]
    own, other = _meaning(spec), _meaning(told)
    return [f"{key} {_shown(value)}" for key, value in own.items() if other.get(key) != value]


def _meaning(spec: ModelSpec) -> dict[str, Any]:
    """The settings that results depend on, by name."""
    unimportant = {"architecture", "arguments", "method", "steps", "images", "size_multiple"}
    arguments = dict(spec.arguments)
    arguments["pad_up"] = arguments.get("pad_up") or arguments.get("pad")
    if arguments.get("upsample") == "deconv":
        del arguments["pad_up"]
    for idle in ("init", "dropout"):  # whether dropout is on is a field of the specification
        arguments.pop(idle, None)
    domains = {"input": spec.input, "output": spec.output}
    values = {f"{side} values": str(domain) for side, domain in domains.items() if not domain.whole}
    return arguments | spec.model_dump(mode="json", exclude=unimportant | set(domains)) | values


def _shown(value: object) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list) else str(value)


def _write(target: Path, network: nn.Module) -> ModelSpec | None:
    """Write a network; returns what its weights alone say about it, if it is a known generator."""
    # Contiguous, each in a storage of its own, so that nothing else is saved.
    state = {key: tensor.contiguous().clone() for key, tensor in reference_state(network).items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with atomic_write(target) as temporary:
        temporary.write_bytes(buffer.getvalue())
        again = torch.load(temporary, weights_only=True)
        if not all(_same(again[key], tensor) for key, tensor in state.items()):
            raise ExportFailed.of(target, "not written: reading it back gave other weights")
        try:
            (spec,) = import_files([temporary]).model.specs.values()
        except ModelFileError:
            return None
    return spec


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _unpublished(arguments: dict[str, object]) -> list[str]:
    """The settings of a generator that the reference has no option for."""
    if all(arguments.get(key) == value for key, value in _CUT.items()):
        return []
    return [
        f"{key} {value}"
        for key, value in arguments.items()
        if key in _PUBLISHED and value not in _PUBLISHED[key]
    ]
