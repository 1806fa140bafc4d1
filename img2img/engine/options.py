"""How a model translates: every option, its default and its meaning, written down once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from img2img.config import Direction
from img2img.engine.sizing import AppliedScale, Scale, Size
from img2img.errors import ConfigError
from img2img.images import MAX_PIXELS
from img2img.runtime.devices import DTYPES, PrecisionName

Precision = Literal["auto"] | PrecisionName
Statistics = Literal["image", "running"]
Tile = Literal["auto", "off"] | int
TileNorm = Literal["whole", "local"]
OnPart = Callable[[int, int], None]
"""Called with (parts done, parts) of one picture."""


@dataclass(frozen=True, kw_only=True)
class TranslatorOptions:
    """How a model translates. `Translator` and `Translator.load` also take each as a keyword.

    Raises:
        ConfigError: a value is out of range, or two do not go together; it names the option.
    """

    device: str | Sequence[str] = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`; several devices share the pictures."""
    precision: Precision = "auto"
    """What the network computes in. `auto`: the fastest type that the device has units for; its
    first results are verified against float32, which replaces it if they differ too much. Pictures
    of more than 8 bits are then computed in float32."""
    backend: str = "auto"
    """A name from `img2img list backends`; `auto`: eager PyTorch, and in long jobs the fastest
    backend that is installed and verified against it."""
    batch: int | None = None
    """Pictures of one size to run together; None: as many as suit their size. It does not change
    results."""
    scale: Scale = "auto"
    """The size at which pictures are translated. `native`: their own. `trained`: they are resized
    as the training images were, translated, and resized back. `auto`: `trained` where that changes
    the sides by more than 1.5 times, otherwise `native`."""
    resize: Size | None = None
    """Height and width of all results, in pixels; None: each picture's own."""
    max_side: int | None = None
    """Maximum height and width of a result, in pixels; larger pictures are reduced."""
    even: bool = False
    """Let `max_side` reduce to even sizes, which most video encoders require."""
    truncate: bool = False
    """Round colours down, as the reference implementation does, instead of to the nearest."""
    tile: Tile = "auto"
    """Which pictures are split: `auto`: those that are too large for memory; `off`: none; a number:
    all that are larger than so many pixels to a side. A network with a bounded receptive field,
    such as the ResNet, runs over strips, and the result is identical to the unsplit one up to
    rounding; any other runs over blended tiles, which approximates."""
    tile_norm: TileNorm = "whole"
    """`local`: overlapping tiles, each normalised by its own statistics, for every network."""
    smooth: float | None = None
    """For the frames of one video in their order: normalisation statistics are an exponential
    moving average over about so many frames, at least 1. Frames run one at a time, in eager PyTorch
    on one device; frames that are split have their own statistics."""
    max_memory: str | None = None
    """Limit on main memory beside the model: a size such as `4GB`, or a share of what is free, such
    as `50%`; None: half of it. Pictures that need more are split; GPU memory does not count."""
    direction: Direction | None = None
    """Translation direction of a model that has both; None: `AtoB` if it has that. For
    `Translator.load`."""
    statistics: Statistics | None = None
    """Where normalisation takes mean and variance from: each image, or the running averages of
    training; None: as the model file says. For `Translator.load`."""
    reference_exact: bool = False
    """Compute as the test script of the reference implementation does: float32, colours rounded
    down, and dropout on if the model was trained with it (of an imported model: if `import` was
    told so), so that no two results are alike. With running statistics as in its evaluation mode,
    where dropout is off. For `Translator.load`."""
    progress: OnPart | None = field(default=None, compare=False)
    """Called with (parts done, parts) while a picture is translated in parts."""
    say: Callable[[str], None] | None = field(default=None, compare=False)
    """Called with a sentence that the user should know of; None: a Python warning."""

    def __post_init__(self) -> None:
        _check_choice("scale", self.scale, ("auto", *get_args(AppliedScale)))
        _check_choice("tile_norm", self.tile_norm, get_args(TileNorm))
        _check_choice("precision", self.precision, ("auto", *DTYPES))
        _check_choice("direction", self.direction, (None, *get_args(Direction)))
        _check_choice("statistics", self.statistics, (None, *get_args(Statistics)))
        if not isinstance(self.tile, int):
            _check_choice("tile", self.tile, ("auto", "off"))
        numbers = {"batch": self.batch, "max_side": self.max_side, "tile": self.tile}
        for name, number in (numbers | {"smooth": self.smooth}).items():
            if isinstance(number, int | float) and not number >= 1:
                raise ConfigError(f"{name}: {number} is not a number of at least 1")
        resize = self.resize
        if resize and not (min(resize) > 0 and resize[0] * resize[1] <= MAX_PIXELS):
            raise ConfigError(f"resize: {resize[1]} x {resize[0]} pixels are not 1 to {MAX_PIXELS}")
        if not self.devices:
            raise ConfigError("device: the list is empty")
        if self.smooth is not None and (
            self.backend not in ("auto", "eager") or len(self.devices) > 1
        ):
            raise ConfigError("smooth: only in eager PyTorch and on one device")

    @property
    def devices(self) -> Sequence[str]:
        """The devices, of which there may be one."""
        return [self.device] if isinstance(self.device, str) else self.device

    @property
    def settings(self) -> tuple[object, ...]:
        """What may change results, beside the model, the backend and its precision."""
        return (
            *(self.scale, self.resize, self.max_side, self.truncate, self.precision),
            *(self.tile, self.tile_norm, self.smooth, self.even),
        )


def _check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse a value that is not allowed.

    Raises:
        ConfigError: names the option and what is allowed.
    """
    if value not in allowed:
        names = ", ".join(str(each) for each in allowed if each is not None)
        raise ConfigError(f"{name}: {value!r} is not one of {names}")
