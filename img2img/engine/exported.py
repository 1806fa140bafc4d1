"""An exported model as a generator, so that all that translates pictures runs it, too.

A file of a stranger is opened: nothing in it is executed but the operators of its runtime, and no
other file is read but the weights that OpenVINO keeps beside its own.
"""

import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from img2img import __version__
from img2img.config import Component
from img2img.engine.backends.onnx import onnx_session
from img2img.engine.backends.openvino import compiled, openvino_package
from img2img.engine.exportable import Fixed
from img2img.engine.file_checks import GROWING, check_size, onnx_text, openvino_text
from img2img.engine.onnx_export import missing_packages
from img2img.errors import (
    ConfigError,
    ImageError,
    Img2ImgError,
    ModelFileError,
    nearest_path,
    shortened,
)
from img2img.models.spec import ModelSpec
from img2img.networks import GENERATORS, Generator
from img2img.runtime.devices import is_out_of_memory

Array = NDArray[Any]
Run = Callable[[Array], Array]

METADATA_KEY = "img2img"
# How far from a whole grey level the values of 8-bit pictures are, by rounding.
_WHOLE = 0.01


class Description(BaseModel):
    """What an exported model says of itself, as JSON under `METADATA_KEY`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    version: str = __version__
    """The version of img2img that wrote it."""
    generator: str
    """Its name in the model that it was exported from."""
    pixels: bool
    """Whether uint8 [N, H, W, 3] goes in and comes out, not float32 [N, 3, H, W]."""
    half: bool
    """Whether its weights are float16."""
    batch: int | None = None
    """How many images go through at once; None: any number."""
    size: tuple[int, int] | None = None
    """Height and width of all images; None: any that the generator takes."""
    spec: ModelSpec

    @property
    def fixed(self) -> Fixed:
        return Fixed(self.batch, self.size)


class Opened(ABC):
    """A file that one runtime runs, read and not yet made ready.

    Args:
        path: of the file.

    Raises:
        ModelFileError: it cannot be read.
    """

    @abstractmethod
    def __init__(self, path: Path) -> None: ...

    @staticmethod
    @abstractmethod
    def missing() -> str | None:
        """What is not installed and how to get it; None when the runtime is here."""

    @staticmethod
    @abstractmethod
    def files(path: Path) -> list[Path]:
        """The files that it consists of.

        Raises:
            ModelFileError: one is missing.
        """

    @staticmethod
    @abstractmethod
    def text(path: Path) -> str | None:
        """What it says of itself, found without the runtime; None: it is not one of ours.

        Raises:
            ModelFileError: it is not readable.
        """

    checksum: int
    pixels: bool
    """Whether its input is uint8."""

    @abstractmethod
    def start(self) -> Run:
        """Make it ready: a function that several threads may call."""


class OpenedOnnx(Opened):
    """An ONNX model, for ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        import onnx

        self._model = path.read_bytes()
        self.checksum = zlib.crc32(self._model)
        try:
            model = onnx.load_model_from_string(self._model)
        except Exception as error:  # protobuf's, which has several implementations
            raise ModelFileError(f"{path}: not a readable ONNX model: {_reason(error)}") from None
        external = onnx.TensorProto.EXTERNAL
        for part in _parts(model):
            if getattr(part, "data_location", None) == external:
                raise ModelFileError(f"{path}: has weights in other files, which are not read")
            if (operator := getattr(part, "op_type", None)) in GROWING:
                raise ModelFileError(
                    f"{path}: has an operator that img2img never exports: {operator}"
                )
        types = [value.type.tensor_type.elem_type for value in model.graph.input]
        self.pixels = types == [onnx.TensorProto.UINT8]

    @staticmethod
    def files(path: Path) -> list[Path]:
        return [path]

    @staticmethod
    def text(path: Path) -> str | None:
        return onnx_text(path, METADATA_KEY)

    @staticmethod
    def missing() -> str | None:
        return missing_packages("onnx", "onnxruntime", "onnx")

    def start(self) -> Run:
        session = onnx_session(self._model)
        (name,) = (value.name for value in session.get_inputs())
        return lambda x: session.run(None, {name: x})[0]


class OpenedOpenVino(Opened):
    """An OpenVINO model: an `.xml` file, and its weights in a `.bin` file beside it."""

    def __init__(self, path: Path) -> None:
        _, weights = self.files(path)
        openvino = openvino_package()
        self._core = openvino.Core()
        self._core.set_property({"ENABLE_MMAP": False})  # so that the files may be replaced
        self.checksum = zlib.crc32(weights.read_bytes(), zlib.crc32(path.read_bytes()))
        try:
            self._model = self._core.read_model(path, weights)
            self.pixels = self._model.input().element_type == openvino.Type.u8
        except Exception as error:
            raise ModelFileError(
                f"{path}: not a readable OpenVINO model: {_reason(error)}"
            ) from None

    @staticmethod
    def files(path: Path) -> list[Path]:
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise ModelFileError(f"{path}: its weights are missing: {weights.name}")
        return [path, weights]

    @staticmethod
    def text(path: Path) -> str | None:
        return openvino_text(path, METADATA_KEY)

    @staticmethod
    def missing() -> str | None:
        return missing_packages("openvino", "openvino")

    def start(self) -> Run:
        model, lock = compiled(self._core, self._model, "f32"), threading.Lock()

        def run(x: Array) -> Array:
            with lock:
                result: Array = model(x)[0].copy()
            return result

        return run


OPENED: dict[str, type[Opened]] = {".onnx": OpenedOnnx, ".xml": OpenedOpenVino}


def is_exported(path: Path) -> bool:
    """Whether a path names an exported model, of a kind that is run or not; else a model file."""
    return path.suffix.lower() in {*OPENED, ".pt2"} and not path.is_dir()


def open_exported(path: Path) -> tuple[Description, Opened]:
    """Read an exported model, which is made ready only by `start`.

    Raises:
        ModelFileError: there is none, it is damaged, or it is not one that img2img exported.
        ConfigError: its runtime is not installed.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file{nearest_path(path)}")
    if suffix not in OPENED:
        raise ModelFileError(
            f"{path}: to open a program of torch.export can run code that is in it, so it is not"
            " done; take the model file, or export to ONNX"
        )
    if reason := OPENED[suffix].missing():
        raise ConfigError(f"{path}: {reason}")
    runtime = OPENED[suffix]
    files = runtime.files(path)
    text = runtime.text(path)
    if text is None:
        raise ModelFileError(f"{path}: not exported by img2img, so what it takes is not known")
    try:
        description = Description.model_validate_json(text)
        network = _layout(description.spec)
    except (ValidationError, Img2ImgError, RuntimeError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{path}: its description is not valid: {_reason(error)}") from None
    check_size(files, network)
    opened = runtime(path)
    if opened.pixels != description.pixels:
        raise ModelFileError(f"{path}: its description is not valid: its input is another")
    return description, opened


class ExportedGenerator(Generator):
    """A generator that another runtime computes: for the CPU, in the precision it has.

    Args:
        description: what the file says.
        run: the file, ready to run.
        checksum: of the file.
        say: told, in a sentence, when pictures lose bits in it.

    Raises:
        ModelFileError: what the description says does not fit together.
    """

    def __init__(
        self, description: Description, run: Run, checksum: int, say: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._spec, self._pixels = description.spec, description.pixels
        self.has_float16 = description.half
        self._fixed = description.fixed
        self._run, self._say = run, say
        self._has_said = False
        # In the state, as the weights of other generators are: results are known by it.
        self.register_buffer("checksum", torch.tensor(checksum))
        layout = self.layout()
        self.size_multiple, self.min_size = layout.size_multiple, layout.min_size
        spec = self._spec
        if (spec.size_multiple, spec.min_size) != (self.size_multiple, self.min_size):
            raise ModelFileError("its sizes are not those of its architecture")

    @classmethod
    def load(cls, path: Path, say: Callable[[str], None]) -> tuple[Self, ModelSpec]:
        """Open a file.

        Raises:
            ModelFileError: it is not one that img2img exported, or it is damaged.
            ConfigError: its runtime is not installed.
        """
        description, opened = open_exported(path)
        try:
            run = opened.start()
            return cls(description, run, opened.checksum, say), description.spec
        except Exception as error:  # whatever the runtime finds wrong
            raise ModelFileError(f"{path}: cannot be run: {_reason(error)}") from None

    def layout(self) -> Generator:
        """The network that it was exported from, without weights, on the meta device."""
        return _layout(self._spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # there is nothing in it that could be changed

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Translate [N, 3, H, W].

        Raises:
            ImageError: the runtime cannot do that.
        """
        height, width = x.shape[2:]
        if self._fixed.size not in (None, (height, width)):
            wanted = " x ".join(map(str, reversed(self._fixed.size or ())))
            raise ImageError(
                f"the exported model takes pictures of {wanted} pixels, not {width} x"
                f" {height}: export it without --size for other sizes"
            )
        given = self._levels(x) if self._pixels else x
        try:
            result = self._computed(given)
        except Exception as error:
            if is_out_of_memory(error):
                raise MemoryError(str(error)) from None
            raise ImageError(
                f"the exported model fails at {width} x {height} pixels: {_reason(error)}"
            ) from None
        if result.is_floating_point() and not result.isfinite().all():
            raise ImageError("the exported model gives other than finite numbers")
        if (result.shape, result.dtype) != (given.shape, given.dtype):
            raise ImageError(f"the exported model gives no picture of {width} x {height} pixels")
        return self._values(result) if self._pixels else result

    def _computed(self, x: Tensor) -> Tensor:
        """What the file gives, as many images at a time as it takes."""
        count = self._fixed.batch
        if count is None:
            return torch.from_numpy(self._run(x.contiguous().numpy()))
        # The last ones are filled up with the last image, whose statistics no other one has.
        whole = torch.cat([x, x[-1:].expand(-len(x) % count, *x.shape[1:])])
        parts = [self._run(part.contiguous().numpy()) for part in torch.split(whole, count)]
        return torch.cat([torch.from_numpy(part) for part in parts])[: len(x)]

    def _levels(self, x: Tensor) -> Tensor:
        """As uint8 [N, H, W, 3]."""
        black, white = self._spec.value_range
        levels = (x - black) * (255 / (white - black))
        whole = levels.round()
        if not self._has_said and bool(((levels - whole).abs() > _WHOLE).any()):
            self._has_said = True
            self._say("the exported model takes and gives 8 bits: pictures of more lose them")
        return whole.clamp_(0, 255).to(torch.uint8).movedim(1, -1)

    def _values(self, levels: Tensor) -> Tensor:
        black, white = self._spec.value_range
        return levels.movedim(-1, 1).float() * ((white - black) / 255) + black


def _layout(spec: ModelSpec) -> Generator:
    """The network of a description, without weights."""
    section = Component.model_validate({**spec.arguments, "name": spec.architecture})
    with torch.device("meta"):
        return GENERATORS.build(
            section, "generator", in_channels=spec.in_channels, out_channels=spec.out_channels
        )


def _parts(message: Any) -> Iterator[Any]:
    """A protobuf message and all that are in it."""
    todo = [message]
    while todo:
        part = todo.pop()
        yield part
        for field, value in part.ListFields():
            if field.message_type is not None:
                todo.extend([value] if hasattr(value, "ListFields") else value)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        detail = error.errors()[0]
        return shortened(": ".join([*map(str, detail["loc"]), detail["msg"]]))
    return shortened(" ".join(str(error).split()))
