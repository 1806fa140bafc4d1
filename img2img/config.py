"""The run configuration: one typed tree, from YAML, flags and `--set key=value`.

Precedence, the later wins: the method's own recipe (`configs/<method>.yaml`), `--config FILE`,
flags, `--set`. Keys are the same everywhere. A component's section (generator, objective, ...) is
its `name` plus that class's own arguments, which the registry checks when the part is built.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from img2img.errors import ConfigError
from img2img.resources import bundled

# Groups of keys of which one excludes the others, and keys that follow from these.
ALTERNATIVES: dict[str, list[tuple[str, ...]]] = {
    "data": [("root",), ("root_a", "root_b")],
    "schedule": [("steps",), ("total_epochs",), ("minutes",)],
}
DERIVED: dict[str, set[str]] = {"schedule": {"measured_steps"}}


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


class DataConfig(Section):
    """Where the images are, and how they become batches."""

    root: Path | None = Field(default=None, description="folder of images in any known layout")
    root_a: Path | None = Field(default=None, description="folder of domain A, instead of root")
    root_b: Path | None = Field(default=None, description="folder of domain B, instead of root")
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
    cache: Literal["none", "memory"] = Field(
        default="none", description="keep decoded, resized images in memory (small sets)"
    )
    holdout: Literal["auto", "val", "test", "none"] | Annotated[float, Field(gt=0, lt=1)] | Path = (
        Field(
            default="auto",
            description="never trained on: val, else test, else a seeded 5 %; or a share, a folder",
        )
    )
    holdout_aligned: bool = Field(
        default=False,
        description="unpaired sets: whether held-out images of one name show the same thing",
    )
    skip_bad: bool = Field(
        default=False,
        description="go on without files that have no partner, do not decode or differ in size",
    )
    augment: AugmentConfig = AugmentConfig()
    grow: GrowConfig = GrowConfig()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.root_a is None) != (self.root_b is None):
            raise ValueError("root_a and root_b go together")
        if self.root is not None and self.root_a is not None:
            raise ValueError("give root, or root_a and root_b, not both")
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
        " keep them under 5 % of the time",
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
    weights: Path | None = Field(
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
    init_from: Path | None = Field(
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


def load_config(
    method: str,
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    saved: Path | None = None,
) -> RunConfig:
    """The configuration of a run, merged from its four sources and checked.

    Args:
        method: `pix2pix`, ...; its recipe is the first source.
        file: YAML with any part of the tree; a shipped one may be named by its name alone.
        flags: dotted keys to values.
        assignments: texts `key.sub=value`, the value read as YAML.
        saved: the `config.yaml` of a run to resume; where it exists, it is the first source.

    Raises:
        ConfigError: a file, key or value does not fit; the message starts with the key.
    """
    recipes = _recipes()
    if method not in recipes:
        raise ConfigError(
            f"method: there is no method {method!r}{nearest(method, recipes)};"
            f" there are: {', '.join(recipes)}"
        )
    tree = recipes[method]
    if saved is not None and saved.is_file():
        tree = _read_for(method, saved)
    sources: list[dict[str, Any]] = []
    if file is not None:
        shipped = bundled(f"configs/{file.name}")
        by_name = len(file.parts) == 1 and not file.exists() and shipped.is_file()
        sources.append(_read_for(method, shipped if by_name else file))
    given: dict[str, Any] = {}
    for key, value in (flags or {}).items():
        _merge(given, _nested(key, value))
    assigned: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {assignment}: write it as key=value, e.g. generator.ngf=32")
        _merge(assigned, _nested(key, _parse(text, f"--set {key}")))
    for source in _with_preset(tree, [*sources, given, assigned]):
        _lay(tree, source)
    return check(tree)


def presets() -> dict[str, dict[str, Any]]:
    """By name, what an objective of that name stands for: some keys of the tree, its own too.

    `discriminators` is no key of the tree: by the discriminator's name, what it is to be like.
    """
    files = sorted(bundled("configs/presets").glob("*.yaml"))
    return {path.stem: read_yaml(path) for path in files}


def preset_summary(name: str) -> str:
    """The first line of a preset's file, a comment."""
    path = bundled(f"configs/presets/{name}.yaml")
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _with_preset(tree: dict[str, Any], sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sources with what the objective stands for that the last of them names.

    It comes just before that source: what this one and later ones set is as they say.
    """
    naming = [index for index, source in enumerate(sources) if _name(source, "objective")]
    preset = presets().get(_name(sources[naming[-1]], "objective")) if naming else None
    if preset is None:
        return sources
    before, source, after = sources[: naming[-1]], sources[naming[-1]], sources[naming[-1] + 1 :]
    names = (_name(each, "discriminator") for each in reversed([tree, *sources]))
    judge = next(name for name in names if name)
    likeness = preset.pop("discriminators").get(judge)
    if likeness is not None:
        preset["discriminator"] = {"name": judge, **likeness}
    preset["objective"] |= {k: v for k, v in source["objective"].items() if k != "name"}
    return [*before, preset, {**source, "objective": preset["objective"]}, *after]


def _name(source: Mapping[str, Any], component: str) -> str:
    """The name that a source gives a component; empty if it gives none."""
    section = source.get(component)
    return str(section.get("name", "")) if isinstance(section, Mapping) else ""


def check(tree: Mapping[str, Any]) -> RunConfig:
    """Turn a plain tree into a `RunConfig`, or say which key is wrong, how, and what is near."""
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error, tree)) from None


def dump(config: RunConfig) -> str:
    """The configuration as YAML text that `load_config` reads back."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a dictionary."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read {path}: not a text file") from None
    tree = _parse(text, str(path)) or {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(tree).__name__}")
    return tree


def _recipes() -> dict[str, dict[str, Any]]:
    """The method's own recipe, by method: the shipped files that are named like their method."""
    trees = {path.stem: read_yaml(path) for path in sorted(bundled("configs").glob("*.yaml"))}
    return {name: tree for name, tree in trees.items() if tree.get("method") == name}


def _read_for(method: str, path: Path) -> dict[str, Any]:
    tree = read_yaml(path)
    if tree.get("method", method) != method:
        raise ConfigError(f"method: {path} is for {tree['method']!r}, not for {method!r}")
    return tree


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'x'?` where something is near, else nothing."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" in line {mark.line + 1}" if mark else ""
        reason = problem or str(error).splitlines()[0]
        raise ConfigError(f"{source}: not YAML{where}: {reason}") from None


def _lay(tree: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Lay a source onto those before it. Of alternatives, the one it gives replaces the others."""
    for section, alternatives in ALTERNATIVES.items():
        given, before = over.get(section), tree.get(section)
        if not isinstance(given, Mapping) or not isinstance(before, dict):
            continue
        for chosen in alternatives:
            if any(given.get(key, before.get(key)) != before.get(key) for key in chosen):
                replaced = {key for keys in alternatives if keys is not chosen for key in keys}
                for key in replaced | DERIVED.get(section, set()):
                    before.pop(key, None)
                break
    _merge(tree, over)


def _merge(tree: dict[str, Any], over: Mapping[str, Any], path: str = "") -> None:
    """Lay `over` onto `tree`. A component that changes its name starts without arguments.

    What is not its part's stays, such as the length that a schedule's section has beside its name.
    """
    for key, value in over.items():
        old = tree.get(key)
        if isinstance(value, Mapping) and isinstance(old, dict):
            if "name" in old and value.get("name", old["name"]) != old["name"]:
                for argument in old.keys() - _own_keys(f"{path}{key}"):
                    del old[argument]
            _merge(old, value, f"{path}{key}.")
        elif isinstance(value, Mapping) and isinstance(old, list) and all(map(_is_index, value)):
            tree[key] = _merge_items(f"{path}{key}", old, value)
        else:
            tree[key] = value


def _own_keys(path: str) -> set[str]:
    """The keys of a component's section that are not arguments of the part."""
    field = RunConfig.model_fields.get(path)
    kind = None if field is None else field.annotation
    if isinstance(kind, type) and issubclass(kind, Component):
        return set(kind.model_fields)
    return {"name"}


def _merge_items(path: str, items: list[Any], over: Mapping[Any, Any]) -> list[Any]:
    """Lay entries addressed by their number, as `--set losses.reconstruction.0.weight=10` does."""
    numbered = {str(index): item for index, item in enumerate(items)}
    changes = {str(index): value for index, value in over.items()}
    beyond = [index for index in changes if index not in numbered]
    if beyond:
        raise ConfigError(f"{path}.{beyond[0]}: there are {len(items)} entries, numbered from 0")
    _merge(numbered, changes, f"{path}.")
    return list(numbered.values())


def _is_index(key: object) -> bool:
    return str(key).isdecimal()


def _nested(key: str, value: Any) -> dict[str, Any]:
    """`a.b.c` and a value as the tree `{a: {b: {c: value}}}`."""
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return dict(value)


def _explain(error: ValidationError, tree: Mapping[str, Any]) -> str:
    """Each wrong key on a line: its path, what was expected, what was given."""
    reasons: dict[str, list[str]] = {}
    for detail in error.errors():
        path, section = _locate(detail["loc"])
        if detail["type"] == "extra_forbidden":
            word = path.rpartition(".")[2]
            elsewhere = [key for key in _dotted(tree) if key != path and key.endswith(f".{word}")]
            hint = f"; did you mean {elsewhere[0]!r}?" if elsewhere else ""
            reason = f"unknown key{nearest(word, section.model_fields) or hint}"
        elif detail["type"] == "missing":
            reason = "missing"
        else:
            reason = detail["msg"].removeprefix("Value error, ")
        given = detail["input"]
        if isinstance(given, str | int | float | list) and detail["type"] != "extra_forbidden":
            reason += f" (given: {given!r})"
        reasons.setdefault(path, []).append(reason)
    return "\n".join(f"{path}: {'; or '.join(dict.fromkeys(r))}" for path, r in reasons.items())


def _dotted(tree: Mapping[str, Any]) -> Iterator[str]:
    """The dotted keys of a tree."""
    for key, value in tree.items():
        yield str(key)
        if isinstance(value, Mapping):
            yield from (f"{key}.{below}" for below in _dotted(value))


def _locate(location: tuple[int | str, ...]) -> tuple[str, type[BaseModel]]:
    """The dotted key of an error, and the section it is in.

    Pydantic's locations go on into the branches of a union; a person knows only the keys.
    """
    section: type[BaseModel] = RunConfig
    kind: Any = RunConfig
    keys: list[str] = []
    for part in location:
        if get_origin(kind) in (Union, UnionType):  # of a section and null
            kind = next((k for k in get_args(kind) if _is_section(k)), kind)
        if isinstance(part, int) and get_origin(kind) is list:
            kind = get_args(kind)[0]
        elif _is_section(kind):
            section = kind
            field = section.model_fields.get(str(part))
            kind = None if field is None else field.annotation
        else:
            break
        keys.append(str(part))
    return ".".join(keys) or "configuration", section


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
