"""From a configuration to a trained model: checks the data, builds the networks, trains."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from torch.random import fork_rng

from img2img.config import DataConfig, RunConfig
from img2img.data.loader import batches, resolve_workers
from img2img.data.samples import Batch, Samples
from img2img.errors import ConfigError
from img2img.networks.norms import BatchNorm2d, synchronize_batch_norm
from img2img.runs.directory import RunDirectory
from img2img.runtime.processes import joined
from img2img.training.build import (
    build_held_out,
    build_method,
    check_measures,
    check_parts,
    describe,
    is_bounded,
    method_class,
    on_device,
    resolve,
)
from img2img.training.data import TrainingData, prepare_data
from img2img.training.events import Observer, Observers, Summary
from img2img.training.facts import facts_of
from img2img.training.health_probe import HealthProbe
from img2img.training.init_from import init_from
from img2img.training.live_doctor import LiveDoctor
from img2img.training.loop import Trainer
from img2img.training.methods.base import Method
from img2img.training.observers import recorders
from img2img.training.resuming import data_as_begun, load_newest, note_changes
from img2img.training.session import Session
from img2img.training.stopping import StopRequest, stop_on_signals


def train(
    config: RunConfig,
    output: Path | str,
    *,
    resume: bool = False,
    stop_after: float | None = None,
    observers: Sequence[Observer] = (),
) -> Summary:
    """Train as `config` says, and write everything to the run folder `output`.

    Processes that `torchrun` or `accelerate launch` has started train one model together: each uses
    `data.batch_size` images per step. Only the first writes files and calls observers.

    Args:
        resume: continue from the newest intact state in `output`, if there is one.
        stop_after: minutes after which to pause; the run can be resumed later.
        observers: get every event, in addition to those that write the run's records.

    Raises:
        ConfigError: a key does not fit, or the run folder is in use.
        DataError: images cannot be used; if this is found during training, the state is saved
            first.
        TrainingDiverged: a loss or gradient is not finite; what was saved before is intact.
        StorageError: writing to disk failed; what was saved before is intact.
        TrainingStopped: stopped by Ctrl-C, a signal or `stop_after`; the state is saved.
    """
    directory = RunDirectory(Path(output), config.checkpoint.keep)
    stop, observer = StopRequest(stop_after), Observers()
    config = on_device(config)
    device = torch.device(config.device)
    with ExitStack() as stack:
        # The caller's random numbers go on as if none had been drawn.
        stack.enter_context(fork_rng([device] if device.type == "cuda" else []))
        check_parts(config)
        processes = stack.enter_context(joined(device.type))
        if processes.count > 1 and device.index is not None:
            raise ConfigError(
                f"device: training with several processes needs cuda, but device is {config.device}"
            )
        if processes.first:
            stack.enter_context(directory.opened(resume))
        stack.callback(observer.closed)
        if processes.first:
            observer.observers += [*observers, *recorders(directory, config.metrics)]
            if config.doctor.warn:
                observer.observers.append(
                    LiveDoctor(config, directory.metrics_path, observer.noticed)
                )
        return _train(config, Session(directory, observer, stop, processes), resume)


def _train(config: RunConfig, session: Session, resume: bool) -> Summary:
    directory, observer, processes = session.directory, session.observer, session.processes
    kind = method_class(config.method)
    both_ways = len(kind.translations) > 1
    inputs, outputs = ("AB", "AB") if both_ways else config.data.direction.split("to")
    settings = data_as_begun(config.data, directory) if resume else config.data
    data = prepare_data(
        kind.data_class(config),
        settings,
        config.seed,
        inputs,
        session,
        unbounded="" if is_bounded(config.generator) else outputs,
    )
    check_measures(config.metrics, kind, data.found, data.crop_size)
    config = resolve(config, data.load_size, data.crop_size, data.domains)

    states = processes.from_first(directory.states()) if resume else []
    method = _new_method(config, data, session)
    if config.init_from is not None and not states:
        for notice in init_from(config.init_from, method, config.data.direction, data.domains):
            observer.noticed(notice)
    samples = data.samples(config.seed, partial(observer.preparing, "reading images"))
    trainer = _trainer(config, method, data, samples, session)
    changes = note_changes(config, session) if states else []
    if states:
        load_newest(trainer, states, session)
    elif resume:
        observer.noticed(f"{directory.folder} has no state to resume, so a new run starts")
    if trainer.finished:
        observer.noticed(_finished(trainer.summary()))
        return trainer.summary()

    observer.preparing("trying a step", 0, 1)
    size, skip_bad = config.data.batch_size, config.data.skip_bad
    trial = trainer.trial(next(batches(samples, size, trainer.images, skip_bad=skip_bad)))
    observer.preparing("trying a step", 1, 1)
    if processes.first:
        directory.save_config(config)
    observer.started(facts_of(trainer, data, trial, changes, session))
    with stop_on_signals(session.stop):
        return trainer.fit()


def _new_method(config: RunConfig, data: TrainingData, session: Session) -> Method:
    """The networks, with their first weights drawn by the seed."""
    torch.manual_seed(config.seed)
    method = build_method(config, data.crop_size, data.domains)
    if data.gaps and config.critic.augment:
        raise ConfigError.of_key(
            "critic.augment", "would move pixels that hold no data into view; set it to []"
        )
    several = session.processes.count > 1
    if several and any(isinstance(m, BatchNorm2d) for m in method.modules()):
        if config.device == "cuda":
            synchronize_batch_norm(method)
        else:
            session.observer.noticed(
                "BatchNorm uses the images of each process separately; statistics are shared"
                " between processes only on CUDA"
            )
    return method


def _trainer(
    config: RunConfig, method: Method, data: TrainingData, samples: Samples, session: Session
) -> Trainer:
    """Assemble the training loop."""
    specs = describe(config, method, data.crop_size, data.scales, data.image_sizes, data.domains)
    every = config.doctor.every
    probe = None
    if session.processes.first and isinstance(every, int) and every:
        probe = HealthProbe(method, specs, data, every)
    say, held_out = session.observer.noticed, data.held_out_batches
    return Trainer(
        method,
        specs,
        config,
        session,
        batches=partial(_batches, samples, config.data, config.device, session),
        images_per_epoch=len(samples),
        held_out=build_held_out(config.metrics, method, specs, data.found, held_out, say),
        probe=probe,
    )


def _batches(
    samples: Samples, data: DataConfig, device: str, session: Session, start: int
) -> Generator[Batch]:
    kind = torch.device(device).type
    return batches(
        samples,
        data.batch_size,
        start,
        share=(session.processes.rank, session.processes.count),
        skip_bad=data.skip_bad,
        workers=resolve_workers(data, kind),
        timeout=data.timeout,
        stopping=session.stop.asked,
        pin_memory=kind == "cuda",
    )


def _finished(run: Summary) -> str:
    """Says that nothing is left to train, and which settings continue the run."""
    if run.stopped_early:
        return (
            f"{run.output} is finished: it stopped early at step {run.steps}; a larger"
            " `metrics.patience` continues the run"
        )
    return (
        f"{run.output} is finished: step {run.steps} was its last; a larger `schedule.steps`,"
        " `schedule.total_epochs` or `schedule.minutes` continues the run"
    )
