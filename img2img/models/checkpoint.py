"""The model file and the resume state: safetensors with a JSON header, and no pickle.

Both are written whole or not at all, and carry a checksum of their tensors. A model file holds
generators, each with the `ModelSpec` that rebuilds it; it is all that inference needs.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from img2img import __version__
from img2img.archives.described import looks_like_pth
from img2img.archives.safetensors import OURS, opened_safetensors
from img2img.errors import ModelFileError, nearest_path, shortened
from img2img.models.compat.collection import import_files, reference_files
from img2img.models.spec import DiscriminatorSpec, ModelFile, ModelSpec, rebuilt
from img2img.networks.spectral import plain_state
from img2img.runtime.devices import free_memory
from img2img.runtime.files import atomic_write, parse_json

FORMAT_VERSION = 2
MODEL_NAME = "model.safetensors"

_SPECS = TypeAdapter(dict[str, ModelSpec])
_DISCRIMINATORS = TypeAdapter(dict[str, DiscriminatorSpec])


def save_model(
    path: Path | str, specs: Mapping[str, ModelSpec], networks: Mapping[str, nn.Module]
) -> None:
    """Write generators and their specs as one model file.

    Args:
        networks: by name; those without a spec are no generators, and are left out.

    Raises:
        StorageError: the disk refused; what stood at `path` before is intact.
    """
    tensors = {name: plain_state(networks[name]) for name in specs}
    write_model(Path(path), ModelFile(dict(specs), tensors, ""))


def write_model(path: Path, model: ModelFile) -> None:
    """Write what is in `model`; its origin becomes this program.

    Raises:
        StorageError: the disk refused; what stood at `path` before is intact.
    """
    tensors = {
        f"{name}.{key}": tensor
        for name, state in model.tensors.items()
        for key, tensor in state.items()
    }
    header: dict[str, Any] = {"generators": _SPECS.dump_python(model.specs, mode="json")}
    if model.discriminators:
        header["discriminators"] = _DISCRIMINATORS.dump_python(model.discriminators, mode="json")
    _write(path, "model", tensors, header)


def load_model(path: Path | str) -> ModelFile:
    """Read a model file, or the one in a run folder. Nothing in it is executed.

    A file or folder of checkpoints of pytorch-CycleGAN-and-pix2pix and its relatives is read, too,
    with what it does not tell taken as `compat.collection.ImportOptions` says.

    Raises:
        ModelFileError: there is none, it is damaged, or it is something else.
    """
    path = Path(path)
    file = path / MODEL_NAME if path.is_dir() else path
    if not file.is_file():
        if path.is_dir() and reference_files(path):
            return import_files([path]).model
        if (path / "config.yaml").is_file():
            raise ModelFileError.of(path, f"the run has saved no model yet ({MODEL_NAME})")
        if path.is_dir():
            raise ModelFileError.of(
                path,
                f"no model here: neither a {MODEL_NAME}, as in a run folder, nor a"
                " latest_net_G.pth or the like",
            )
        raise ModelFileError.of(path, f"no such file or folder{nearest_path(path)}")
    if file.stat().st_size == 0:
        raise ModelFileError.of(file, "an empty file")
    if looks_like_pth(file):
        return import_files([file]).model
    try:
        tensors, header = _read(file, "model", _described)
    except _NotOurs:
        return import_files([file]).model
    return _described(file, tensors, header)


def _described(file: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> ModelFile:
    """The model that a header describes; tensors that do not fit it are refused, unread."""
    try:
        specs = _SPECS.validate_python(header["generators"])
        discriminators = _DISCRIMINATORS.validate_python(header.get("discriminators", {}))
    except (ValidationError, KeyError) as error:
        reason = _first_reason(error)
        raise ModelFileError.of(file, f"its description is not valid: {reason}") from None
    if not specs:
        raise ModelFileError.of(file, "holds no generator")
    states: dict[str, dict[str, Tensor]] = {name: {} for name in (*specs, *discriminators)}
    for key, tensor in tensors.items():
        name, _, rest = key.partition(".")
        if name not in states:
            raise ModelFileError.of(file, f"a tensor of no network: {shortened(repr(key))}")
        states[name][rest] = tensor
    for name, spec in (specs | discriminators).items():
        try:
            rebuilt(spec, states[name])
        except ModelFileError as error:
            raise ModelFileError.of(file, str(error)) from None
    origin = shortened(f"img2img {header.get('version', '(unknown)')}")
    return ModelFile(specs, states, origin, discriminators, file)


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state: nested dictionaries and lists of tensors, numbers, texts and None.

    Raises:
        StorageError: the disk refused; what stood at `path` before is intact.
    """
    tensors: dict[str, Tensor] = {}
    tree = _take_tensors(state, "", tensors)
    _write(path, "state", tensors, {"tree": tree})


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises:
        ModelFileError: it is missing, damaged, or something else.
    """
    if not path.is_file():  # a pipe would be waited for
        raise ModelFileError.of(path, "not a readable file")
    tensors, header = _read(path, "state", _tree)
    return _tree(path, tensors, header)


def _tree(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> dict[str, Any]:
    """The state that a header describes; it has all the tensors, or the file is refused."""
    used: set[str] = set()
    try:
        tree: dict[str, Any] = _put_tensors(header["tree"], tensors, used)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError.of(
            path, f"its description is not valid: {_first_reason(error)}"
        ) from None
    if used != tensors.keys() or not isinstance(tree, dict):
        raise ModelFileError.of(path, "damaged: it holds other tensors than it describes")
    return tree


class _NotOurs(ModelFileError):
    """A safetensors file that something else has written."""


def _write(path: Path, kind: str, tensors: Mapping[str, Tensor], header: dict[str, Any]) -> None:
    # The format wants contiguous memory, so channels_last ends here.
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "kind": kind,
        **header,
    }
    header["checksum"] = _checksum(stored, header)
    with atomic_write(path) as temporary:
        try:
            save_file(stored, temporary, metadata={OURS: json.dumps(header)})
        except SafetensorError as error:
            raise OSError(str(error)) from error


Check = Callable[[Path, Mapping[str, Tensor], Mapping[str, Any]], object]


def _read(
    path: Path, kind: str, check: Check | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a file.

    Args:
        check: sees them before a number is read, and raises what it has against them.
    """
    with opened_safetensors(path) as file:
        metadata = file.metadata() or {}
        if OURS not in metadata:
            raise _NotOurs.of(path, "a safetensors file, but not one of img2img")
        try:
            header = parse_json(metadata[OURS])
            found, version = header["kind"], header["format_version"]
        except (KeyError, TypeError, ValueError):
            raise ModelFileError.of(path, "a safetensors file, but not one of img2img") from None
        if version != FORMAT_VERSION:
            other = shortened(repr(version))
            raise ModelFileError.of(path, f"format {other}; this version reads {FORMAT_VERSION}")
        if found != kind:
            other = found if found in ("model", "state") else "strange"
            raise ModelFileError.of(path, f"a {other} file; a {kind} file is needed")
        views = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if check is not None:
            check(path, views, header)
        size = sum(view.nbytes for view in views.values())
        if size > free_memory(torch.device("cpu")):
            raise ModelFileError.of(path, f"its {size / 2**30:.1f} GB do not fit into free memory")
        # Cloned, since what safetensors hands out may be a view of the open file, which could then
        # not be replaced on Windows.
        tensors = {name: view.clone() for name, view in views.items()}
    if header.pop("checksum", None) != _checksum(tensors, header):
        raise ModelFileError.of(path, "damaged: its checksum does not match")
    return tensors, header


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> int:
    """CRC-32 of the header, and of all names and bytes in order of the names."""
    checksum = zlib.crc32(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        checksum = zlib.crc32(name.encode(), checksum)
        data: Any = tensors[name].reshape(-1).view(torch.uint8).numpy()
        checksum = zlib.crc32(data, checksum)
    return checksum


def _take_tensors(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Move the tensors of a tree into `tensors`; what is left can be written as JSON."""
    if isinstance(tree, Tensor):
        tensors[path] = tree
        return {"tensor": path}
    if isinstance(tree, Mapping):
        # As pairs, because JSON would turn an optimizer's whole-number keys into text.
        return {"dict": [[k, _take_tensors(v, f"{path}/{k}", tensors)] for k, v in tree.items()]}
    if isinstance(tree, list | tuple):
        return [_take_tensors(v, f"{path}/{index}", tensors) for index, v in enumerate(tree)]
    return tree


def _put_tensors(tree: Any, tensors: Mapping[str, Tensor], used: set[str]) -> Any:
    """The inverse of `_take_tensors`; tuples have become lists. Names of tensors go into `used`."""
    if isinstance(tree, dict):
        if "tensor" in tree:
            used.add(tree["tensor"])
            return tensors[tree["tensor"]]
        return {key: _put_tensors(value, tensors, used) for key, value in tree["dict"]}
    if isinstance(tree, list):
        return [_put_tensors(value, tensors, used) for value in tree]
    return tree


def _first_reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        detail = error.errors()[0]
        return shortened(": ".join([*map(str, detail["loc"]), detail["msg"]]))
    return f"{type(error).__name__}: {error}"
