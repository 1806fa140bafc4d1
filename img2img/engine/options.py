"""The options of a translator, with their defaults and meanings."""

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
"""Called with (parts done, total) of one picture."""


@dataclass(frozen=True, kw_only=True)
class TranslatorOptions:
    """How to translate. `Translator` and `Translator.load` also take each field as a keyword.

    Raises:
        ConfigError: a value is out of range, or two contradict each other; it names the option.
    """

    device: str | Sequence[str] = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`. A list of several devices shares the pictures."""
    precision: Precision = "auto"
    """Numeric precision of the network. `auto`: the fastest that the device supports natively. Its
    first results are verified against float32, which replaces it if they differ too much; pictures
    of more than 8 bits are always translated in float32."""
    backend: str = "auto"
    """A name from `img2img list backends`. `auto`: `winograd` or `eager`, which start at
    once, or, in long jobs, the fastest backend that is installed and gives the same results."""
    batch: int | None = None
    """Maximum number of pictures in a batch; None: chosen by their size. It does not affect
    results."""
    scale: Scale = "auto"
    """The size at which pictures are translated. `native`: their own. `trained`: resized like the
    training images; the results are resized back. `auto`: `trained` if that changes the sides by
    more than a factor of 1.5, otherwise `native`."""
    resize: Size | None = None
    """Height and width of all results, in pixels; None: the size of each picture."""
    max_side: int | None = None
    """Maximum height and width of a result, in pixels; larger pictures are reduced."""
    even: bool = False
    """Make `max_side` reduce to even sizes, which most video encoders require."""
    truncate: bool = False
    """Round colours down, as the reference implementation does, instead of to the nearest."""
    tile: Tile = "auto"
    """Which pictures to split. `auto`: those too large for memory. `off`: none. A number: those
    with a side of more pixels. A network with a bounded receptive field, such as the ResNet, runs
    over strips, and the result is identical to the unsplit one up to rounding. Any other network
    runs over blended tiles, which is an approximation."""
    tile_norm: TileNorm = "whole"
    """`whole`: normalise with the statistics of the whole picture, where `tile` says it is exact.
    `local`: use blended tiles for every network, each normalised with its own statistics."""
    smooth: float | None = None
    """For the frames of one video, in order: average normalisation statistics exponentially over
    about this many frames, at least 1. Frames then run one at a time, in eager PyTorch on one
    device; frames that are split use their own statistics."""
    max_memory: str | None = None
    """Limit on main memory, besides the model: a size such as `4GB`, or a share of the free memory
    such as `50%`; None: half of it. Pictures that need more are split. GPU memory is not
    included."""
    direction: Direction | None = None
    """Translation direction of a two-way model; None: `AtoB` if it has that. Only for
    `Translator.load`."""
    statistics: Statistics | None = None
    """Statistics for normalisation: those of each image, or the running averages of training; None:
    as the model file says. Only for `Translator.load`."""
    reference_exact: bool = False
    """Reproduce the reference implementation's test script: float32, colours rounded down, and
    dropout on if the model was trained with it (for an imported model: if `import` was told so),
    which makes results random. With running statistics, reproduce its evaluation mode, which turns
    dropout off. Only for `Translator.load`."""
    show: Sequence[str] = ()
    """How pages and comparisons show the images: channels by number or name, as `4,3,2`, or one
    and its colour map, `1:viridis`; of one domain `A=4,3,2`. By default as in training."""
    progress: OnPart | None = field(default=None, compare=False)
    """Called with (parts done, total) while a picture is translated in parts."""
    say: Callable[[str], None] | None = field(default=None, compare=False)
    """Called with a sentence that the user should see; None: a Python warning."""

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
                raise ConfigError(f"`{name}`: {number} is less than 1")
        resize = self.resize
        if resize and not (min(resize) > 0 and resize[0] * resize[1] <= MAX_PIXELS):
            raise ConfigError(
                f"`resize`: {resize[1]} x {resize[0]} is not between 1 and {MAX_PIXELS} pixels"
            )
        if not self.devices:
            raise ConfigError("`device`: the list is empty; name at least one device")
        if self.smooth is not None and (
            self.backend not in ("auto", "eager") or len(self.devices) > 1
        ):
            raise ConfigError("`smooth`: needs `backend=eager` and a single `device`")

    @property
    def devices(self) -> Sequence[str]:
        """The devices, also if there is only one."""
        return [self.device] if isinstance(self.device, str) else self.device

    @property
    def settings(self) -> tuple[object, ...]:
        """The options that may affect results, besides the backend and its precision."""
        return (
            *(self.scale, self.resize, self.max_side, self.truncate, self.precision),
            *(self.tile, self.tile_norm, self.smooth, self.even),
        )


def _check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse a value that is not allowed.

    Raises:
        ConfigError: it is not; the message names the option and the allowed values.
    """
    if value not in allowed:
        names = ", ".join(str(each) for each in allowed if each is not None)
        raise ConfigError(f"`{name}`: {value!r} is not one of {names}")
