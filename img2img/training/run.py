"""From a configuration to a trained model: everything is found, checked, built and run."""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from img2img.config import RunConfig, read_yaml
from img2img.data.augment import PairTransform
from img2img.data.check import Survey, check_pairs, passed_over
from img2img.data.loader import Batch, PairedDataset, batches, held_out_batches, resolve_workers
from img2img.data.paired import PairedData, find_pairs
from img2img.data.problems import refusal
from img2img.data.sizes import HeightWidth, resolve_sizes
from img2img.errors import DataError, some_names
from img2img.training.build import (
    build_method,
    changes_on_resume,
    check_parts,
    data_notices,
    describe,
    resolve,
    training_scale,
)
from img2img.training.events import Observer, Observers, RunFacts, Summary
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
    observer = Observers([*observers, *_recorders(config, store)])
    stop = StopRequest(stop_after)
    try:
        check_parts(config)
        found, survey = _look_at_data(config, observer)
        load_size, crop_size = resolve_sizes(config.data, survey.smallest)
        scale = training_scale(config.data, survey.sizes, load_size)
        for notice in data_notices(config.data, survey, crop_size, scale):
            observer.noticed(notice)
        config = resolve(config, load_size, crop_size)
        torch.manual_seed(config.seed)
        method = build_method(config, crop_size)
        transform = PairTransform(config.data, load_size, crop_size)
        direction = config.data.direction
        dataset = PairedDataset(
            found.train,
            transform,
            config.seed,
            direction=direction,
            cache=config.data.cache,
            progress=partial(observer.preparing, "reading images"),
        )
        trainer = Trainer(
            method,
            describe(config, method, crop_size, scale),
            config,
            batches=partial(_batches, dataset, config),
            images_per_epoch=len(dataset),
            held_out=partial(held_out_batches, found.held_out, transform, direction),
            store=store,
            observer=observer,
            stop=stop,
        )
        state = store.newest_state(observer.noticed) if resume else None
        if state is not None:
            for change in changes_on_resume(read_yaml(store.config_path), config):
                observer.noticed(change)
            trainer.load_state(state)
        elif resume:
            observer.noticed(f"{output} has no state to go on from: starting anew")
        if trainer.finished:
            observer.noticed(
                f"{output} is finished: step {trainer.step} was its last;"
                " a larger --max-steps, --max-epochs or --max-minutes goes on"
            )
            return trainer.summary()
        observer.preparing("trying a step", 0, 1)
        trial = trainer.trial(next(batches(dataset, config.data.batch_size, trainer.images)))
        observer.preparing("trying a step", 1, 1)
        store.save_config(config)
        shown_load = None if config.data.resize == "none" else load_size
        observer.started(_facts(config, output, found, trainer, trial, shown_load, crop_size))
        with stop_on_signals(stop):
            return trainer.fit()
    finally:
        observer.closed()


def _look_at_data(config: RunConfig, observer: Observer) -> tuple[PairedData, Survey]:
    """Find and decode all pairs; refuse, or leave out and say so, what cannot be used."""
    found = find_pairs(config.data, config.seed)
    survey = check_pairs(
        found.train + found.held_out, partial(observer.preparing, "checking images")
    )
    problems = found.problems + survey.problems
    if problems and not config.data.skip_bad:
        raise refusal(problems)
    if problems:
        observer.noticed(f"left out: {some_names([problem.name for problem in problems])}")
    if unread := passed_over(config.data):
        kinds = ", ".join(f"{suffix} ({count})" for suffix, count in unread.items())
        observer.noticed(f"passed over, as their kinds are not read: {kinds}")
    # Found anew, so that what is held out is chosen among the good ones.
    bad = {problem.pair for problem in survey.problems if problem.pair is not None}
    kept = find_pairs(config.data, config.seed, leave_out=bad) if bad else found
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
        recorders.append(WeightsAndBiases(store))
    return recorders


def _facts(
    config: RunConfig,
    output: Path,
    found: PairedData,
    trainer: Trainer,
    trial: tuple[float, int | None],
    load_size: HeightWidth | None,
    crop_size: HeightWidth,
) -> RunFacts:
    """What there is to say before the first step, after a trial."""
    step_seconds, memory = trial
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
        load_size=load_size,
        crop_size=crop_size,
        parameters={name: size // 4 for name, size in weights.items()},
        step=trainer.step,
        total_steps=trainer.total_steps,
        minutes=config.schedule.minutes,
        step_seconds=step_seconds,
        memory_bytes=memory,
        # The newest is written before the oldest goes; `model` and `best` are copies.
        disk_bytes=(config.checkpoint.keep + 3) * model + (STATES_KEPT + 1) * state,
        free_disk_bytes=shutil.disk_usage(folder).free,
    )
