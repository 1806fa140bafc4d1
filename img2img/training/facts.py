"""The facts of a run before its first step: sizes, memory, disk and time."""

import shutil
from collections.abc import Sequence
from platform import python_version

import torch

from img2img import __version__
from img2img.config import RunConfig
from img2img.data.dataset import DataSet
from img2img.runs.data import names_of
from img2img.runs.directory import STATES_KEPT
from img2img.runs.facts import RunFacts
from img2img.runs.log import Change
from img2img.training.data import TrainingData
from img2img.training.loop import Trainer
from img2img.training.session import Session


def facts_of(
    trainer: Trainer,
    data: TrainingData,
    trial: tuple[float, int | None],
    changes: Sequence[Change],
    session: Session,
) -> RunFacts:
    """Collect the facts of a run that is about to start.

    Args:
        trial: seconds and peak memory of a step.
    """
    config, folder = trainer.config, session.directory.folder
    processes, (step_seconds, memory) = session.processes.count, trial
    weights = {
        name: 4 * sum(p.numel() for p in network.parameters())
        for name, network in [*trainer.method.averaged.items(), *trainer.method.critics.items()]
    }
    return RunFacts(
        output=folder,
        method=config.method,
        device=config.device,
        precision=config.precision,
        images=_images(data.found),
        batches=_batches(config, processes),
        load_size=None if config.data.resize == "none" else data.load_size,
        crop_size=data.crop_size,
        parameters={name: size // 4 for name, size in weights.items()},
        step=trainer.step,
        total_steps=trainer.total_steps,
        minutes=config.schedule.minutes,
        seconds=trainer.summary().seconds,
        step_seconds=step_seconds,
        memory_bytes=memory,
        disk_bytes=_disk_bytes(trainer, weights, data.crop_size, processes),
        free_disk_bytes=shutil.disk_usage(folder).free if folder.is_dir() else 0,
        side_by_side=data.found.side_by_side,
        held_out=names_of(data.found.held_out),
        left_out=data.left_out,
        changes=changes,
        values=data.values,
        translates=all(domain.kind != "noise" for domain in data.domains.values()),
        versions={"img2img": __version__, "torch": torch.__version__, "python": python_version()},
    )


def _images(found: DataSet) -> str:
    held_out = f"{len(found.held_out)} held out" if found.held_out else "none held out"
    return f"{found.counts}, {held_out}; {found.layout}"


def _batches(config: RunConfig, processes: int) -> str:
    text = f"batches of {config.data.batch_size}"
    if config.optimizer.accumulate > 1:
        text += f", {config.optimizer.accumulate} per update"
    if config.n_critic > 1:
        text += f", {config.n_critic} critic updates per step"
    if processes > 1:
        text += f", in each of {processes} processes"
    return text


def _disk_bytes(
    trainer: Trainer, weights: dict[str, int], crop_size: tuple[int, int], processes: int
) -> int:
    """The most disk space that models and states will need; `weights` are bytes by network."""
    config = trainer.config
    model = sum(weights[name] for name in trainer.method.generators)
    # Weights and Adam's two moments of them, the average, and the pools when full.
    channels = max(len(spec.output.channels) for spec in trainer.specs.values())
    pool = 4 * config.image_pool * channels * crop_size[0] * crop_size[1]
    state = 3 * sum(weights.values()) + model + pool * len(trainer.method.pools) * processes
    # The newest is written before the oldest goes; `model` and `best` are copies.
    return (config.checkpoint.keep + 3) * model + (STATES_KEPT + 1) * state
