"""The section `data`: where the images are, and how they become batches."""

from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from img2img.config.base import Component, LocalPath, Section
from img2img.config.classes import Classes, Ignore


def _pair(value: object) -> object:
    """Expand a single number to a square."""
    return (value, value) if isinstance(value, int | str) and value != "auto" else value


# Far more than fits into any accelerator's memory.
_MAX_SIDE = 2**14


def _possible(value: Any) -> Any:
    if value != "auto" and not 1 <= min(value) <= max(value) <= _MAX_SIDE:
        raise ValueError(f"a size is from 1 to {_MAX_SIDE} pixels")
    return value


Size = Annotated[
    tuple[int, int] | Literal["auto"],
    BeforeValidator(_pair),
    AfterValidator(_possible),
]


def _is_range(value: Any) -> bool:
    match value:
        case [int() | float() as low, int() | float() as high]:
            return low < high and isfinite(low) and isfinite(high)
    return False


def _range(value: Any) -> Any:
    """Give a single reason for a wrong range; pydantic would give one for each kind."""
    match value:
        case "auto" | "dtype":
            return value
        case [_, *_] if _is_range(value):
            return value
        case [[*_], *_] if all(map(_is_range, value)):
            return value
        case {"percentiles": [int() | float() as low, int() | float() as high]} if (
            len(value) == 1 and 0 <= low < high <= 100
        ):
            return value
    raise ValueError(
        "a range is auto, dtype, [low, high] with low < high, a list of these, one for each"
        " channel, or {percentiles: [low, high]} with 0 <= low < high <= 100"
    )


def _channels(value: Any) -> Any:
    match value:
        case "auto":
            return value
        case int() if 1 <= value <= 64:
            return value
        case [str(), *_] if len(value) <= 64 and len({*value}) == len(value):
            return value
    raise ValueError("channels are auto, a number from 1 to 64, or a list of different names")


Ends = tuple[int | float, int | float]
Range = Annotated[
    Literal["auto", "dtype"] | Ends | tuple[Ends, ...] | dict[Literal["percentiles"], Ends],
    BeforeValidator(_range),
]
Channels = Annotated[
    Literal["auto"] | int | tuple[str, ...],
    BeforeValidator(_channels),
]


class AugmentConfig(Section):
    """Transforms of Albumentations, each `{name: ..., argument: ...}`, in order."""

    geometry: list[Component] = Field(
        default=[],
        description="transforms applied in the same way to both images of a pair, between resize"
        " and crop",
    )
    color: list[Component] = Field(
        default=[], description="transforms applied to the input image (see color_on)"
    )
    color_on: Literal["input", "both"] = Field(
        default="input",
        description="which images `color` changes. input: only the input; both: both images of a"
        " pair, in the same way",
    )


class GrowConfig(Section):
    """Progressive resolution: training starts on smaller images, which is faster."""

    halvings: int = Field(
        default=0,
        ge=0,
        le=16,
        description="how many times crops are halved at the start; 0 disables it",
    )
    until: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="share of the training after which crops have their full size; until then"
        " they double in size at equal intervals",
    )


def _show(value: Any) -> Any:
    """`[4, 3, 2]` means `4,3,2`."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, int) else value


Show = Annotated[str, BeforeValidator(_show)]


class SideConfig(Section):
    """The channels of the files of one domain, and the meaning of their values."""

    channels: Channels = Field(
        default="auto",
        description="the channels to use. auto: those of the files; a number: as many as that; a"
        " list of names: these, if the files name their channels, otherwise the names to give them."
        " Files with transparency have one more, `alpha`, if that is asked for",
    )
    range: Range = Field(
        default="auto",
        description="the values in the files that count as black and white. auto: 0 and 255, or"
        " for deeper files the range in use; dtype: the whole range of the type; [low, high]: these"
        " values; [[low, high], ...]: these of each channel; {percentiles: [0.1, 99.9]}: these"
        " percentiles of the training values",
    )
    per_channel: bool = Field(
        default=False, description="find the range of each channel separately (auto, percentiles)"
    )
    nodata: int | float | None = Field(
        default=None,
        description="value of pixels that hold no data; null: the one that the files name, if any;"
        " NaN always means no data",
    )
    show: Show = Field(
        default="auto",
        description="the channels that samples and pages show as red, green and blue, by number"
        " or name, such as [4, 3, 2]; or one of them, and its colour map: 1:viridis. auto: those"
        " named red, green and blue, else the first",
    )
    pages: Literal["auto", "slices", "channels"] = Field(
        default="auto",
        description="what the pages of TIFF files, the frames of DICOM files and the first of three"
        " axes of arrays are: slices, each of which is an image, or channels of one image. auto:"
        " what the file says; pages that it says nothing of are slices",
    )
    axis: Literal["z", "y", "x"] = Field(
        default="z",
        description="for volumes: the axis along which slices are taken; z: the slices of the file",
    )
    neighbours: int = Field(
        default=0,
        ge=0,
        le=8,
        description="for volumes: how many slices before and after each one the network gets, as"
        " further channels",
    )
    kind: Literal["auto", "image", "labels"] = Field(
        default="auto",
        description="labels: the files are label maps, each pixel of which is the index or the"
        " colour of a class; auto: images, unless `classes` or `ignore` is set",
    )
    classes: Classes = Field(
        default=None,
        description="of label maps: how many classes; their names; a table from names to indexes or"
        " RGB colours; or a YAML or CSV file of it. null: those that occur in the files",
    )
    ignore: Ignore = Field(
        default=None,
        description="of label maps: index or colour of pixels that belong to no class",
    )

    instances: LocalPath | None = Field(
        default=None,
        description="of label maps as the input: folder of instance maps, by the paths and names of"
        " the label maps; the borders between instances are one more channel",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.instances is not None and not self.is_labels:
            raise ValueError("`instances` is of label maps; set `kind` to labels")
        if self.kind == "image" and (self.classes or self.ignore is not None):
            raise ValueError("`classes` and `ignore` are of label maps, but `kind` is image")
        for key in ("channels", "range", "nodata") if self.is_labels else ():
            if getattr(self, key) not in ("auto", None):
                raise ValueError(f"`{key}` is of images, but these are label maps")
        return self

    @property
    def is_labels(self) -> bool:
        """Whether the files are label maps."""
        given = self.classes is not None or self.ignore is not None
        return self.kind == "labels" or (self.kind == "auto" and given)


Direction = Literal["AtoB", "BtoA"]
Match = Literal["exact", "case", "suffix", "number"]
Unequal = Literal["refuse", "stretch", "fit", "pad"]


class PairingConfig(Section):
    """How images are paired, and what to do if the two of a pair differ in shape."""

    layout: Literal["auto", "side_by_side"] = Field(
        default="auto",
        description="auto: detect the layout; side_by_side: each image in root is a pair, with A"
        " on the left",
    )
    match: Match = Field(
        default="exact",
        description="which files are pairs. exact: the names are equal; case: equal except for"
        " upper and lower case, separators and leading zeros; suffix: also except for a common"
        " prefix or suffix; number: the names contain the same number",
    )
    pairs: Path | None = Field(
        default=None,
        description=("CSV file that lists the pairs (file of A, file of B); it replaces match"),
    )
    unequal: Unequal = Field(
        default="refuse",
        description="pairs whose aspect ratios differ by more than 2 %: refuse them, stretch the"
        " target to its input's shape, fit it (scale to cover, then crop) or pad it (scale to"
        " fit inside, fill with white)",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.pairs is not None and self.match != "exact":
            raise ValueError(
                "`pairs` lists the pairs, but `match` finds them by name: set only one of them"
            )
        return self


class DataConfig(PairingConfig):
    """Where the images are, and how batches are made from them."""

    root: LocalPath | None = Field(
        default=None, description="folder of images, in one of the known layouts"
    )
    root_a: LocalPath | None = Field(
        default=None, description="folder of domain A; with root_b, instead of root"
    )
    root_b: LocalPath | None = Field(
        default=None, description="folder of domain B; with root_a, instead of root"
    )
    inputs: list[LocalPath] = Field(
        default=[],
        description="several folders of images whose channels together are A; with root_b, instead"
        " of root_a. Images with the same name belong together",
    )
    direction: Direction = Field(default="AtoB", description="which image of a pair is the input")
    load_size: Size = Field(
        default="auto",
        description=("size to which images are resized: the side of a square, or [height, width]"),
    )
    crop_size: Size = Field(
        default="auto",
        description="size of the random crops: the side of a square, or [height, width]",
    )
    resize: Literal["stretch", "fit", "none"] = Field(
        default="stretch",
        description="stretch: resize to load_size regardless of the aspect ratio, as published;"
        " fit: resize the shorter side to load_size; none: keep the size of the file",
    )
    batch_size: int = Field(default=1, gt=0, description="images per step, in each process")
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="processes that load images; 0: the training process loads them",
    )
    timeout: float = Field(
        default=300,
        ge=0,
        description="stop training if the workers deliver no image for this many seconds; 0: wait"
        " forever",
    )
    cache: Literal["none", "memory"] = Field(
        default="none",
        description="memory: keep decoded and resized images in memory; none: read the files"
        " again in every epoch",
    )
    holdout: (
        Literal["auto", "val", "test", "none"] | Annotated[float, Field(gt=0, lt=1)] | LocalPath
    ) = Field(
        default="auto",
        description="images for evaluation, which are never trained on. val or test: that split;"
        " auto: val, else test, else a random 5 %; none: no images; or a share such"
        " as 0.1, or a folder",
    )
    holdout_aligned: bool = Field(
        default=False,
        description="for unpaired data: treat held-out images with the same name as pairs",
    )
    skip_bad: bool = Field(
        default=False,
        description="leave out files without a partner, unreadable files and pairs with"
        " different aspect ratios",
    )
    mask: Literal["alpha"] | LocalPath | None = Field(
        default=None,
        description="masks: critics and losses see only what is inside. A folder, in which each"
        " image has a mask of its path and name; alpha: inside is what is not transparent; null:"
        " no masks",
    )
    A: SideConfig = SideConfig()
    B: SideConfig = SideConfig()
    augment: AugmentConfig = AugmentConfig()
    grow: GrowConfig = GrowConfig()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if len(self.inputs) == 1:
            raise ValueError("a single folder in `data.inputs`: set `data.root_a` to it")
        if self.inputs and self.root_a is not None:
            raise ValueError("set either `data.inputs` or `data.root_a`")
        if self.inputs and self.direction == "BtoA":
            raise ValueError("`data.inputs` are A, so the direction must be AtoB")
        if (self.root_a is None and not self.inputs) != (self.root_b is None):
            lacking = "root_b" if self.root_b is None else "root_a"
            raise ValueError(f"two folders are needed: `data.{lacking}` is missing")
        if self.root is not None and self.root_b is not None:
            raise ValueError("set either `data.root`, or `data.root_a` and `data.root_b`")
        apart = self.root_b is not None and not isinstance(self.holdout, Path)
        if apart and self.layout == "side_by_side":
            raise ValueError("layout side_by_side needs one folder, `data.root`")
        return self

    @model_validator(mode="after")
    def _label_maps(self) -> Self:
        target = self.direction[-1]
        if getattr(self, target).instances is not None:
            raise ValueError(f"`data.{target}.instances`: only the input has instances")
        changed = "AB" if self.augment.color_on == "both" else self.direction[0]
        for side in changed if self.augment.color else "":
            if getattr(self, side).is_labels:
                raise ValueError(
                    f"`data.augment.color` changes the colours of {side}, but those of label maps"
                    " are classes"
                )
        return self

    @property
    def folders(self) -> list[Path]:
        """All folders of images that are named."""
        every = (self.root, self.root_a, *self.inputs, self.root_b)
        return [path for path in every if path is not None]
