"""The training loop. It knows optimizers, precision, averages and checkpoints, not methods."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from img2img.checkpoint import ModelSpec
from img2img.config import RunConfig
from img2img.data.loader import Batch
from img2img.devices import is_out_of_memory, peak_memory, synchronize
from img2img.errors import ConfigError, StorageError, TrainingDiverged
from img2img.training.ema import Ema
from img2img.training.events import Observer, Progress, Summary
from img2img.training.held_out import HeldOut
from img2img.training.length import planned_steps, steps_in_time
from img2img.training.method import Method, Phase
from img2img.training.optimizers import OPTIMIZERS, restore
from img2img.training.precision import Arithmetic, resolve_precision
from img2img.training.schedule import SCHEDULES, Schedule
from img2img.training.stopping import StopRequest
from img2img.training.store import Store

# Steps over which the pace is averaged.
PACE_STEPS = 50


class Trainer:
    """Runs a method on batches until its length is reached or it is asked to stop.

    A step's random numbers are seeded by (seed, step) and batches come by position, so a resumed
    run goes on as if it had never stopped.

    Args:
        method: float32 networks, already on the device.
        specs: what each generator's model file will say, but for the counts of steps and images.
        config: resolved: no `auto` left in it.
        batches: gives an iterator of batches from a position on, on the CPU.
        images_per_epoch: positions in an epoch.
        held_out: gives the fixed batches that measures and samples are made of; may give none.
        store: where models and states go.
        observer: told of everything.
        stop: asked between steps.
    """

    def __init__(
        self,
        method: Method,
        specs: Mapping[str, ModelSpec],
        config: RunConfig,
        *,
        batches: Callable[[int], Iterator[Batch]],
        images_per_epoch: int,
        held_out: Callable[[], Iterator[Batch]],
        store: Store,
        observer: Observer,
        stop: StopRequest,
    ) -> None:
        self.method = method
        self.config = config
        self._specs = specs
        self._batches = batches
        self._images_per_epoch = images_per_epoch
        self._store = store
        self._observer = observer
        self._stop = stop

        self._device = next(method.parameters()).device
        precision = resolve_precision(config.precision, self._device)
        self._optimizers = {
            name: OPTIMIZERS.build(
                config.optimizer,
                "optimizer",
                params=parameters,
                lr=self._base_rate(name),
            )
            for name, parameters in method.parameter_groups().items()
        }
        self._arithmetic = Arithmetic(method, precision, self._device)
        self._ema = Ema(method.generators, config.ema.half_life)
        self._held_out = HeldOut(method, self._ema.average, specs, held_out)
        self.total_steps = planned_steps(config.schedule, images_per_epoch, config.data.batch_size)
        self._schedule = self._make_schedule()

        self.step = 0
        self.images = 0
        """Images seen, which is the position of the next one."""
        self._seconds_before = 0.0
        self._session_started: float | None = None
        self._ticks: deque[float] = deque(maxlen=PACE_STEPS + 1)
        self._totals: dict[str, Tensor] = {}
        self._totalled = 0
        self._best: float | None = None
        self._saved_step: int | None = None
        self._measures: dict[str, float] = {}

    def fit(self) -> Summary:
        """Train to the end, one step at least.

        Raises:
            TrainingStopped: the stop was asked for; the state is saved.
            StorageError: the disk refused; the last saved state is intact.
        """
        self._session_started = time.monotonic()
        self._ticks.append(self._session_started)
        for batch in self._batches(self.images):
            try:
                self._train_on(batch)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise _unfit(batch, error) from error
                raise
            if self.finished:
                break
            if self._stop.asked():
                self._pause()
        summary = self.summary()
        self._observer.ended(summary)
        return summary

    def trial(self, batch: Batch) -> tuple[float, int | None]:
        """Make a step that changes nothing, twice, to see that it fits and how long it takes.

        Returns:
            Seconds of the second; and bytes of memory at the peak, with what the optimizers
            will add (None on a device that does not tell).

        Raises:
            ConfigError: the networks cannot take such a batch, or the memory does not.
        """
        buffers = {name: buffer.clone() for name, buffer in self.method.named_buffers()}
        seconds = 0.0
        for _ in range(2):
            began = time.perf_counter()
            try:
                for _ in self._phases(batch):
                    pass
            except (RuntimeError, ValueError) as error:
                raise _unfit(batch, error) from error
            synchronize(self._device)
            seconds = time.perf_counter() - began
        memory = peak_memory(self._device)
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        for name, buffer in self.method.named_buffers():
            buffer.copy_(buffers[name])
        weights = sum(p.numel() * p.element_size() for p in self.method.parameters())
        return seconds, None if memory is None else memory + 2 * weights

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs to end as this one would."""
        return {
            "step": self.step,
            "images": self.images,
            "seconds": self._seconds(),
            "best": self._best,
            "measures": self._measures,
            "totals": self._totals,
            "totalled": self._totalled,
            "method": self.method.state_dict(),
            "ema": self._ema.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self._optimizers.items()},
            "precision": self._arithmetic.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken.

        Raises:
            ConfigError: it is of networks that the configuration no longer describes.
        """
        try:
            self.method.load_state_dict(state["method"])
        except RuntimeError as error:
            first = " ".join(str(error).split("\n")[1:2]).strip()
            raise ConfigError(
                f"the saved state is of other networks than configured: {first}"
            ) from None
        self._ema.load_state_dict(state["ema"])
        for name, optimizer in self._optimizers.items():
            restore(optimizer, state["optimizers"][name])
        self._arithmetic.load_state_dict(state["precision"])
        self.step = state["step"]
        self.images = state["images"]
        self._seconds_before = state["seconds"]
        self._best = state["best"]
        self._measures = state["measures"]
        self._totals = {tag: total.to(self._device) for tag, total in state["totals"].items()}
        self._totalled = state["totalled"]
        self._saved_step = self.step

    # -- a step ------------------------------------------------------------------------------

    def _train_on(self, batch: Batch) -> None:
        factor = self._schedule.factor(self.images)
        for name, optimizer in self._optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._base_rate(name) * factor
        torch.manual_seed(_mixed(self.config.seed, self.step))
        for phase in self._phases(batch):
            self._arithmetic.step(phase.name, self._optimizers[phase.name])
            self._count(phase)
        self._arithmetic.end_step()
        self.step += 1
        self.images += len(batch)
        self._totalled += 1
        self._ema.update(self.images, len(batch))
        self._ticks.append(time.monotonic())
        self._fix_length()
        progress = self._progress()
        self._observer.stepped(progress)
        self._report(progress)

    def _phases(self, batch: Batch) -> Iterator[Phase]:
        """The phases of a batch, each with its gradients ready for the update."""
        phases = self._arithmetic.method.phases(batch.to(self._device))
        while True:
            with self._arithmetic.context():
                phase = next(phases, None)
            if phase is None:
                return
            self._arithmetic.backward(phase)
            yield phase

    def _count(self, phase: Phase) -> None:
        # Summed on the device: reading a value would make the device wait for it.
        values = {tag: term.value.detach() for tag, term in phase.terms.items()}
        for tag, value in {**values, **phase.scores}.items():
            self._totals[tag] = self._totals.get(tag, torch.zeros_like(value)) + value

    # -- what happens every so often ---------------------------------------------------------

    def _report(self, progress: Progress) -> None:
        last = self.finished
        every = self.config
        if last or self.step % every.metrics.log_every == 0:
            self._log(progress)
        if last or _due(self.step, every.metrics.every):
            self._measure(progress)
        if last or _due(self.step, every.samples.every):
            self._sample(progress)
        if last or _due(self.step, every.checkpoint.every):
            self._save(progress)

    def _log(self, progress: Progress) -> None:
        if not self._totalled:
            return
        values = self._averages()
        self._totals, self._totalled = {}, 0
        self._observer.logged(progress, values)

    def _averages(self) -> dict[str, float]:
        """The mean of each loss and score since the last line of the log.

        Raises:
            TrainingDiverged: one of them is not finite.
        """
        values = {tag: total.item() / self._totalled for tag, total in self._totals.items()}
        for tag, value in values.items():
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"step {self.step}: {tag} is {value}: training has diverged; {self._kept()}."
                    " A lower optimizer.lr or precision fp32 may help"
                )
        return values

    def _kept(self) -> str:
        if self._saved_step is None:
            return "nothing was saved before"
        return f"step {self._saved_step} is safe, to go on from with --resume"

    def _measure(self, progress: Progress) -> None:
        self._measures = self._held_out.measures()
        if not self._measures:
            return
        self._observer.measured(progress, {f"val/{k}": v for k, v in self._measures.items()})
        value = self._measures[self.config.metrics.best]
        if self._best is None or value < self._best:
            self._best = value
            self._store.save_best(self._specs_now(), self._ema.average)

    def _sample(self, progress: Progress) -> None:
        sheet = self._held_out.sheet(self.config.samples.count)
        if sheet is not None:
            self._observer.sampled(progress, sheet)

    def _save(self, progress: Progress) -> None:
        if self._totalled:
            self._averages()  # not over the last good state with one that has diverged
        try:
            self._store.save_model(self.step, self._specs_now(), self._ema.average)
            path = self._store.save_state(self.step, self.state())
        except StorageError as error:
            raise StorageError(f"{error}; {self._kept()}") from error
        self._saved_step = self.step
        self._observer.saved(progress, path)

    def _pause(self) -> None:
        """Save, and end with the error that says why and how to go on."""
        self._save(self._progress())
        command = f"img2img train {self.config.method} --output {self._store.folder} --resume"
        raise self._stop.error(f"step {self.step} is saved; go on with: {command}")

    # -- where the run is --------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether the length is reached."""
        return self.total_steps is not None and self.step >= self.total_steps

    def _fix_length(self) -> None:
        """Turn a length in minutes into steps, once their pace is known, and save it."""
        minutes = self.config.schedule.minutes
        if self.total_steps is not None or minutes is None:
            return
        synchronize(self._device)
        self.total_steps = steps_in_time(
            minutes, self._seconds(), self.step, [*self._ticks, time.monotonic()]
        )
        if self.total_steps is not None:
            schedule = self.config.schedule.model_copy(update={"measured_steps": self.total_steps})
            self.config = self.config.model_copy(update={"schedule": schedule})
            self._store.save_config(self.config)
            self._schedule = self._make_schedule()

    def _make_schedule(self) -> Schedule:
        schedule = self.config.schedule
        total: float | None = None
        if self.total_steps is None:
            total = math.inf  # in minutes, and not yet measured: that is at the very start
        elif (schedule.steps, schedule.total_epochs, schedule.minutes) != (None, None, None):
            total = self.total_steps * self.config.data.batch_size
        return SCHEDULES.build(
            schedule,
            "schedule",
            epochs=schedule.epochs,
            decay_epochs=schedule.decay_epochs,
            images_per_epoch=self._images_per_epoch,
            total_images=total,
        )

    def _base_rate(self, group: str) -> float:
        rates = self.config.optimizer
        return rates.lr_d if group == "D" and rates.lr_d is not None else rates.lr

    def _seconds(self) -> float:
        if self._session_started is None:
            return self._seconds_before
        return self._seconds_before + time.monotonic() - self._session_started

    def _specs_now(self) -> dict[str, ModelSpec]:
        now = {"steps": self.step, "images": self.images}
        return {name: spec.model_copy(update=now) for name, spec in self._specs.items()}

    def _progress(self) -> Progress:
        steps, seconds = len(self._ticks) - 1, self._ticks[-1] - self._ticks[0]
        return Progress(
            step=self.step,
            total_steps=self.total_steps,
            images=self.images,
            images_per_epoch=self._images_per_epoch,
            seconds=self._seconds(),
            images_per_second=steps * self.config.data.batch_size / max(seconds, 1e-9),
            lr=self._optimizers["G"].param_groups[0]["lr"],
        )

    def summary(self) -> Summary:
        """What has come of the run so far."""
        seconds = self._seconds()
        return Summary(
            output=self._store.folder,
            steps=self.step,
            images=self.images,
            seconds=seconds,
            images_per_second=self.images / max(seconds, 1e-9),
            device=str(self._device),
            precision=self.config.precision,
            measures=self._measures,
        )


def _unfit(batch: Batch, error: Exception) -> ConfigError:
    """What a failed trial step says about the configuration."""
    count, _, height, width = batch.A.shape
    if is_out_of_memory(error):
        return ConfigError(
            f"not enough memory for batches of {count} crops of {height} x {width}: make "
            "data.batch_size or data.crop_size smaller, or the networks narrower"
        )
    reason = str(error).partition("\n")[0]
    return ConfigError(
        f"data.crop_size: the networks cannot take crops of {height} x {width}: {reason}"
    )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _mixed(seed: int, step: int) -> int:
    """One 64-bit seed from two numbers."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0])
