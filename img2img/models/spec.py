"""What a network is, in words that rebuild it: the specification that travels with its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, computed_field, model_validator
from torch import Tensor, nn

from img2img.config import Direction
from img2img.errors import Img2ImgError, ModelFileError, shortened
from img2img.images.domain import MOST_NOISE, Domain, Name, channel_names
from img2img.networks import Generator, without_storage
from img2img.networks.norms import (
    ImageStatistics,
    RunningStatistics,
    use_statistics,
)

# What stands as its method in the description of a model that was not trained here.
ANOTHER_PROGRAM = "another program"
# Training images that were enlarged or reduced by more than this are worth a notice.
SCALE_WORTH_SAYING = 1.25


class ModelSpec(BaseModel):
    """Everything that is needed to rebuild and run one generator without its training config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = Field(description="name in the catalogue of generators")
    arguments: dict[str, Any] = Field(description="arguments the generator is built with")
    input: Domain = Field(description="what the images are that it takes")
    output: Domain = Field(description="what the images are that it makes")
    value_range: tuple[Literal[-1], Literal[1]] = Field(
        default=(-1, 1), description="what `low` and `high` of a domain are as numbers, in and out"
    )
    direction: Direction = Field(description="which way it translates")
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
    image_size: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="height and width of the files it was trained on, of one with the median area;"
        " null: not known, or they were not resized",
    )
    style_dim: int = Field(
        default=0, ge=0, le=65536, description="length of the style vector it takes; 0: none"
    )
    labels: tuple[Name, ...] = Field(
        default=(), max_length=1000, description="domains it translates between, where by label"
    )
    method: str = Field(description="what trained it")
    steps: int = Field(ge=0, description="generator updates it has had")
    images: int = Field(ge=0, description="images it has seen")

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
        """Files have counts of channels, too; earlier versions wrote nothing else, or no names."""
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
        """Channels of the input."""
        return len(self.input.channels)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return len(self.output.channels)

    @property
    def domains(self) -> dict[str, Domain]:
        """What the images of `A` and of `B` are."""
        return {self.direction[0]: self.input, self.direction[-1]: self.output}


class DiscriminatorSpec(BaseModel):
    """What rebuilds a discriminator, which only training needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = Field(description="name in the catalogue of discriminators")
    arguments: dict[str, Any] = Field(description="arguments the discriminator is built with")
    in_channels: int = Field(gt=0, le=128, description="channels of what it judges")


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds."""

    specs: dict[str, ModelSpec]
    """By the generator's name: `G`, or `G_AB` and `G_BA`."""
    tensors: dict[str, dict[str, Tensor]]
    """By the network's name: its state_dict."""
    origin: str
    """What wrote it, as `img2img 0.1.0`."""
    discriminators: dict[str, DiscriminatorSpec] = field(default_factory=dict)
    """By the discriminator's name: `D`, or `D_A` and `D_B`. Few files have any."""
    path: Path | None = None
    """The file that it was read from."""

    def generator(self, name: str) -> Generator:
        """Rebuild one generator, ready for inference as its spec says."""
        try:
            return build_generator(self.specs[name], self.tensors[name])
        except ModelFileError as error:
            if self.path is None:
                raise
            raise ModelFileError.of(self.path, error.reason) from None


def rebuilt(spec: ModelSpec | DiscriminatorSpec, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A network that has these very tensors. Only their names and shapes are looked at.

    Raises:
        ModelFileError: no such architecture here, or weights that do not fit it.
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
                    f"{name} is {_shape(tensors[name])}, but as described ({numbers}) it would be"
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
        ModelFileError: no such architecture here, or weights that do not fit it.
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
    return ModelFileError(f"the model's weights do not fit it: {text}")


def _check_numbers(name: str, tensor: Tensor) -> None:
    if name.endswith("num_batches_tracked"):
        return
    if not tensor.is_floating_point() or tensor.itemsize < 2:
        raise _unfitting(f"{name} holds {tensor.dtype}, where real numbers are wanted")
    if not tensor.isfinite().all():
        raise _unfitting(f"{name} holds other than finite numbers")


def prepare_for_inference(generator: nn.Module, spec: ModelSpec) -> None:
    """Set dropout and the source of normalisation statistics as the spec says."""
    running = spec.norm_statistics == "running"
    use_statistics(generator, RunningStatistics() if running else ImageStatistics())
    generator.eval()
    for module in generator.modules():
        if isinstance(module, nn.Dropout):
            module.train(spec.dropout)
