"""The files of pytorch-CycleGAN-and-pix2pix, for those who go on with it."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from img2img.config import Direction
from img2img.errors import ConfigError, ExportFailed, ModelFileError
from img2img.models.checkpoint import load_model
from img2img.models.compat.beside import write_beside
from img2img.models.compat.collection import import_files
from img2img.models.compat.junyanz import reference_state
from img2img.models.spec import ModelSpec, rebuilt
from img2img.runtime.files import atomic_write

# Their names by ours. `D_A` there judges what `G_A` makes: images of domain B.
NAMES = {"G": "G", "D": "D", "G_AB": "G_A", "G_BA": "G_B", "D_B": "D_A", "D_A": "D_B"}
# What its command line can build; CUT's also downsamples with a blur.
_THERE = {
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
    """Write each network of a model as a state_dict under the names that it has there.

    The files are `latest_net_G.pth`, or `latest_net_G_A.pth` and so on. They hold the model's
    numbers bit for bit, in the type that they have; each is read again before it takes its name.
    What weights of a generator do not tell stands in a JSON file beside them, so that the way
    back is exact.

    Args:
        model: a model file or run folder.
        output: the folder, or the file's name where there is one network; None: a folder beside
            the model.
        direction: only the generator of this direction.

    Returns:
        The files, and what a person should know of them.

    Raises:
        ModelFileError: there is no model.
        ConfigError: it has no generator of that direction, or several networks are to be one file.
        StorageError: the disk refused.
    """
    path = Path(model)
    file = load_model(path)
    specs = file.specs | file.discriminators
    chosen = [*specs]
    if direction:
        chosen = [name for name, spec in file.specs.items() if spec.direction == direction]
    if not chosen:
        raise ConfigError(f"direction: {path} does not translate {direction}")
    stem = path.name if path.is_dir() else path.stem
    folder = path.parent / f"{stem}-reference" if output is None else Path(output)
    single = folder.suffix == ".pth" and not folder.is_dir()
    if folder.suffix and not single and not folder.exists():
        raise ConfigError(f"output: {folder}: give a folder, or a file name that ends in .pth")
    if single and len(chosen) > 1:
        names = ", ".join(chosen)
        raise ConfigError(
            f"output: {folder}: a single file, but {names} are written; give a folder"
        )
    written, notes = [], []
    for name in chosen:
        target = folder if single else folder / f"latest_net_{NAMES.get(name, name)}.pth"
        spec = specs[name]
        told = _write(target, rebuilt(spec, file.tensors[name]))
        written.append(target)
        # Discriminators are only in files that were imported, and were told by their weights.
        if isinstance(spec, ModelSpec):
            described = write_beside(target, spec)
            written.append(described)
            if strange := _strange(spec.arguments):
                notes.append(f"{name}: only forks of it have {', '.join(strange)}")
            if untold := _untold(spec, told):
                notes.append(
                    f"{name}: the weights alone do not say {', '.join(untold)}; {described.name}"
                    " beside them tells img2img"
                )
    return written, notes


def _untold(spec: ModelSpec, told: ModelSpec | None) -> list[str]:
    """What of a generator would be taken for something else by its weights alone."""
    if told is None:
        return ["their architecture"]
    own, other = _meaning(spec), _meaning(told)
    return [f"{key} {_shown(value)}" for key, value in own.items() if other.get(key) != value]


def _meaning(spec: ModelSpec) -> dict[str, Any]:
    """What results depend on, by name."""
    unimportant = {"architecture", "arguments", "method", "steps", "images", "size_multiple"}
    arguments = dict(spec.arguments)
    arguments["pad_up"] = arguments.get("pad_up") or arguments.get("pad")
    if arguments.get("upsample") == "deconv":
        del arguments["pad_up"]
    for idle in ("init", "dropout"):  # that it is left out is said by the spec
        arguments.pop(idle, None)
    domains = {"input": spec.input, "output": spec.output}
    values = {f"{side} values": str(domain) for side, domain in domains.items() if not domain.whole}
    return arguments | spec.model_dump(mode="json", exclude=unimportant | set(domains)) | values


def _shown(value: object) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list) else str(value)


def _write(target: Path, network: nn.Module) -> ModelSpec | None:
    """Write a network; what its weights alone say of it, if they are of a generator and known."""
    # Contiguous, and each in a storage of its own: what is saved is what is seen.
    state = {key: tensor.contiguous().clone() for key, tensor in reference_state(network).items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with atomic_write(target) as temporary:
        temporary.write_bytes(buffer.getvalue())
        again = torch.load(temporary, weights_only=True)
        if not all(_same(again[key], tensor) for key, tensor in state.items()):
            raise ExportFailed.of(target, "not written: reading it back gave something else")
        try:
            (spec,) = import_files([temporary]).model.specs.values()
        except ModelFileError:
            return None
    return spec


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _strange(arguments: dict[str, object]) -> list[str]:
    """The settings of a generator that the published code has no option for."""
    if all(arguments.get(key) == value for key, value in _CUT.items()):
        return []
    return [
        f"{key} {value}"
        for key, value in arguments.items()
        if key in _THERE and value not in _THERE[key]
    ]
