"""The model file and the resume state: safetensors with a JSON header, and no pickle.

Both are written whole or not at all, and carry a checksum of their tensors. A model file holds
generators, each with the `ModelSpec` that rebuilds it; it is all that inference needs.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from img2img import __version__
from img2img.config import Component
from img2img.errors import Img2ImgError, ModelFileError, shortened
from img2img.files import atomic_write
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import (
    ImageStatistics,
    RunningStatistics,
    use_statistics,
)

FORMAT_VERSION = 2
# A model that was trained on images enlarged or reduced by more than this is told apart.
SCALE_WORTH_SAYING = 1.25
MODEL_NAME = "model.safetensors"
_HEADER_KEY = "img2img"


class ModelSpec(BaseModel):
    """Everything that is needed to rebuild and run one generator without its training config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = Field(description="name in the catalogue of generators")
    arguments: dict[str, Any] = Field(description="arguments the generator is built with")
    in_channels: int = Field(gt=0, le=64, description="channels of the input image")
    out_channels: int = Field(gt=0, le=64, description="channels of the output image")
    value_range: tuple[Literal[-1], Literal[1]] = Field(
        default=(-1, 1), description="what black and white are as numbers, in and out"
    )
    direction: Literal["AtoB", "BtoA"] = Field(description="which way it translates")
    size_multiple: int = Field(gt=0, description="height and width must be multiples of this")
    min_size: int = Field(gt=0, description="smallest height or width it can take, in pixels")
    norm_statistics: Literal["image", "running"] = Field(
        default="image",
        description="where normalisation takes mean and variance from: each image, or averages",
    )
    dropout: bool = Field(default=False, description="whether dropout stays on at inference")
    exact_tiling: bool = Field(
        description="whether tiles with enough overlap can give what the whole image gives"
    )
    crop_size: tuple[PositiveInt, PositiveInt] = Field(
        description="height and width it was trained on, in pixels"
    )
    scale: float = Field(
        gt=0, le=1000, description="pixels of a training image to a pixel of its file; 1 is native"
    )
    style_dim: int = Field(
        default=0, ge=0, le=0, description="length of the style vector it takes; 0: none"
    )
    method: str = Field(description="what trained it")
    steps: int = Field(ge=0, description="generator updates it has had")
    images: int = Field(ge=0, description="images it has seen")


_SPECS = TypeAdapter(dict[str, ModelSpec])


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds."""

    specs: dict[str, ModelSpec]
    """By the generator's name: `G`, or `G_AB` and `G_BA`."""
    tensors: dict[str, dict[str, Tensor]]
    """By the generator's name: its state_dict."""
    version: str
    """The version of img2img that wrote it."""

    def generator(self, name: str) -> Generator:
        """Rebuild one generator, ready for inference as its spec says."""
        return build_generator(self.specs[name], self.tensors[name])


def save_model(
    path: Path, specs: Mapping[str, ModelSpec], generators: Mapping[str, nn.Module]
) -> None:
    """Write generators and their specs as one model file.

    Raises:
        StorageError: the disk refused; what stood at `path` before is intact.
    """
    tensors = {
        f"{name}.{key}": tensor
        for name, generator in generators.items()
        for key, tensor in generator.state_dict().items()
    }
    header = {"generators": {name: spec.model_dump(mode="json") for name, spec in specs.items()}}
    _write(path, "model", tensors, header)


def load_model(path: Path) -> ModelFile:
    """Read a model file, or the one in a run folder. Nothing in it is executed.

    Raises:
        ModelFileError: there is none, it is damaged, or it is something else.
    """
    file = path / MODEL_NAME if path.is_dir() else path
    if not file.is_file():
        hint = ": the run has saved no model yet" if path.is_dir() else ""
        raise ModelFileError(f"{file}: no such file{hint}")
    tensors, header = _read(file, "model")
    try:
        specs = _SPECS.validate_python(header["generators"])
    except (ValidationError, KeyError) as error:
        reason = _first_reason(error)
        raise ModelFileError(f"{file}: its description does not fit: {reason}") from None
    if not specs:
        raise ModelFileError(f"{file}: holds no generator")
    states: dict[str, dict[str, Tensor]] = {name: {} for name in specs}
    for key, tensor in tensors.items():
        name, _, rest = key.partition(".")
        if name not in states:
            raise ModelFileError(f"{file}: a tensor of no generator: {shortened(repr(key))}")
        states[name][rest] = tensor
    return ModelFile(specs, states, str(header.get("version", "unknown")))


def build_generator(spec: ModelSpec, tensors: Mapping[str, Tensor]) -> Generator:
    """A generator with these weights, in float32 on the CPU, set up for inference.

    Raises:
        ModelFileError: no such architecture here, or weights that do not fit it.
    """
    section = Component.model_validate({**spec.arguments, "name": spec.architecture})
    try:
        # Without storage first: a file that asks for an absurd size costs nothing before its
        # tensors are compared with it.
        with torch.device("meta"):
            generator = GENERATORS.build(
                section, "generator", in_channels=spec.in_channels, out_channels=spec.out_channels
            )
        generator.load_state_dict(dict(tensors), assign=True)
        for name, tensor in tensors.items():
            if tensor.is_complex() or not tensor.isfinite().all():
                raise ModelFileError(f"{name} holds other than finite numbers")
        needs = (generator.size_multiple, generator.min_size, generator.local)
        if needs != (spec.size_multiple, spec.min_size, spec.exact_tiling):
            raise ModelFileError("its sizes are not those of its architecture")
    except (Img2ImgError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        reason = shortened(" ".join(str(error).split()))
        raise ModelFileError(f"the model's weights do not fit it: {reason}") from None
    prepare_for_inference(generator, spec)
    return generator.float().requires_grad_(False)


def prepare_for_inference(generator: nn.Module, spec: ModelSpec) -> None:
    """Set dropout and the source of normalisation statistics as the spec says."""
    running = spec.norm_statistics == "running"
    use_statistics(generator, RunningStatistics() if running else ImageStatistics())
    generator.eval()
    for module in generator.modules():
        if isinstance(module, nn.Dropout):
            module.train(spec.dropout)


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
    tensors, header = _read(path, "state")
    tree: dict[str, Any] = _put_tensors(header["tree"], tensors)
    return tree


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
            save_file(stored, temporary, metadata={_HEADER_KEY: json.dumps(header)})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def _read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Cloned, since what safetensors hands out may be a view of the open file, which
            # could then not be replaced on Windows.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        reason = shortened(str(error))
        raise ModelFileError(f"{path}: not a readable safetensors file: {reason}") from None
    except (RuntimeError, MemoryError) as error:  # what it says when it cannot map the file
        raise ModelFileError(f"{path}: cannot be read: {shortened(str(error))}") from None
    try:
        header = json.loads(metadata[_HEADER_KEY])
        found, version = header["kind"], header["format_version"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelFileError(f"{path}: a safetensors file, but not one of img2img") from None
    if version != FORMAT_VERSION:
        other = shortened(repr(version))
        raise ModelFileError(f"{path}: format {other}; this version reads {FORMAT_VERSION}")
    if found != kind:
        other = found if found in ("model", "state") else "strange"
        raise ModelFileError(f"{path}: a {other} file, where a {kind} file is wanted")
    if header.pop("checksum", None) != _checksum(tensors, header):
        raise ModelFileError(f"{path}: damaged: its checksum does not match")
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


def _put_tensors(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `_take_tensors`; tuples have become lists."""
    if isinstance(tree, dict):
        if "tensor" in tree:
            return tensors[tree["tensor"]]
        return {key: _put_tensors(value, tensors) for key, value in tree["dict"]}
    if isinstance(tree, list):
        return [_put_tensors(value, tensors) for value in tree]
    return tree


def _first_reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        detail = error.errors()[0]
        return shortened(": ".join([*map(str, detail["loc"]), detail["msg"]]))
    return f"{type(error).__name__}: {error}"
