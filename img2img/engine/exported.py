"""An exported model (ONNX, OpenVINO) as a backend.

The file may come from a stranger: nothing in it is executed except the operators of its runtime,
and no other file is read except the weights that OpenVINO keeps next to it.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self, cast

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from img2img import __version__
from img2img.engine.backends.base import Backend, split_for
from img2img.engine.backends.file import Run, RuntimeFile, one_line
from img2img.engine.backends.onnx import OnnxFile
from img2img.engine.backends.openvino import OpenVinoFile
from img2img.engine.exportable import Fixed
from img2img.engine.file_checks import check_size
from img2img.errors import (
    ConfigError,
    ImageError,
    Img2ImgError,
    ModelFileError,
    nearest_path,
    shortened,
)
from img2img.models.spec import ModelSpec
from img2img.networks import Generator, without_storage
from img2img.runtime.devices import is_out_of_memory

METADATA_KEY = "img2img"
RUNTIMES: dict[str, type[RuntimeFile]] = {".onnx": OnnxFile, ".xml": OpenVinoFile}
"""The runtime of a file, by its suffix."""
# Largest distance of the values of 8-bit pictures from a whole grey level, due to rounding.
_WHOLE = 0.01


class Description(BaseModel):
    """The description in an exported model, as JSON under `METADATA_KEY`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    version: str = __version__
    """The version of img2img that wrote it."""
    generator: str
    """Name of the generator in the model that it was exported from."""
    pixels: bool
    """Whether input and output are uint8 [N, H, W, C] instead of float32 [N, C, H, W]."""
    half: bool
    """Whether the weights are float16."""
    batch: int | None = None
    """Number of images in every batch; None: any."""
    size: tuple[int, int] | None = None
    """Height and width of all images; None: any that the generator accepts."""
    spec: ModelSpec

    @property
    def fixed(self) -> Fixed:
        return Fixed(self.batch, self.size)


def is_exported(path: Path) -> bool:
    """Whether a path names an exported model, even of a kind that is refused, not a model file."""
    return path.suffix.lower() in {*RUNTIMES, ".pt2"} and not path.is_dir()


def open_exported(path: Path) -> tuple[Description, RuntimeFile]:
    """Read an exported model. It is ready to run after `compile`.

    Raises:
        ModelFileError: no such file, it is damaged, or it was not exported by img2img.
        ConfigError: its runtime is not installed.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise ModelFileError.of(path, f"no such file{nearest_path(path)}")
    if suffix not in RUNTIMES:
        raise ModelFileError.of(
            path,
            "opening a torch.export program can run code from the file, so it is refused;"
            " use the model file, or export to ONNX",
        )
    runtime = RUNTIMES[suffix]
    if reason := runtime.missing():
        raise ConfigError.of(path, f"{reason}")
    files = runtime.files(path)
    text = runtime.metadata(path, METADATA_KEY)
    if text is None:
        raise ModelFileError.of(path, "not exported by img2img, so the input it expects is unknown")
    try:
        description = Description.model_validate_json(text)
        network = _layout(description.spec)
    except (ValidationError, Img2ImgError, RuntimeError, TypeError, OverflowError) as error:
        raise ModelFileError.of(path, f"its description is not valid: {_reason(error)}") from None
    check_size(files, network)
    file = runtime(path)
    if file.takes_uint8 != description.pixels:
        raise ModelFileError.of(
            path, "its description is not valid: the input type of its network is another one"
        )
    return description, file


class ExportedModel(Backend):
    """A generator that another runtime computes, on the CPU and in the precision of its file.

    Args:
        description: the description in the file.
        run: the file's network, ready to run.
        checksum: checksum of the file.
        say: called with a sentence when pictures lose bits; None: a Python warning.

    Attributes:
        spec: the specification of the generator that was exported.
        layout: that generator without weights, on the meta device.
        half: whether the weights are float16.

    Raises:
        ModelFileError: the description contradicts itself.
    """

    def __init__(
        self,
        description: Description,
        run: Run,
        checksum: int,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.spec, self.half, self.checksum = description.spec, description.half, checksum
        self.layout = _layout(description.spec)
        self._pixels, self._fixed = description.pixels, description.fixed
        self._run, self._say = run, say or warnings.warn
        self._has_said = False
        sizes = self.layout.size_multiple, self.layout.min_size
        if sizes != (self.spec.size_multiple, self.spec.min_size):
            raise ModelFileError(
                "its `size_multiple` and `min_size` are not those of its architecture"
            )

    @classmethod
    def load(cls, path: Path, say: Callable[[str], None] | None = None) -> Self:
        """Open an exported model and prepare it for running.

        Raises:
            ModelFileError: the file was not exported by img2img, or it is damaged.
            ConfigError: its runtime is not installed.
        """
        description, file = open_exported(path)
        try:
            return cls(description, file.compile(), file.checksum, say)
        except Exception as error:  # whatever the runtime raises
            raise ModelFileError.of(path, f"cannot be run: {_reason(error)}") from None

    def run(self, x: Tensor) -> Tensor:
        """Translate float32 [N, C_in, H, W] in [-1, 1] to float32 [N, C_out, H, W].

        Raises:
            ImageError: the model was exported for another size, or the runtime fails.
        """
        height, width = x.shape[2:]
        if self._fixed.size not in (None, (height, width)):
            expected = " x ".join(map(str, reversed(self._fixed.size or ())))
            raise ImageError(
                f"the exported model takes pictures of {expected} pixels, not {width} x {height};"
                " to translate other sizes, export it without `size`"
            )
        images = self._levels(x) if self._pixels else x
        try:
            result = self._computed(images)
        except Exception as error:
            if is_out_of_memory(error):
                raise MemoryError(str(error)) from None
            raise ImageError(
                f"the exported model failed at {width} x {height} pixels: {_reason(error)}"
            ) from None
        if result.is_floating_point() and not result.isfinite().all():
            raise ImageError("the exported model returned NaN or infinite values")
        channels = self.spec.out_channels
        shape = (height, width, channels) if self._pixels else (channels, height, width)
        if (result.shape, result.dtype) != ((len(x), *shape), images.dtype):
            raise ImageError(
                f"the exported model did not return a picture of {width} x {height} pixels"
            )
        return self._values(result) if self._pixels else result

    def _computed(self, images: Tensor) -> Tensor:
        """The network's output, computed for as many images at a time as it accepts."""
        count = self._fixed.batch
        if count is None:
            parts = split_for(self.layout, images)
        else:
            # Filled up with copies of the last image, as images do not influence each other.
            missing = images[-1:].expand(-len(images) % count, *images.shape[1:])
            parts = torch.split(torch.cat([images, missing]), count)
        results = [torch.from_numpy(self._run(part.contiguous().numpy())) for part in parts]
        return torch.cat(results)[: len(images)]

    def _levels(self, x: Tensor) -> Tensor:
        """As uint8 [N, H, W, C]."""
        black, white = self.spec.value_range
        levels = (x - black) * (255 / (white - black))
        whole = levels.round()
        if not self._has_said and bool(((levels - whole).abs() > _WHOLE).any()):
            self._has_said = True
            self._say(
                "the exported model takes and returns 8 bits per channel, so pictures with more"
                " bits are reduced to 8"
            )
        return whole.clamp_(0, 255).to(torch.uint8).movedim(1, -1)

    def _values(self, levels: Tensor) -> Tensor:
        black, white = self.spec.value_range
        return levels.movedim(-1, 1).float() * ((white - black) / 255) + black


def _layout(spec: ModelSpec) -> Generator:
    """The network that a description is of, without weights."""
    channels = spec.in_channels, spec.out_channels
    return cast(Generator, without_storage(spec.architecture, spec.arguments, *channels))


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        detail = error.errors()[0]
        return shortened(": ".join([*map(str, detail["loc"]), detail["msg"]]))
    return one_line(error)
