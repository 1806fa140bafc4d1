"""The typed tree of a run's configuration. Each key is explained by its description."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from img2img.config.base import Component, LocalPath, Section
from img2img.config.data import DataConfig


class TopKConfig(Section):
    """Top-k training: generators learn only from the images that the critic scores highest."""

    share: float = Field(
        default=0.5, gt=0, le=1, description="share of each batch that is used at the end"
    )
    images: int = Field(
        default=50_000, gt=0, description="number of images over which the share falls from 1"
    )


class CriticConfig(Section):
    """What the critics see, and what generators learn from them besides the objective."""

    augment: list[Component] = Field(
        default=[],
        description="augmentations applied to the real and fake images that the critics see (see"
        " Augmentations)",
    )
    top_k: TopKConfig | None = Field(
        default=None,
        description="top-k training: generators learn only from those images of a batch that the"
        " critic scores highest; the share used falls from 1 to `share` over `images`"
        " images; null disables it",
    )
    feature_matching: float = Field(
        default=0.0,
        ge=0,
        description="weight of the L1 distance between the critic's features of fake and real"
        " images; 0 disables it",
    )


class OptimizerConfig(Component):
    """The optimizer of all networks; the critics may have another learning rate."""

    name: str = Field(default="adam", description="see Optimizers")
    lr: float = Field(
        default=2e-4, gt=0, description="learning rate before the schedule is applied"
    )
    lr_d: float | None = Field(
        default=None, gt=0, description="learning rate of the critics; null: the same as lr"
    )
    accumulate: int = Field(
        default=1, gt=0, description="gradient accumulation: batches per update"
    )
    clip: float | None = Field(
        default=None, gt=0, description="maximum gradient norm; null disables clipping"
    )


class ScheduleConfig(Component):
    """How long to train, and how the learning rate changes.

    The length is `epochs + decay_epochs`, unless `steps`, `total_epochs` or `minutes` is set. Then
    the two only set the ratio of constant to decaying learning rate.
    """

    name: str = Field(default="linear", description="see Schedules")
    epochs: int = Field(
        default=100, ge=0, description="epochs at the full learning rate, at the start"
    )
    decay_epochs: int = Field(
        default=100, ge=0, description="epochs over which the learning rate then falls to 0"
    )
    steps: int | None = Field(
        default=None, gt=0, description="length in generator updates; it replaces the epochs above"
    )
    total_epochs: int | None = Field(
        default=None, gt=0, description="length in epochs; it replaces the epochs above"
    )
    minutes: float | None = Field(
        default=None, gt=0, description="length in minutes; it replaces the epochs above"
    )
    warmup: int = Field(
        default=0, ge=0, description="images over which the learning rate rises from 0 at the start"
    )
    measured_steps: int | None = Field(
        default=None, gt=0, description="`minutes` converted to steps; the program sets it"
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs + self.decay_epochs == 0:
            raise ValueError("epochs and decay_epochs are both 0: set at least one of them")
        lengths = [k for k in ("steps", "total_epochs", "minutes") if getattr(self, k) is not None]
        if len(lengths) > 1:
            raise ValueError(f"{' and '.join(lengths)} each set the length: set only one of them")
        return self

    def planned_steps(self, images_per_epoch: int, images_per_step: int) -> int | None:
        """The length in generator updates; None if it is in minutes and not yet converted."""
        if self.minutes is not None:
            return self.measured_steps
        if self.steps is not None:
            return self.steps
        epochs = self.total_epochs or self.epochs + self.decay_epochs
        return math.ceil(epochs * images_per_epoch / images_per_step)


class EmaConfig(Section):
    """An exponential moving average of the generators' weights, saved in the model file."""

    half_life: float | None = Field(
        default=None,
        gt=0,
        description="half-life, in images, of the average of the generators' weights; null"
        " disables averaging",
    )


class SamplesConfig(Section):
    """Sample sheets: translations of the same held-out images during training."""

    every: int = Field(
        default=500, ge=0, description="steps between sample sheets; 0: one at the end only"
    )
    count: int = Field(default=4, gt=0, description="rows of a sample sheet")


class MetricsConfig(Section):
    """Measures of held-out images during training, and where they are logged."""

    every: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="steps between evaluations; 0: only at the end; auto: at steps 100 and 500"
        " and then every 1000, or less often where they would take more than 5 % of"
        " the time",
    )
    best: str | None = Field(
        default="l1",
        description=("the measure that selects best.safetensors; null: this file is not written"),
    )
    measures: list[str] = Field(
        default=["l1"],
        description="further measures, which must be possible with the held-out images (see"
        " docs/evaluate.md)",
    )
    patience: int | None = Field(
        default=None,
        gt=0,
        description="early stopping: the run ends after this many evaluations in a row without"
        " improvement of `best`; null disables it",
    )
    features: Literal["auto", "inception", "efficientnet-lite0"] = Field(
        default="auto", description="feature network for FID, KID and other measures of sets"
    )
    weights: LocalPath | None = Field(
        default=None,
        description="file with the weights of the feature network, or a folder of such files",
    )
    log_every: int = Field(default=20, gt=0, description="steps between log lines")
    tensorboard: bool = Field(default=True, description="write TensorBoard events")
    wandb: bool = Field(default=False, description="report to Weights & Biases (extra: [wandb])")


class DoctorConfig(Section):
    """Detection of known problems during training; see docs/doctor.md."""

    warn: bool = Field(
        default=True, description="print a one-line warning for each problem found during training"
    )
    every: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="steps between health probes, which translate a few images; 0 disables them;"
        " auto: they take less than 1 % of the time",
    )


class CheckpointConfig(Section):
    """Models and training states on disk."""

    every: int = Field(
        default=1000, ge=0, description="steps between checkpoints; 0: only at the end"
    )
    keep: int = Field(
        default=3, gt=0, description="how many models to keep; the oldest are deleted"
    )


class RunConfig(Section):
    """Everything a run depends on. The run folder holds it, resolved, as `config.yaml`."""

    method: str = Field(description="see Methods")
    seed: int = Field(default=0, ge=0, lt=2**32, description="random seed")
    device: str = Field(
        default="auto",
        description=("device to train on: auto, cpu, mps, cuda, or one GPU such as cuda:1"),
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="numeric precision of the networks; weights stay float32"
    )
    data: DataConfig = DataConfig()
    generator: Component = Field(description="see Generators")
    discriminator: Component = Field(description="see Discriminators")
    objective: Component = Field(description="see Objectives")
    image_pool: int = Field(
        default=0, ge=0, description="number of earlier fakes in each critic's pool; 0: no pool"
    )
    regularizers: list[Component] = Field(
        default=[], description="gradient penalties of the critics (see Regularizers)"
    )
    n_critic: int = Field(
        default=1,
        gt=0,
        le=100,
        description="critic updates per step, each on new images",
    )
    critic: CriticConfig = CriticConfig()
    losses: dict[str, list[Component]] = Field(
        default={},
        description="the method's losses besides the adversarial one (see Methods); each is a list"
        " of Reconstruction losses",
    )
    settings: dict[str, Any] = Field(
        default={}, description="the method's own settings (see Methods)"
    )
    init_from: LocalPath | None = Field(
        default=None,
        description="fine-tuning: the model file or run whose weights to start from",
    )
    activation_checkpointing: bool = Field(
        default=False, description="save memory: recompute activations in the backward pass"
    )
    on_nonfinite: Literal["stop", "skip"] = Field(
        default="stop", description="if a loss or gradient is not finite: stop, or skip the step"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    ema: EmaConfig = EmaConfig()
    samples: SamplesConfig = SamplesConfig()
    metrics: MetricsConfig = MetricsConfig()
    doctor: DoctorConfig = DoctorConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
