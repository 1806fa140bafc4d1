"""Taking the trainer through batches that a test has made."""

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from img2img.config import RunConfig, check, load_config
from img2img.data.samples import Batch
from img2img.images import Domain
from img2img.models.spec import ModelSpec
from img2img.runs.directory import RunDirectory
from img2img.training.events import Observation, Observer, Progress
from img2img.training.held_out import HeldOut
from img2img.training.loop import Trainer
from img2img.training.methods.base import Method
from img2img.training.methods.loss import Loss
from img2img.training.session import Session
from img2img.training.stopping import StopRequest

RGB = Domain(dtype="uint8")


class Log(Observer):
    """Keeps what is told of each step."""

    def __init__(self) -> None:
        self.values: list[dict[str, float]] = []
        self.rates: list[float] = []

    def stepped(self, progress: Progress) -> None:
        self.rates.append(progress.lr)

    def observed(self, observation: Observation) -> None:
        if observation.losses:
            self.values.append(dict(observation.losses))


def batch(A: Tensor, B: Tensor, valid: Tensor | None = None) -> Batch:
    names = [str(n) for n in range(len(A))]
    return Batch(A, B, names, names, valid_A=valid, valid_B=valid)


def published(method: str, **changes: Any) -> RunConfig:
    """The published recipe, but for what would only cost time here, and for `changes`."""
    tree = load_config(method).model_dump() | {
        "device": "cpu",
        "precision": "fp32",
        "metrics": {"every": 0, "log_every": 1, "tensorboard": False, "best": None},
        "samples": {"every": 0},
        "checkpoint": {"every": 0},
    }
    return check(tree | changes)


def updates(method: Method, batch: Batch) -> Iterator[tuple[str, Loss]]:
    """The loss of each group as a step computes it: when the groups before it were updated."""
    fakes = method.generate(batch, [*method.groups])
    for group in method.groups:
        own = fakes
        if group in method.critic_groups:
            own = {name: fake.detach() for name, fake in fakes.items()}
        yield group, method.loss(group, batch, own)


def specs(method: Method) -> dict[str, ModelSpec]:
    """What nothing here depends on: of generators that no model file is read back from."""
    return {
        name: ModelSpec.of(generator, direction=method.direction(name, "AtoB"))
        for name, generator in method.generators.items()
    }


def trainer_for(
    method: Method,
    config: RunConfig,
    folder: Path,
    log: Log,
    batches: Callable[[int], Generator[Batch]],
    *,
    images_per_epoch: int = 100,
    held_out: Sequence[Batch] = (),
) -> Trainer:
    """A trainer with nothing around it."""
    return Trainer(
        method,
        specs(method),
        config,
        Session(RunDirectory(folder), log, StopRequest()),
        batches=batches,
        images_per_epoch=images_per_epoch,
        held_out=HeldOut(method, specs(method), lambda: iter(held_out), True),
    )


def trained(
    method: Method,
    config: RunConfig,
    data: Sequence[Batch],
    folder: Path,
    images_per_epoch: int = 100,
) -> tuple[Trainer, Log]:
    """A trainer that has gone through the batches, one step each."""
    log = Log()
    trainer = trainer_for(
        method,
        config,
        folder,
        log,
        lambda start: (each for each in data),
        images_per_epoch=images_per_epoch,
    )
    trainer.fit()
    assert trainer.step == len(data)
    return trainer, log
