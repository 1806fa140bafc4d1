"""From a configuration to a trained model: everything is found, checked, built and run."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from img2img.config import RunConfig
from img2img.data.augment import PairTransform
from img2img.data.check import Survey, check_pairs
from img2img.data.loader import Batch, PairedDataset, batches, held_out_batches, resolve_workers
from img2img.data.paired import PairedData, find_pairs
from img2img.data.problems import refusal, usable
from img2img.data.sizes import resolve_sizes
from img2img.errors import DataError, some_names
from img2img.training.build import build_method, check_parts, describe, resolve, training_scale
from img2img.training.events import Observer, RunFacts, Summary
from img2img.training.loop import Trainer
from img2img.training.observers import (
    JsonLines,
    LossPlot,
    SampleSheets,
    TensorBoard,
    WeightsAndBiases,
)
from img2img.training.stopping import StopRequest, stop_on_signals
from img2img.training.store import STATES_KEPT, Store


def train(
    config: RunConfig,
    output: Path,
    *,
    resume: bool = False,
    stop_after: float | None = None,
    observers: Sequence[Observer] = (),
) -> Summary:
    """Train as `config` says, and leave everything in the run folder `output`.

    Args:
        resume: go on from the newest intact state in `output`, if there is one.
        stop_after: minutes after which to pause, to be resumed later.
        observers: hear of everything, beside those that keep the run's records.

    Raises:
        ConfigError: a key does not fit, or the run folder is in use.
        DataError: the images cannot be used as they are.
        StorageError: the disk refused; what was saved before is intact.
        TrainingStopped: by Ctrl-C, SIGTERM or `stop_after`; the state is saved.
    """
    store = Store(output, config.checkpoint.keep)
    store.open(resume)
    check_parts(config)
    found, survey = _look_at_data(config, observers)
    load_size, crop_size = resolve_sizes(config.data, survey.smallest)
    config = resolve(config, load_size, crop_size)
    everyone = [*observers, *_recorders(config, store)]
    stop = StopRequest(stop_after)
    try:
        torch.manual_seed(config.seed)
        method = build_method(config, crop_size)
        scale = training_scale(config.data, survey.sizes, load_size)
        transform = PairTransform(config.data, load_size, crop_size)
        direction = config.data.direction
        dataset = PairedDataset(
            found.train,
            transform,
            config.seed,
            direction=direction,
            cache=config.data.cache,
            progress=partial(_prepared, everyone, "reading images"),
        )
        trainer = Trainer(
            method,
            describe(config, method, crop_size, scale),
            config,
            batches=partial(_batches, dataset, config),
            images_per_epoch=len(dataset),
            held_out=partial(held_out_batches, found.held_out, transform, direction),
            store=store,
            observers=everyone,
            stop=stop,
        )
        state = store.newest_state(partial(_noticed, everyone)) if resume else None
        if state is not None:
            trainer.load_state(state)
        if trainer.finished:
            _noticed(everyone, f"{output} is finished: step {trainer.step} was its last")
            return trainer.summary()
        store.save_config(config)
        first_batch = next(batches(dataset, config.data.batch_size, trainer.images))
        _prepared(everyone, "trying a step", 0, 1)
        facts = _facts(config, output, found, trainer, first_batch)
        _prepared(everyone, "trying a step", 1, 1)
        for observer in everyone:
            observer.started(facts)
        with stop_on_signals(stop):
            return trainer.fit()
    finally:
        for observer in everyone:
            observer.closed()


def _look_at_data(config: RunConfig, observers: Sequence[Observer]) -> tuple[PairedData, Survey]:
    """Find and decode all pairs; refuse, or leave out and say so, what cannot be used."""
    found = find_pairs(config.data, config.seed)
    survey = check_pairs(
        found.train + found.held_out, partial(_prepared, observers, "checking images")
    )
    problems = found.problems + survey.problems
    if problems and not config.data.skip_bad:
        raise refusal(problems)
    if problems:
        names = some_names([problem.name for problem in problems])
        _noticed(observers, f"left out: {names}")
    kept = replace(
        found,
        train=usable(found.train, survey.problems),
        held_out=usable(found.held_out, survey.problems),
    )
    if not kept.train:
        raise DataError(f"{found.layout}: no pair to train on")
    return kept, survey


def _batches(dataset: PairedDataset, config: RunConfig, start: int) -> Iterator[Batch]:
    device = torch.device(config.device)
    workers = resolve_workers(config.data.workers, device.type)
    on_gpu = device.type == "cuda"
    return batches(dataset, config.data.batch_size, start, workers=workers, pin_memory=on_gpu)


def _recorders(config: RunConfig, store: Store) -> list[Observer]:
    """The observers that keep the run folder's records."""
    recorders: list[Observer] = [
        JsonLines(store.metrics_path),
        SampleSheets(store.samples),
        LossPlot(store.metrics_path, store.folder / "losses.png"),
    ]
    if config.metrics.tensorboard:
        recorders.append(TensorBoard(store.folder / "tensorboard"))
    if config.metrics.wandb:
        recorders.append(WeightsAndBiases(store.folder, config))
    return recorders


def _facts(
    config: RunConfig, output: Path, found: PairedData, trainer: Trainer, batch: Batch
) -> RunFacts:
    """What there is to say before the first step, after a trial on a batch."""
    load_size, crop_size = resolve_sizes(config.data, (0, 0))
    seconds, memory = trainer.trial(batch)
    method = trainer.method
    weights = {
        name: 4 * sum(p.numel() for p in network.parameters())
        for name, network in [*method.generators.items(), *method.critics.items()]
    }
    model = sum(weights[name] for name in method.generators)
    # Weights and Adam's two moments of them, and the average.
    state = 3 * sum(weights.values()) + model
    folder = next(path for path in [output, *output.resolve().parents] if path.is_dir())
    return RunFacts(
        output=output,
        method=config.method,
        device=config.device,
        precision=config.precision,
        layout=found.layout,
        train_images=len(found.train),
        held_out_images=len(found.held_out),
        batch_size=config.data.batch_size,
        load_size=None if config.data.resize == "none" else load_size,
        crop_size=crop_size,
        parameters={name: size // 4 for name, size in weights.items()},
        step=trainer.step,
        total_steps=trainer.total_steps,
        minutes=config.schedule.minutes,
        step_seconds=seconds,
        memory_bytes=memory,
        # The newest is written before the oldest goes; `model` and `best` are copies.
        disk_bytes=(config.checkpoint.keep + 3) * model + (STATES_KEPT + 1) * state,
        free_disk_bytes=shutil.disk_usage(folder).free,
    )


def _noticed(observers: Sequence[Observer], message: str) -> None:
    for observer in observers:
        observer.noticed(message)


def _prepared(observers: Sequence[Observer], what: str, done: int, total: int) -> None:
    for observer in observers:
        observer.preparing(what, done, total)
