"""From a configuration to a trained model: everything is found, checked, built and run."""

import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch.random import fork_rng

from img2img.config import DataConfig, RunConfig, SideConfig, read_yaml
from img2img.data.augment import Transform
from img2img.data.check import Survey, check_found, remarks
from img2img.data.dataset import DataSet
from img2img.data.loader import batches, resolve_workers
from img2img.data.problems import refusal
from img2img.data.samples import Batch, Samples
from img2img.data.sizes import HeightWidth, resolve_sizes
from img2img.data.surveying import survey_together
from img2img.data.values import resolve_domains, value_facts, value_notices
from img2img.errors import ConfigError, DataError, some_names
from img2img.models.spec import ModelSpec
from img2img.networks.norms import BatchNorm2d, synchronize_batch_norm
from img2img.runs.directory import STATES_KEPT, RunDirectory
from img2img.runs.log import Change
from img2img.runtime.devices import resolve_device
from img2img.runtime.processes import Processes, joined
from img2img.training.build import (
    build_held_out,
    build_method,
    changes_on_resume,
    check_measures,
    check_parts,
    describe,
    image_size,
    method_class,
    resolve,
    size_notices,
    training_scale,
)
from img2img.training.data_of import as_trained, names_of, unusable
from img2img.training.doctor import Doctor
from img2img.training.events import Observer, Observers, RunFacts, Summary
from img2img.training.health_probe import HealthProbe
from img2img.training.init_from import init_from
from img2img.training.loop import Trainer
from img2img.training.methods.base import Method
from img2img.training.observers import (
    FactSheet,
    JsonLines,
    LossPlot,
    SampleSheets,
    TensorBoard,
    WeightsAndBiases,
)
from img2img.training.resuming import go_on
from img2img.training.stopping import StopRequest, stop_on_signals


def train(
    config: RunConfig,
    output: Path,
    *,
    resume: bool = False,
    stop_after: float | None = None,
    observers: Sequence[Observer] = (),
) -> Summary:
    """Train as `config` says, and leave everything in the run folder `output`.

    Started by `torchrun` or `accelerate launch`, the processes train one model together: each takes
    `data.batch_size` images a step, and the first writes and is watched.

    Args:
        resume: go on from the newest intact state in `output`, if there is one.
        stop_after: minutes after which to pause, to be resumed later.
        observers: hear of everything, beside those that keep the run's records.

    Raises:
        ConfigError: a key does not fit, or the run folder is in use.
        DataError: the images cannot be used as they are, or no longer; then the state is saved.
        TrainingDiverged: a loss or gradient is not finite; what was saved before is intact.
        StorageError: the disk refused; what was saved before is intact.
        TrainingStopped: by Ctrl-C, SIGTERM or `stop_after`; the state is saved.
    """
    directory = RunDirectory(output, config.checkpoint.keep)
    stop = StopRequest(stop_after)
    with ExitStack() as stack:
        device = resolve_device(config.device)
        # The caller's random numbers go on as if none had been drawn.
        stack.enter_context(fork_rng([device] if device.type == "cuda" else []))
        check_parts(config)
        processes = stack.enter_context(joined(device.type))
        if processes.count > 1 and device.index is not None:
            raise ConfigError(f"device: several processes need cuda, not {config.device}")
        if processes.first:
            stack.enter_context(directory.opened(resume))
            watching = Observers([*observers, *_recorders(config, directory)])
            doctors = [Doctor(config, directory.metrics_path, watching.noticed)]
            observer = Observers([watching, *(doctors if config.doctor.warn else [])])
        else:
            observer = Observers([])
        stack.callback(observer.closed)
        return _train(config, directory, resume, observer, stop, processes)


def _train(
    config: RunConfig,
    directory: RunDirectory,
    resume: bool,
    observer: Observer,
    stop: StopRequest,
    processes: Processes,
) -> Summary:
    data = as_trained(config.data, directory.facts()) if resume else config.data
    found, survey = _look_at_data(config, data, observer, processes)
    load_size, crop_size = resolve_sizes(config.data, survey.smallest)
    check_measures(config, found, crop_size)
    scales = {
        domain: training_scale(config.data, sizes, load_size)
        for domain, sizes in survey.sizes.items()
    }
    image_sizes = {domain: image_size(config.data, sizes) for domain, sizes in survey.sizes.items()}
    directions = method_class(config).translations
    inputs = [way[0] for way in directions] if len(directions) > 1 else [config.data.direction[0]]
    of_inputs = {domain: scales[domain] for domain in inputs}
    domains = resolve_domains(_ranges_of_earlier(config.data, directory, resume), survey.values)
    found = found.seen_as(domains)
    for notice in (
        *found.notices(),
        *size_notices(config.data, survey, crop_size, of_inputs),
        *value_notices(domains, survey.values),
    ):
        observer.noticed(notice)
    config = resolve(config, load_size, crop_size, domains)
    states = processes.from_first(directory.states()) if resume else []
    torch.manual_seed(config.seed)
    method = build_method(config, crop_size, domains)
    if processes.count > 1 and any(isinstance(m, BatchNorm2d) for m in method.modules()):
        if config.device == "cuda":
            synchronize_batch_norm(method)
        else:
            observer.noticed(
                "BatchNorm is over each process's own images: only on CUDA does it span processes"
            )
    if config.init_from is not None and not states:
        for notice in init_from(config.init_from, method, config.data.direction, domains):
            observer.noticed(notice)
    transform = Transform(config.data, load_size, crop_size)
    progress = partial(observer.preparing, "reading images")
    samples = found.samples(config.data, config.seed, transform, progress)
    specs = describe(config, method, crop_size, scales, image_sizes, domains)
    trainer = Trainer(
        method,
        specs,
        config,
        batches=partial(_batches, samples, config, processes, stop.asked),
        images_per_epoch=len(samples),
        held_out=build_held_out(config, method, specs, found, transform, observer.noticed),
        directory=directory,
        observer=observer,
        stop=stop,
        processes=processes,
        probe=_probe(config, method, specs, found, transform) if processes.first else None,
    )
    changes: list[Change] = []
    if states:
        changes = changes_on_resume(read_yaml(directory.config_path), config)
        for change in changes:
            observer.noticed(str(change))
        go_on(trainer, states, directory, observer, processes)
    elif resume:
        observer.noticed(f"{directory.folder} has no state to go on from: starting anew")
    if trainer.finished:
        observer.noticed(
            f"{directory.folder} is finished: step {trainer.step} was its last;"
            " a larger --max-steps, --max-epochs or --max-minutes goes on,"
            " or metrics.patience where that has ended it"
        )
        return trainer.summary()
    observer.preparing("trying a step", 0, 1)
    first = next(
        batches(samples, config.data.batch_size, trainer.images, skip_bad=config.data.skip_bad)
    )
    trial = trainer.trial(first)
    observer.preparing("trying a step", 1, 1)
    if processes.first:
        directory.save_config(config)
    shown_load = None if config.data.resize == "none" else load_size
    facts = _facts(config, directory, found, trainer, trial, shown_load, crop_size, processes)
    left_out, values = names_of(unusable(survey.problems)), value_facts(domains, survey.values)
    observer.started(replace(facts, left_out=left_out, changes=changes, values=values))
    with stop_on_signals(stop):
        return trainer.fit()


def _ranges_of_earlier(data: DataConfig, directory: RunDirectory, resume: bool) -> DataConfig:
    """`data` as it is, but of a run that was begun before there were ranges: all of each type."""
    if not resume or not directory.config_path.is_file():
        return data
    saved = read_yaml(directory.config_path).get("data")
    if not isinstance(saved, Mapping) or "A" in saved:
        return data
    sides = {side: getattr(data, side) for side in ("A", "B")}
    whole = {k: SideConfig(range="dtype") for k, side in sides.items() if side.range == "auto"}
    return data.model_copy(update=whole)


def _look_at_data(
    config: RunConfig, data: DataConfig, observer: Observer, processes: Processes
) -> tuple[DataSet, Survey]:
    """Find and decode all images; refuse, or leave out and say so, what cannot be used."""
    kind = method_class(config).data
    found = kind.find(data, config.seed)
    progress = partial(observer.preparing, "checking images")
    decoded = survey_together(found, processes, progress)
    report = processes.from_first(check_found(found, data, survey=decoded))
    survey, problems = report.survey, report.problems
    if problems and not data.skip_bad:
        raise refusal(problems, found.proposal, any_pairs=not found.empty)
    if problems:
        observer.noticed(f"left out: {some_names([problem.name for problem in problems])}")
    for remark in remarks(report, data):
        observer.noticed(remark)
    # Found anew, so that what is held out is chosen among the good ones.
    bad = unusable(survey.problems)
    kept = kind.find(data, config.seed, leave_out=bad) if bad else found
    if kept.empty:
        raise DataError(f"{found.layout}: nothing is left to train on")
    return kept, survey


def _batches(
    samples: Samples,
    config: RunConfig,
    processes: Processes,
    stopping: Callable[[], bool],
    start: int,
) -> Generator[Batch]:
    device = torch.device(config.device)
    return batches(
        samples,
        config.data.batch_size,
        start,
        share=(processes.rank, processes.count),
        skip_bad=config.data.skip_bad,
        workers=resolve_workers(config.data, device.type),
        timeout=config.data.timeout,
        stopping=stopping,
        pin_memory=device.type == "cuda",
    )


def _probe(
    config: RunConfig,
    method: Method,
    specs: Mapping[str, ModelSpec],
    found: DataSet,
    transform: Transform,
) -> HealthProbe | None:
    every = config.doctor.every
    if not isinstance(every, int) or not every:
        return None
    return HealthProbe(method, specs, found, config.data, transform, every)


def _recorders(config: RunConfig, directory: RunDirectory) -> list[Observer]:
    """The observers that keep the run folder's records."""
    recorders: list[Observer] = [
        JsonLines(directory.metrics_path),
        FactSheet(directory.facts_path),
        SampleSheets(directory),
        LossPlot(directory.metrics_path, directory.folder / "losses.png"),
    ]
    if config.metrics.tensorboard:
        recorders.append(TensorBoard(directory.folder / "tensorboard"))
    if config.metrics.wandb:
        recorders.append(WeightsAndBiases(directory))
    return recorders


def _facts(
    config: RunConfig,
    directory: RunDirectory,
    found: DataSet,
    trainer: Trainer,
    trial: tuple[float, int | None],
    load_size: HeightWidth | None,
    crop_size: HeightWidth,
    processes: Processes,
) -> RunFacts:
    """What there is to say before the first step, after a trial."""
    step_seconds, memory = trial
    method = trainer.method
    weights = {
        name: 4 * sum(p.numel() for p in network.parameters())
        for name, network in [*method.generators.items(), *method.critics.items()]
    }
    model = sum(weights[name] for name in method.generators)
    # Weights and Adam's two moments of them, the average, and the pools when full.
    channels = max(len(spec.output.channels) for spec in trainer.specs.values())
    pool = 4 * config.image_pool * channels * crop_size[0] * crop_size[1]
    state = 3 * sum(weights.values()) + model + pool * len(method.pools) * processes.count
    held_out = f"{len(found.held_out)} held out" if found.held_out else "none held out"
    batch = f"batches of {config.data.batch_size}"
    if config.optimizer.accumulate > 1:
        batch += f", {config.optimizer.accumulate} of them an update"
    if config.n_critic > 1:
        batch += f", {config.n_critic} updates of the critic a step"
    if processes.count > 1:
        batch += f", in each of {processes.count} processes"
    return RunFacts(
        output=directory.folder,
        method=config.method,
        device=config.device,
        precision=config.precision,
        images=f"{found.counts}, {held_out}; {found.layout}",
        batches=batch,
        load_size=load_size,
        crop_size=crop_size,
        parameters={name: size // 4 for name, size in weights.items()},
        step=trainer.step,
        total_steps=trainer.total_steps,
        minutes=config.schedule.minutes,
        seconds=trainer.summary().seconds,
        step_seconds=step_seconds,
        memory_bytes=memory,
        # The newest is written before the oldest goes; `model` and `best` are copies.
        disk_bytes=(config.checkpoint.keep + 3) * model + (STATES_KEPT + 1) * state,
        held_out=names_of(found.held_out),
        free_disk_bytes=shutil.disk_usage(directory.folder).free
        if directory.folder.is_dir()
        else 0,
    )
