"""What the numbers in the files of one side, inputs or targets, mean."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self, cast, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from img2img.errors import ImageError
from img2img.images.channels import RGB, channel_names, counted_channels, with_channels
from img2img.images.depths import (
    Depth,
    Finite,
    Number,
    Pixels,
    ValueRange,
    bands,
    looked_up,
    per_channel,
    type_range,
)
from img2img.images.labels import ClassTable
from img2img.images.packing import Packing
from img2img.images.picture import Pages, Picture, View

Axis = Literal["z", "y", "x"]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Byte = Annotated[int, Field(ge=0, le=255)]

INSTANCES = "instance borders"
MOST_CHANNELS = 64
MOST_CLASSES = 256
MOST_NOISE = 1024
MOST_NEIGHBOURS = 8

# Black and white are the ends of both types.
_EXCHANGEABLE = {"uint8", "uint16"}


class Domain(BaseModel):
    """What the images of one side are, in the numbers of their files.

    8-bit RGB is `Domain(dtype="uint8")`. `low` and `high` may be given as one number for all
    channels; left out, they are the ends of the type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[Name, ...] = Field(
        default=RGB,
        description="names of the channels, or classes, in order: 1 to 64, 256 or 1024 by `kind`",
    )
    kind: Literal["image", "labels", "noise"] = Field(
        default="image",
        description="measured values; or one channel per class, one-hot; or numbers that are drawn,"
        " for which there are no files and the fields below mean nothing",
    )
    dtype: Depth = Field(description="type of the values in the files")
    low: tuple[Finite, ...] = Field(
        default=(), description="per channel: the value that is -1 to the network"
    )
    high: tuple[Finite, ...] = Field(
        default=(), description="per channel: the value that is 1 to the network"
    )
    clip: bool = Field(
        default=True,
        description="whether values end at `low` and `high`; false for what a generator with a"
        " linear output layer makes",
    )
    nodata: Finite | None = Field(
        default=None,
        description="the value of pixels that hold no data, besides NaN; null: all pixels do",
    )
    packing: Packing | None = Field(
        default=None,
        description="how files store the values, where all store them alike, by scale and offset;"
        " null: as they are",
    )
    indexes: tuple[Annotated[int, Field(ge=0, le=65535)], ...] | None = Field(
        default=None, description="of label maps: the value of each class in files with indexes"
    )
    palette: tuple[tuple[Byte, Byte, Byte], ...] | None = Field(
        default=None, description="of label maps: the RGB colour of each class"
    )
    ignore: int | tuple[Byte, Byte, Byte] | None = Field(
        default=None,
        description="of label maps: index or colour of pixels that belong to no class",
    )
    instances: bool = Field(
        default=False,
        description="of label maps: whether the last channel is the borders between instances",
    )
    alpha: Literal["white"] = Field(
        default="white",
        description="transparency: the network sees the image on white, and the result keeps it",
    )
    pages: Pages = Field(
        default="auto", description="what the pages of files are; auto: what the files say"
    )
    axis: Axis = Field(default="z", description="the axis that slices of volumes are taken along")
    neighbours: int = Field(
        default=0,
        ge=0,
        le=MOST_NEIGHBOURS,
        description="slices before and after each one whose channels are channels too",
    )
    inputs: tuple["Domain", ...] = Field(
        default=(),
        max_length=MOST_CHANNELS,
        description="of several images that together are the input: what each of them is; the"
        " channels of the first come first, and begin with its name",
    )

    view: View | None = Field(default=None, description="how its images are shown to people")

    @model_validator(mode="before")
    @classmethod
    def _per_channel(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("dtype") not in get_args(Depth):
            return given
        channels = given.get("channels", RGB)
        count = len(channels) if isinstance(channels, list | tuple) else 1
        low, high = type_range(given["dtype"])
        ends = {"low": low, "high": high} | dict(given)
        if ends.get("kind") == "labels" and not (ends.get("indexes") or ends.get("palette")):
            ends["indexes"] = tuple(range(count - bool(ends.get("instances"))))
        for key in "low", "high":
            if isinstance(ends[key], int | float):
                ends[key] = (ends[key],) * min(count, MOST_NOISE)
        return ends

    @model_validator(mode="after")
    def _fits(self) -> Self:
        least, most = type_range(self.dtype)
        real = self.dtype.startswith("float")
        kinds = {"image": MOST_CHANNELS, "labels": MOST_CLASSES, "noise": MOST_NOISE}
        limit = kinds[self.kind] + self.instances
        if not 1 <= len(self.channels) <= limit:
            raise ValueError(f"{len(self.channels)} channels, but 1 to {limit} are supported")
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("two channels have the same name")
        if not len(self.channels) == len(self.low) == len(self.high):
            raise ValueError(
                f"{len(self.channels)} channels, but {len(self.low)} values in low and"
                f" {len(self.high)} in high"
            )
        for low, high in zip(self.low, self.high, strict=True):
            if not (low < high and (real or least <= low < high <= most)):
                within = "" if real else f", from {least} to {most}"
                raise ValueError(f"a range in {self.dtype} is low < high{within}")
        for codes in self.indexes, self.palette:
            count = len(self.channels) - self.instances
            if codes is not None and len(codes) != count:
                raise ValueError(f"{count} classes, but {len(codes)} in their table")
        if self.nodata is not None and not (real or least <= self.nodata <= most):
            raise ValueError(f"nodata in {self.dtype} is from {least} to {most}")
        if len(self.channels) % (2 * self.neighbours + 1):
            raise ValueError(
                f"{len(self.channels)} channels, but a slice with {self.neighbours} neighbours on"
                f" both sides has a multiple of {2 * self.neighbours + 1}"
            )
        if self.packing and len(self.packing.scales) != len(self.channels):
            raise ValueError(
                f"{len(self.channels)} channels, but {len(self.packing.scales)} in packing"
            )
        if self.inputs and len(self.channels) != sum(len(each.channels) for each in self.inputs):
            raise ValueError(f"{len(self.channels)} channels, but the inputs have others")
        return self

    @classmethod
    def of_type(cls, dtype: Depth, channels: Sequence[str] | int = RGB) -> Self:
        """All values of the type, for channels of these names or of this number."""
        names = channel_names(channels) if isinstance(channels, int) else tuple(channels)
        return cls.model_validate({"dtype": dtype, "channels": names})

    @classmethod
    def noise(cls, channels: Sequence[str]) -> Self:
        """Random numbers as the input, by their names."""
        return cls.model_validate({"kind": "noise", "dtype": "uint8", "channels": tuple(channels)})

    @classmethod
    def beside(cls, inputs: Mapping[str, "Domain"]) -> "Domain":
        """Several images by their names, as the channels of one.

        Its type is the smallest that holds the values of all.
        """
        domains = [*inputs.values()]
        common = np.result_type(*(each.dtype for each in domains))
        return Domain(
            channels=tuple(f"{name}:{c}" for name, each in inputs.items() for c in each.channels),
            dtype=cast(Depth, "float64" if common == np.int64 else common.name),
            low=tuple(low for each in domains for low in each.low),
            high=tuple(high for each in domains for high in each.high),
            view=_together([each.view_used for each in domains], 3),
            inputs=tuple(domains),
        )

    def with_neighbours(self, count: int) -> "Domain":
        """A slice together with as many others before it, and as many after."""
        around = range(-count, count + 1)
        names = (f"{n:+d}:{name}" if n else name for n in around for name in self.channels)
        changes = {"channels": tuple(names), "neighbours": count, "packing": None}
        ends = {"low": self.low * len(around), "high": self.high * len(around)}
        own = self.view_used
        middle = slice(count * len(own.channels), (count + 1) * len(own.channels))
        view = _together([own] * len(around))
        view = replace(view, channels=view.channels[middle], colormap=own.colormap)
        return self.model_copy(update=changes | ends | {"view": view})

    def with_instances(self) -> "Domain":
        """Label maps together with the borders between instances."""
        changes = {"channels": (*self.channels, INSTANCES), "instances": True}
        ends = {"low": (*self.low, self.low[0]), "high": (*self.high, self.high[0])}
        return self.model_copy(update=changes | ends)

    @property
    def alone(self) -> "Domain":
        """A slice without its neighbours; a label map without its instances."""
        if self.instances:
            kept = {key: getattr(self, key)[:-1] for key in ("channels", "low", "high")}
            return self.model_copy(update=kept | {"instances": False})
        if not self.neighbours:
            return self
        kept = {key: getattr(self, key)[self.middle] for key in ("channels", "low", "high")}
        before, view = self.middle.start, self.view_used
        view = View(
            tuple(n - before for n in view.channels),
            view.low[self.middle],
            view.high[self.middle],
            view.colormap,
        )
        return self.model_copy(update=kept | {"neighbours": 0, "view": view})

    @property
    def view_used(self) -> View:
        """How its images are shown, with all that a view may leave out."""
        count, view = len(self.channels), self.view or View()
        return View(
            view.channels or tuple(range(1, min(count, 3) + 1)),
            view.low or (-1.0,) * count,
            view.high or (1.0,) * count,
            view.colormap,
        )

    @property
    def middle(self) -> slice:
        """Which of the channels are those of the slice itself."""
        count = len(self.channels) // (2 * self.neighbours + 1)
        return slice(self.neighbours * count, (self.neighbours + 1) * count)

    @property
    def by_input(self) -> dict[str, "Domain"]:
        """The domain of each image by its name; one without a name if there are not several."""
        if self.instances:
            return {"labels": self, "instances": self}
        if not self.inputs:
            return {"": self}
        names = dict.fromkeys(channel.partition(":")[0] for channel in self.channels)
        return dict(zip(names, self.inputs, strict=True))

    @property
    def is_plain(self) -> bool:
        """Whether it is one picture of one file, without neighbours or other inputs."""
        return not (self.neighbours or self.inputs or self.instances)

    @property
    def is_rgb(self) -> bool:
        """Whether it is colour images, as parts that were trained on photographs need them."""
        return (self.kind, self.channels) == ("image", RGB)

    @property
    def classes(self) -> int:
        """How many classes a label map has; 0 for images."""
        return len(self.channels) - self.instances if self.kind == "labels" else 0

    @property
    def table(self) -> ClassTable:
        """How files hold the classes of a label map."""
        return ClassTable(self.indexes, self.palette, self.ignore)

    @property
    def whole(self) -> bool:
        """Whether it is all values of an integer type, in every channel."""
        return not self.is_float and self.ends == type_range(self.dtype) and self._uniform

    @property
    def is_float(self) -> bool:
        """Whether the files hold floating-point numbers."""
        return self.dtype.startswith("float")

    @property
    def ends(self) -> tuple[Number, Number]:
        """The lowest and the highest value of all channels' ranges."""
        return min(self.low), max(self.high)

    @property
    def measured(self) -> Self:
        """The same to measure images by: numbers that are no levels count beyond the range, too."""
        if self.dtype in _EXCHANGEABLE:
            return self
        return self.model_copy(update={"clip": False})

    @property
    def values(self) -> ValueRange:
        """`low` and `high`, as one number each where they are the same for all channels."""
        return self.ends if self._uniform else (self.low, self.high)

    @property
    def _uniform(self) -> bool:
        return len({*self.low}) == len({*self.high}) == 1

    @property
    def bits(self) -> int | None:
        """The bit depth that has exactly these values, 12 for 0 to 4095; None: there is none."""
        low, high = self.ends
        if self.is_float or not isinstance(high, int) or high < 1:
            return None
        bits = (high + 1).bit_length() - 1
        return bits if self._uniform and low == 0 and high + 1 == 1 << bits else None

    @property
    def extent(self) -> str:
        """From which value to which, such as `0..4095`; by channel where they differ."""
        if self._uniform:
            return f"{self.low[0]:.6g}..{self.high[0]:.6g}"
        each = zip(self.channels, self.low, self.high, strict=True)
        return ", ".join(f"{name} {low:.6g}..{high:.6g}" for name, low, high in each)

    @property
    def range(self) -> str:
        """`extent` with the bit depth, such as `0..4095 (12 bits)`."""
        return self.extent + (f" ({self.bits} bits)" if self.bits else "")

    @property
    def described(self) -> str:
        """Number of channels and type, such as `3 channels of uint8`."""
        return f"{counted_channels(len(self.channels))} of {self.dtype}"

    def __str__(self) -> str:
        if self.kind == "labels":
            return f"{self.classes} classes"
        return f"{self.dtype} {self.range}"

    @property
    def counted(self) -> str:
        """The number of channels, with their names if they have some of their own."""
        count = len(self.channels)
        if self.channels == channel_names(count):
            return counted_channels(count)
        return f"{counted_channels(count)} ({', '.join(self.channels)})"

    @property
    def summary(self) -> str:
        """In words, such as `5 channels, uint16 0..4095 (12 bits), nodata -1`."""
        if self.kind == "noise":
            return f"noise, {counted_channels(len(self.channels))}"
        if self.kind == "labels":
            return f"labels, {self.classes} classes ({', '.join(self.channels)})"
        nodata = "" if self.nodata is None else f", nodata {self.nodata:g}"
        beyond = "" if self.clip else " and beyond"
        return f"{'RGB' if self.is_rgb else self.counted}, {self}{beyond}{nodata}"

    def seen(self, picture: Picture) -> Picture:
        """The picture with the channels of this domain; with its range, if the file has its type.

        Of a label map, the pixels are then the numbers of its classes.

        Of 8 bits where the domain has 16 or the other way about, and one whose range is known, it
        keeps what its values mean.

        Raises:
            ImageError: it has other channels, or values of another type; or it is a label map with
                other classes.
        """
        if self.kind == "labels":
            return self.table.numbered(picture)
        picture = with_channels(picture, self.channels)
        if self.view is not None:
            picture = replace(picture, view=self.view)
        if picture.normalized:
            return picture
        picture = picture.finite()
        if self.nodata is not None and picture.values is None:
            picture = picture.without(self.nodata)
        there = picture.pixels.dtype
        if self._is_type(there):
            if self.whole or picture.values is not None:
                return picture
            return replace(picture, values=self.values, clip=self.clip)
        if {there.name, self.dtype} <= _EXCHANGEABLE or picture.values is not None:
            return picture
        raise ImageError(f"values of {there}, but {self.dtype} expected")

    def _is_type(self, dtype: npt.DTypeLike) -> bool:
        """Floating-point numbers mean the same in every precision."""
        return np.dtype(dtype) == self.dtype or (self.is_float and np.dtype(dtype).kind == "f")

    def written(self, pixels: Pixels) -> Pixels:
        """Results in the files' own numbers: integers rounded to the nearest.

        Args:
            pixels: over the whole of uint8 or uint16, or float32 in [-1, 1].
        """
        if pixels.dtype != np.float32:
            most = np.iinfo(pixels.dtype).max

            def table(low: Number, high: Number) -> Pixels:
                numbers = np.arange(most + 1) * ((high - low) / most) + low
                return self._stored(numbers)

            return looked_up(pixels, [table(*ends) for ends in per_channel(self.values)])
        made = np.empty(pixels.shape, self.dtype)
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        for rows in bands(*pixels.shape[:2]):
            numbers = (pixels[rows].astype(np.float64) + 1) * ((high - low) / 2) + low
            made[rows] = self._stored(numbers.clip(low, high) if self.clip else numbers)
        return made

    def _stored(self, numbers: Pixels) -> Pixels:
        if self.is_float:
            return numbers.astype(self.dtype)
        return np.rint(numbers).clip(*type_range(self.dtype)).astype(self.dtype)


def _together(views: Sequence[View], most: int = MOST_CHANNELS) -> View:
    """The view of images side by side, with at most so many of the channels that they show."""
    before = np.cumsum([0, *(len(view.low) for view in views)])
    shown = [
        int(n + start) for view, start in zip(views, before, strict=False) for n in view.channels
    ]
    return View(
        tuple(shown[:most]),
        tuple(low for view in views for low in view.low),
        tuple(high for view in views for high in view.high),
        views[0].colormap if len(views[0].channels) == len(shown[:most]) else "grey",
    )
