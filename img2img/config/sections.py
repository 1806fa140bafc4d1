"""The tree of a run's configuration, typed. What a key is for, its description says."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from img2img.runtime.files import NO_ADDRESS, is_address


class Section(BaseModel):
    """A group of keys. Unknown keys are errors, values cannot be changed after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Component(Section):
    """A part chosen by name; every other key is an argument of that part."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _not_only_a_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"write it as {{name: {value}}}, or set its .name")
        return value

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _no_address(value: object) -> object:
    if is_address(str(value)):
        raise ValueError(NO_ADDRESS)
    return value


LocalPath = Annotated[Path, BeforeValidator(_no_address)]


def _pair(value: object) -> object:
    """A single number means a square."""
    return (value, value) if isinstance(value, int | str) and value != "auto" else value


def _height_width_positive(value: Any) -> Any:
    if value != "auto" and min(value) < 1:
        raise ValueError("a size is at least 1 pixel")
    return value


Size = Annotated[
    tuple[int, int] | Literal["auto"],
    BeforeValidator(_pair),
    AfterValidator(_height_width_positive),
]


def _range(value: Any) -> Any:
    """One reason for all that is wrong, where pydantic has one for each kind of range."""
    match value:
        case "auto" | "dtype":
            return value
        case [int(low), int(high)] if 0 <= low < high < 2**16:
            return value
        case {"percentiles": [int() | float() as low, int() | float() as high]} if (
            len(value) == 1 and 0 <= low < high <= 100
        ):
            return value
    raise ValueError(
        "a range is auto, dtype, [low, high] with 0 <= low < high <= 65535, or"
        " {percentiles: [low, high]} with 0 <= low < high <= 100"
    )


Range = Annotated[
    Literal["auto", "dtype"] | tuple[int, int] | dict[Literal["percentiles"], tuple[float, float]],
    BeforeValidator(_range),
]


class AugmentConfig(Section):
    """Albumentations transforms, each `{name: ..., argument: ...}`, in order."""

    geometry: list[Component] = Field(
        default=[],
        description="applied alike to both images of a pair, between resize and crop",
    )
    color: list[Component] = Field(default=[], description="applied to the input image")
    color_on: Literal["input", "both"] = Field(
        default="input", description="whether `color` changes the input only or both images alike"
    )


class GrowConfig(Section):
    """Training on small images first, which is faster."""

    halvings: int = Field(
        default=0, ge=0, le=16, description="how often crops are halved at the start; 0: never"
    )
    until: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="share of the length after which crops have their full size; until then they"
        " double at equal intervals",
    )


class SideConfig(Section):
    """What the numbers in the files of one domain mean."""

    range: Range = Field(
        default="auto",
        description="the values that are black and white. `auto`: in 16-bit files, those in"
        " use; `dtype`: the ends of the files' type; or [low, high], or"
        " {percentiles: [0.1, 99.9]}",
    )


Match = Literal["exact", "case", "suffix", "number"]
Unequal = Literal["refuse", "stretch", "fit", "pad"]


class PairingConfig(Section):
    """Which images are pairs, and what becomes of two of unequal shape."""

    layout: Literal["auto", "side_by_side"] = Field(
        default="auto",
        description="auto: detected; side_by_side: each image of root is a pair, A on the left",
    )
    match: Match = Field(
        default="exact",
        description="which names are pairs. exact: equal names; case: equal but for case,"
        " separators and leading zeros; suffix: also but for a common prefix or"
        " suffix; number: with the same number",
    )
    pairs: Path | None = Field(
        default=None, description="CSV of pairs, file of A and file of B, instead of match"
    )
    unequal: Unequal = Field(
        default="refuse",
        description="pairs whose shapes differ by more than 2 %: refuse them, or stretch the"
        " target to its input's shape, fit it (scale to cover, then crop) or pad it"
        " (scale to fit inside, the rest white)",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.pairs is not None and self.match != "exact":
            raise ValueError("pairs lists them, match finds them by their names: give only one")
        return self


class DataConfig(PairingConfig):
    """Where the images are, and how they become batches."""

    root: LocalPath | None = Field(default=None, description="folder of images in any known layout")
    root_a: LocalPath | None = Field(
        default=None, description="folder of domain A, instead of root"
    )
    root_b: LocalPath | None = Field(
        default=None, description="folder of domain B, instead of root"
    )
    direction: Literal["AtoB", "BtoA"] = Field(
        default="AtoB", description="pairs: which image is the input"
    )
    load_size: Size = Field(default="auto", description="size to resize to, or [height, width]")
    crop_size: Size = Field(default="auto", description="size of the random crop")
    resize: Literal["stretch", "fit", "none"] = Field(
        default="stretch",
        description="stretch to load_size (published), fit its shorter side, or leave as it is",
    )
    batch_size: int = Field(default=1, gt=0, description="images a step")
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto", description="processes that load images; 0 loads in the training process"
    )
    timeout: float = Field(
        default=300,
        ge=0,
        description="seconds to wait for an answer of `workers`, as of a disk that hangs,"
        " before giving up; 0: for ever",
    )
    cache: Literal["none", "memory"] = Field(
        default="none", description="keep decoded, resized images in memory (small sets)"
    )
    holdout: (
        Literal["auto", "val", "test", "none"] | Annotated[float, Field(gt=0, lt=1)] | LocalPath
    ) = Field(
        default="auto",
        description="never trained on: val, else test, else a seeded 5 %; or a share, a folder",
    )
    holdout_aligned: bool = Field(
        default=False,
        description="unpaired sets: whether held-out images of one name show the same thing",
    )
    skip_bad: bool = Field(
        default=False,
        description="leave out files that have no partner, do not decode or differ in shape",
    )
    A: SideConfig = SideConfig()
    B: SideConfig = SideConfig()
    augment: AugmentConfig = AugmentConfig()
    grow: GrowConfig = GrowConfig()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.root_a is None) != (self.root_b is None):
            lacking = "root_a (--data-a)" if self.root_a is None else "root_b (--data-b)"
            raise ValueError(f"two folders go together, of A and of B: {lacking} is missing")
        if self.root is not None and self.root_a is not None:
            raise ValueError("give root, or root_a and root_b, not both")
        apart = self.root_a is not None and not isinstance(self.holdout, Path)
        if apart and self.layout == "side_by_side":
            raise ValueError("layout: side_by_side is one folder, root, not root_a and root_b")
        return self


class LossesConfig(Section):
    """Loss terms beside the adversarial one; each a component with a weight."""

    reconstruction: list[Component] = Field(
        default=[], description="pix2pix: distances between the translated image and its target"
    )
    cycle: list[Component] = Field(
        default=[], description="cyclegan: distances between an image and its way there and back"
    )
    identity: list[Component] = Field(
        default=[], description="cyclegan: distances that an image of the output's domain may move"
    )


class TopKConfig(Section):
    """From how many images of a batch, those that convince the critic most, a generator learns."""

    share: float = Field(default=0.5, gt=0, le=1, description="of the batch, in the end")
    images: int = Field(default=50_000, gt=0, description="images in which it falls there from 1")


class CriticConfig(Section):
    """What a critic is shown, and what a generator takes from it, beside the objective."""

    augment: list[Component] = Field(
        default=[], description="what changes images, real and fake, before a critic sees them"
    )
    top_k: TopKConfig | None = Field(
        default=None,
        description="`share` of a batch that generators learn from in the end, and the `images` in"
        " which it falls there from 1; null: all",
    )
    feature_matching: float = Field(
        default=0.0,
        ge=0,
        description="weight of the distance between the critic's features of fake and real images",
    )


class OptimizerConfig(Component):
    """The optimizer of the generators and, with `lr_d`, another rate for the critics."""

    name: str = Field(default="adam", description="see Optimizers")
    lr: float = Field(default=2e-4, gt=0, description="peak learning rate")
    lr_d: float | None = Field(default=None, gt=0, description="the critics' rate; null: lr")
    accumulate: int = Field(
        default=1, gt=0, description="batches an update: so many times data.batch_size"
    )
    clip: float | None = Field(
        default=None, gt=0, description="longest gradient of all critics or generators; null: any"
    )


class ScheduleConfig(Component):
    """How long to train, and the learning rate along the way.

    The length is `epochs + decay_epochs` unless `steps`, `total_epochs` or `minutes` says
    otherwise; then the two only give the proportion of constant to decaying rate.
    """

    name: str = Field(default="linear", description="see Schedules")
    epochs: int = Field(default=100, ge=0, description="epochs at the full rate")
    decay_epochs: int = Field(default=100, ge=0, description="epochs in which the rate falls to 0")
    steps: int | None = Field(default=None, gt=0, description="length in generator updates")
    total_epochs: int | None = Field(default=None, gt=0, description="length in epochs")
    minutes: float | None = Field(default=None, gt=0, description="length in minutes")
    warmup: int = Field(
        default=0, ge=0, description="images in which the rate rises from 0, by any schedule"
    )
    measured_steps: int | None = Field(
        default=None, gt=0, description="what `minutes` came to; set by the program"
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs + self.decay_epochs == 0:
            raise ValueError("epochs and decay_epochs are both 0")
        lengths = [k for k in ("steps", "total_epochs", "minutes") if getattr(self, k) is not None]
        if len(lengths) > 1:
            raise ValueError(f"{' and '.join(lengths)} each set the length: give only one")
        return self

    def planned_steps(self, images_per_epoch: int, images_per_step: int) -> int | None:
        """Generator updates asked for; None for a length in minutes that is not measured yet."""
        if self.minutes is not None:
            return self.measured_steps
        if self.steps is not None:
            return self.steps
        epochs = self.total_epochs or self.epochs + self.decay_epochs
        return math.ceil(epochs * images_per_epoch / images_per_step)


class EmaConfig(Section):
    """An exponential moving average of the generator's weights; it is what the model file holds."""

    half_life: float | None = Field(
        default=None, gt=0, description="in images seen; null: no average, the weights themselves"
    )


class SamplesConfig(Section):
    """Pictures of fixed held-out inputs along the way."""

    every: int = Field(default=500, ge=0, description="steps between two; 0: none but the last")
    count: int = Field(default=4, gt=0, description="rows in the picture")


class MetricsConfig(Section):
    """Held-out measures along the way."""

    every: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="steps between two; 0: only at the end; auto: 1000, or as many times more as"
        " keep them under 5 % of the time, and at steps 100 and 500",
    )
    best: str | None = Field(
        default="l1", description="the measure that decides which model is best; null: keep none"
    )
    measures: list[str] = Field(
        default=["l1"],
        description="what is measured beside it, where held-out images allow it (docs/evaluate.md)",
    )
    patience: int | None = Field(
        default=None, gt=0, description="end after so many without a better `best`; null: never"
    )
    features: Literal["auto", "inception", "efficientnet-lite0"] = Field(
        default="auto", description="the network that sees images for fid, kid and the like"
    )
    weights: LocalPath | None = Field(
        default=None, description="a file of its weights, or a folder of such files"
    )
    log_every: int = Field(default=20, gt=0, description="steps between two lines of losses")
    tensorboard: bool = Field(default=True, description="write TensorBoard events")
    wandb: bool = Field(default=False, description="report to Weights & Biases (extra: [wandb])")


class DoctorConfig(Section):
    """Looking for signs that a training goes wrong; see docs/doctor.md."""

    warn: bool = Field(default=True, description="say so while training, a line for each condition")
    every: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="steps between two looks at some translations; 0: none; auto: as many as keep"
        " them under 1 % of the time",
    )


class CheckpointConfig(Section):
    """What is kept on disk."""

    every: int = Field(default=1000, ge=0, description="steps between two; 0: only at the end")
    keep: int = Field(default=3, gt=0, description="how many models to keep, the oldest go first")


class RunConfig(Section):
    """Everything a run depends on. Saved, resolved, as `config.yaml` in the run folder."""

    method: str = Field(description="see Methods")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of everything random")
    device: str = Field(default="auto", description="auto, cpu, mps, cuda or cuda:1")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="arithmetic of the networks; weights are always float32"
    )
    data: DataConfig = DataConfig()
    generator: Component = Field(description="see Generators")
    discriminator: Component = Field(description="see Discriminators")
    objective: Component = Field(description="see Objectives")
    image_pool: int = Field(
        default=0, ge=0, description="earlier translations that each critic keeps to see again"
    )
    regularizers: list[Component] = Field(
        default=[], description="penalties on the critics' gradients (see Regularizers)"
    )
    n_critic: int = Field(
        default=1,
        gt=0,
        le=100,
        description="updates of the critics a step, each on images of its own",
    )
    critic: CriticConfig = CriticConfig()
    losses: LossesConfig = LossesConfig()
    init_from: LocalPath | None = Field(
        default=None, description="model file or run whose weights the generators start from"
    )
    checkpointing: bool = Field(
        default=False, description="save memory: compute activations again in the backward pass"
    )
    on_nonfinite: Literal["stop", "skip"] = Field(
        default="stop", description="where a loss or gradient is not finite: end, or skip the step"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    ema: EmaConfig = EmaConfig()
    samples: SamplesConfig = SamplesConfig()
    metrics: MetricsConfig = MetricsConfig()
    doctor: DoctorConfig = DoctorConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
