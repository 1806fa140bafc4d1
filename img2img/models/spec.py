"""The specification of a network, stored with its weights, from which it can be rebuilt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, computed_field, model_validator
from torch import Tensor, nn

from img2img.config import Direction
from img2img.errors import Img2ImgError, ModelFileError, shortened
from img2img.images.channels import channel_names
from img2img.images.display import with_views
from img2img.images.domain import MOST_CLASSES, MOST_NOISE, Domain, Name
from img2img.networks import Generator, without_storage
from img2img.networks.norms import (
    ImageStatistics,
    RunningStatistics,
    use_statistics,
)

# The `method` of a model that was not trained by img2img.
ANOTHER_PROGRAM = "another program"
# The channels of a discriminator that sees a label map beside another.
MOST_SEEN = 2 * (MOST_CLASSES + 1)
# Training images that were enlarged or reduced by more than this are worth a notice.
SCALE_WORTH_SAYING = 1.25


class ModelSpec(BaseModel):
    """Everything needed to rebuild and run a generator without its training configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = Field(description="its name in `img2img list generators`")
    arguments: dict[str, Any] = Field(description="arguments it is built with")
    input: Domain = Field(description="channels and values of its input images")
    output: Domain = Field(description="channels and values of its output images")
    value_range: tuple[Literal[-1], Literal[1]] = Field(
        default=(-1, 1),
        description="the network's numbers for `low` and `high` of input and output",
    )
    direction: Direction = Field(description="translation direction")
    size_multiple: int = Field(gt=0, description="height and width must be multiples of this")
    min_size: int = Field(gt=0, description="smallest height and width it accepts, in pixels")
    norm_statistics: Literal["image", "running"] = Field(
        default="image",
        description="statistics for normalisation: those of each image, or running averages",
    )
    dropout: bool = Field(default=False, description="whether dropout stays on at inference")
    exact_tiling: bool = Field(
        description="whether an image translated in parts gives the same result"
    )
    crop_size: tuple[PositiveInt, PositiveInt] = Field(
        description="height and width of the training crops, in pixels"
    )
    scale: float = Field(
        gt=0,
        le=1000,
        description="factor by which training resized the image files; 1: not resized",
    )
    image_size: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="typical height and width of the training files (the median by area);"
        " null: unknown, or the files were not resized",
    )
    style_dim: int = Field(
        default=0, ge=0, le=65536, description="length of its style vector; 0: it takes none"
    )
    labels: tuple[Name, ...] = Field(
        default=(), max_length=1000, description="names of the labels it translates between, if any"
    )
    method: str = Field(description="training method")
    steps: int = Field(ge=0, description="number of training steps")
    images: int = Field(ge=0, description="number of images seen in training")

    @classmethod
    def of(cls, generator: Generator, **fields: Any) -> Self:
        """Of a generator that `Translator` takes; `fields` replace and complete what it says.

        Unless they say otherwise, it translates 8-bit RGB images, A to B, at their own size.
        """
        rgb = Domain(dtype="uint8")
        known = {
            "architecture": type(generator).__name__,
            "arguments": {},
            "input": rgb,
            "output": rgb,
            "direction": "AtoB",
            "size_multiple": generator.size_multiple,
            "min_size": generator.min_size,
            "norm_statistics": generator.norm_statistics,
            "exact_tiling": generator.local,
            "crop_size": (256, 256),
            "scale": 1.0,
            "style_dim": generator.style_dim,
            "method": ANOTHER_PROGRAM,
            "steps": 0,
            "images": 0,
        }
        return cls(**known | fields)

    @model_validator(mode="before")
    @classmethod
    def _counts_and_domains(cls, given: Any) -> Any:
        """Check the channel counts in a file; earlier versions wrote them instead of domains."""
        if not isinstance(given, Mapping):
            return given
        spec = dict(given)
        for side, key in ("input", "in_channels"), ("output", "out_channels"):
            if key not in spec:
                continue
            count = spec.pop(key)
            if not isinstance(count, int) or not 0 < count <= MOST_NOISE:
                raise ValueError(f"{key} is not from 1 to {MOST_NOISE}")
            domain = spec.get(side)
            if domain is None:
                spec[side] = Domain.of_type("uint8", count)
            elif isinstance(domain, Mapping):
                spec[side] = domain = {"channels": channel_names(count), **domain}
                if count != len(domain["channels"]):
                    raise ValueError(f"{key} is {count}, but {side} has {len(domain['channels'])}")
        return spec

    @computed_field  # type: ignore[prop-decorator]
    @property
    def in_channels(self) -> int:
        """Number of input channels."""
        return len(self.input.channels)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return len(self.output.channels)

    def shown(self, wanted: Sequence[str]) -> Self:
        """The specification with images shown otherwise; see `images.display.with_views`.

        Raises:
            ConfigError: there are no such channels.
        """
        if not wanted:
            return self
        domains = with_views(self.domains, wanted)
        sides = {"input": domains[self.direction[0]], "output": domains[self.direction[-1]]}
        return self.model_copy(update=sides)

    @property
    def reversible(self) -> bool:
        """Whether results can be translated back: not if that takes neighbours of slices, too."""
        return not any(each.neighbours for each in self.output.by_input.values())

    @property
    def domains(self) -> dict[str, Domain]:
        """The domains of `A` and `B`."""
        return {self.direction[0]: self.input, self.direction[-1]: self.output}

    @property
    def domains_measured(self) -> dict[str, Domain]:
        """The same, the results' to measure them by."""
        return self.domains | {self.direction[-1]: self.output.measured}


class DiscriminatorSpec(BaseModel):
    """Everything needed to rebuild a discriminator, which only training uses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = Field(description="its name in `img2img list discriminators`")
    arguments: dict[str, Any] = Field(description="arguments it is built with")
    in_channels: int = Field(gt=0, le=MOST_SEEN, description="number of input channels")


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file."""

    specs: dict[str, ModelSpec]
    """The specification of each generator, by its name: `G`, or `G_AB` and `G_BA`."""
    tensors: dict[str, dict[str, Tensor]]
    """The state_dict of each network, by its name."""
    origin: str
    """The program that wrote it, such as `img2img 0.1.0`."""
    discriminators: dict[str, DiscriminatorSpec] = field(default_factory=dict)
    """The specification of each discriminator, `D`, or `D_A` and `D_B`; most files have none."""
    path: Path | None = None
    """The file that it was read from."""

    def generator(self, name: str) -> Generator:
        """Rebuild a generator, set up for inference according to its specification."""
        try:
            return build_generator(self.specs[name], self.tensors[name])
        except ModelFileError as error:
            if self.path is None:
                raise
            raise ModelFileError.of(self.path, error.reason) from None


def rebuilt(spec: ModelSpec | DiscriminatorSpec, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A network that uses these tensors, of which only names and shapes are checked.

    Raises:
        ModelFileError: the architecture is unknown, or the weights do not fit it.
    """
    channels = {"in_channels": spec.in_channels}
    if isinstance(spec, ModelSpec):
        channels["out_channels"] = spec.out_channels
    try:
        # Without storage first: a file that asks for an absurd size costs nothing before its
        # tensors are compared with it.
        network = without_storage(spec.architecture, spec.arguments, **channels)
        for name, own in network.state_dict().items():
            if name in tensors and tensors[name].shape != own.shape:
                numbers = ", ".join(f"{key} {count}" for key, count in channels.items())
                raise _unfitting(
                    f"{name} is {_shape(tensors[name])}, but the description ({numbers}) requires"
                    f" {_shape(own)}"
                )
        network.load_state_dict(dict(tensors), assign=True)
    except ModelFileError:
        raise
    except (Img2ImgError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise _unfitting(error) from None
    return network


def build_generator(spec: ModelSpec, tensors: Mapping[str, Tensor]) -> Generator:
    """A generator with these weights, in float32 on the CPU, set up for inference.

    Raises:
        ModelFileError: the architecture is unknown, or the weights do not fit it.
    """
    for name, tensor in tensors.items():
        _check_numbers(name, tensor)
    generator = rebuilt(spec, tensors)
    assert isinstance(generator, Generator)
    needs = (generator.size_multiple, generator.min_size, generator.local, generator.style_dim)
    if needs != (spec.size_multiple, spec.min_size, spec.exact_tiling, spec.style_dim):
        raise _unfitting("its sizes are not those of its architecture")
    prepare_for_inference(generator, spec)
    return generator.float().requires_grad_(False)


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"


def _unfitting(reason: object) -> ModelFileError:
    text = shortened(" ".join(str(reason).split()))
    return ModelFileError(f"the weights do not fit the model's description: {text}")


def _check_numbers(name: str, tensor: Tensor) -> None:
    if name.endswith("num_batches_tracked"):
        return
    if not tensor.is_floating_point() or tensor.itemsize < 2:
        raise _unfitting(f"{name} has type {tensor.dtype}, but floating point numbers are needed")
    if not tensor.isfinite().all():
        raise _unfitting(f"{name} contains NaN or infinite numbers")


def prepare_for_inference(generator: nn.Module, spec: ModelSpec) -> None:
    """Set dropout and the source of normalisation statistics according to the specification."""
    running = spec.norm_statistics == "running"
    use_statistics(generator, RunningStatistics() if running else ImageStatistics())
    generator.eval()
    for module in generator.modules():
        if isinstance(module, nn.Dropout):
            module.train(spec.dropout)
