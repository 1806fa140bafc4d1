"""The files of pytorch-CycleGAN-and-pix2pix, for those who go on with it."""

import io
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from img2img.checkpoint import load_model
from img2img.compat.junyanz import reference_state
from img2img.errors import ConfigError, ExportFailed
from img2img.files import atomic_write
from img2img.spec import rebuilt

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
    direction: Literal["AtoB", "BtoA"] | None = None,
) -> tuple[list[Path], list[str]]:
    """Write each network of a model as a state_dict under the names that it has there.

    The files are `latest_net_G.pth`, or `latest_net_G_A.pth` and so on. They hold the model's
    numbers bit for bit, in the type that they have; each is read again before it takes its name.

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
        raise ConfigError(f"output: {folder}: a folder is wanted, or a file called .pth")
    if single and len(chosen) > 1:
        names = ", ".join(chosen)
        raise ConfigError(f"output: {folder}: one file, where {names} are written; give a folder")
    written, notes = [], []
    for name in chosen:
        target = folder if single else folder / f"latest_net_{NAMES.get(name, name)}.pth"
        _write(target, rebuilt(specs[name], file.tensors[name]))
        written.append(target)
        if name in file.specs and (strange := _strange(file.specs[name].arguments)):
            notes.append(f"{name}: only forks of it have {', '.join(strange)}")
    return written, notes


def _write(target: Path, network: nn.Module) -> None:
    # Contiguous, and each in a storage of its own: what is saved is what is seen.
    state = {key: tensor.contiguous().clone() for key, tensor in reference_state(network).items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with atomic_write(target) as temporary:
        temporary.write_bytes(buffer.getvalue())
        again = torch.load(temporary, weights_only=True)
        if not all(_same(again[key], tensor) for key, tensor in state.items()):
            raise ExportFailed(f"{target}: not written: it could not be read again as it was")


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
