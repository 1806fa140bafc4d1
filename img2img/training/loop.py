"""The training loop: everything around the steps, whatever the method."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any

from img2img.config import RunConfig
from img2img.data.samples import Batch
from img2img.errors import (
    DataError,
    Img2ImgError,
    LoadingFailed,
    ProcessLost,
    StorageError,
    TrainingDiverged,
    TrainingStopped,
    counted,
)
from img2img.models.spec import ModelSpec
from img2img.runtime.devices import synchronize
from img2img.training.best import BestTracker
from img2img.training.ema import Ema
from img2img.training.events import Observation, Progress, Summary
from img2img.training.health_probe import HealthProbe
from img2img.training.held_out import HeldOut
from img2img.training.length import Length
from img2img.training.loss_meter import LossMeter
from img2img.training.methods.base import Method
from img2img.training.resolution import halvings_at, mean_seconds, reduced
from img2img.training.review import Review
from img2img.training.session import Session
from img2img.training.step import Stepper
from img2img.training.throughput import Throughput
from img2img.training.trial import try_step


class Trainer:
    """Trains a method on batches until the run has its full length or is asked to stop.

    Random numbers are seeded by step, and batches depend only on their position, so a resumed run
    continues exactly as if it had never stopped.

    Args:
        method: its networks are float32 and already on the device.
        specs: by generator, the specification for its model file, without the counts of steps and
            images.
        config: resolved, so that no value is `auto`.
        batches: returns an iterator of this process's batches from a position on, on the CPU.
        images_per_epoch: number of positions in an epoch.
        held_out: evaluates generators on held-out images.
        session: the run folder, the observer, and the processes.
        probe: checks the health of the generators, in one of the processes.
    """

    def __init__(
        self,
        method: Method,
        specs: Mapping[str, ModelSpec],
        config: RunConfig,
        session: Session,
        *,
        batches: Callable[[int], Generator[Batch]],
        images_per_epoch: int,
        held_out: HeldOut,
        probe: HealthProbe | None = None,
    ) -> None:
        self.method = method
        self.config = config
        self.specs = specs
        self._batches = batches
        self._directory, self._observer = session.directory, session.observer
        self._stop = session.stop
        self._processes = processes = session.processes

        self._stepper = Stepper(method, config, processes, session.observer)
        self._ema = Ema(method.averaged, config.ema.half_life)
        self._meter = LossMeter(processes)
        self._throughput = Throughput()
        self._tracker = BestTracker(config.metrics)
        self._review = Review(held_out, probe, self._tracker, session, config.samples.count)
        self._batches_per_step = config.n_critic * config.optimizer.accumulate
        self._images_per_step = processes.count * self._batches_per_step * config.data.batch_size
        self._length = Length(config.schedule, images_per_epoch, self._images_per_step)
        self._step_seconds: dict[int, float] = {}
        """The duration of a trial step, by how often crops are halved."""

        self.step = 0
        self.images = 0
        """Images seen by all processes together, which is also the position of the next one."""
        self._saved: Path | None = None
        self._passed_over = 0
        self._problems: list[str] = []
        """Files that this process could not read since the last line of the log."""
        self._asked = False
        self._failure: Img2ImgError | None = None

    def fit(self) -> Summary:
        """Train to the end; at least one step is made, if any is left.

        Raises:
            TrainingStopped: a stop was requested, or images stopped coming; the state is saved.
            ProcessLost: one of several processes has ended; the last saved state is intact.
            DataError: an image could not be read by one of the processes; the state is saved.
            TrainingDiverged: a loss or gradient is not finite; the last saved state is intact.
            StorageError: the disk refused; the last saved state is intact.
        """
        self._throughput.begin()
        try:
            self._go_through()
        except ProcessLost as error:  # in the middle of a step, perhaps: there is nothing to save
            kept = self._kept() if self._processes.first else "the last saved state is intact"
            folder = self._directory.folder
            raise ProcessLost(f"stopped: {error}; {kept}", path=folder) from error
        if self._passed_over:
            self._observer.noticed(
                f"{counted(self._passed_over, 'time')} a file could not be read, and another was"
                " used instead"
            )
        summary = self.summary()
        self._observer.ended(summary)
        return summary

    def _go_through(self) -> None:
        with closing(self._batches(self.images)) as batches:
            while not self.finished:
                step = self._next_batches(batches)
                self._leave_if_asked()
                if not step:  # the batches have an end
                    break
                self._train_on(step)
                self._stop.stepped = True
                self._asked = self._stop.asked()

    def trial(self, batch: Batch) -> tuple[float, int | None]:
        """Try a step without changing anything; see `try_step`.

        If crops grow, every size is tried: the seconds are the mean over the run, the memory is
        that of the largest size.
        """
        grow = self.config.data.grow
        for halvings in range(grow.halvings, 0, -1):
            self._step_seconds[halvings], _ = try_step(self._stepper, reduced(batch, halvings))
        self._step_seconds[0], memory = try_step(self._stepper, batch)
        return mean_seconds(self._step_seconds, grow), memory

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs to end as this one would. All processes must call it."""
        return {
            "step": self.step,
            "images": self.images,
            "seconds": self._throughput.seconds,
            "totals": self._processes.to_first(self._meter.state_dict()),
            "passed_over": self._passed_over,
            "ema": self._ema.state_dict(),
            **self._tracker.state_dict(),
            **self._stepper.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any], path: Path) -> None:
        """Continue from `state`, which was read from `path`; the number of processes may differ.

        Raises:
            ConfigError: it is of networks that the configuration no longer describes.
        """
        self._stepper.load_state_dict(state)
        self._ema.load_state_dict(state["ema"])
        self.step = state["step"]
        self.images = state["images"]
        self._length.continue_at(self.step, self.images)
        self._throughput.seconds_before = state["seconds"]
        self._tracker.load_state_dict(state)
        # Of another number of processes, one stands for all.
        same = len(state["totals"]) == self._processes.count
        self._meter.load_state_dict(state["totals"][self._processes.rank if same else 0])
        self._passed_over = state["passed_over"]
        self._saved = path

    # -- a step ------------------------------------------------------------------------------

    def _next_batches(self, batches: Iterator[Batch]) -> list[Batch]:
        """The batches of the next step; none if they cannot be read, or there are no more."""
        began = time.monotonic()
        try:
            return list(islice(batches, self._batches_per_step))
        except Img2ImgError as error:
            self._failure = error
            return []
        finally:
            self._throughput.wait(time.monotonic() - began)

    def _train_on(self, batches: Sequence[Batch]) -> None:
        self._problems += [problem for batch in batches for problem in batch.skipped]
        halvings = halvings_at(self._length.done(self.images), self.config.data.grow)
        batches = [reduced(batch, halvings) for batch in batches]
        rate = self._length.rate(self.images)
        try:
            watch = _due(self.step + 1, self.config.metrics.log_every)
            values = self._stepper.make(self.step + 1, batches, rate, watch)
        except TrainingDiverged as error:
            raise self._diverged(str(error)) from None
        self.step += 1
        self.images += self._images_per_step
        if values is not None:
            self._meter.add(self.step, values)
        self._ema.update(self.images, self._images_per_step)
        self._throughput.tick()
        self._fix_length()
        progress = self._progress()
        self._observer.stepped(progress)
        self._report(progress)

    # -- what happens every so often ---------------------------------------------------------

    def _report(self, progress: Progress) -> None:
        last = self.finished
        every = self.config
        if last or self.step % every.metrics.log_every == 0:
            self._log(progress)
        if last or self._tracker.due(self.step):
            self._measure(progress)
            if self.finished and not last and self.step % every.metrics.log_every:
                self._log(progress)  # patience has ended it
            last = self.finished
        if self._processes.first and (last or _due(self.step, every.samples.every)):
            self._review.sample(self._ema.average, progress)
        probe = self._review.probe
        if probe is not None and (last or _due(self.step, probe.every)):
            self._review.check_health(self._ema.average, progress)
        if last or _due(self.step, every.checkpoint.every):
            self._save(progress)

    def _log(self, progress: Progress) -> None:
        self._tell_of_problems()
        try:
            values = self._meter.means()
        except TrainingDiverged as error:
            raise self._diverged(str(error)) from None
        if self._stepper.skipped:
            values["steps/skipped"] = self._stepper.skipped
        if values:
            self._observer.observed(Observation(progress, losses=values))
            self._throughput.mark()

    def _tell_of_problems(self) -> None:
        """Report the files that any process had to replace."""
        for problem in chain(*self._processes.gather(self._problems)):
            self._passed_over += 1
            self._observer.noticed(f"skipped ({self._passed_over} so far): {problem}")
        self._problems = []

    def _measure(self, progress: Progress) -> None:
        """Evaluate, and time the first evaluation. All processes are told if this ends the run."""
        began = time.monotonic()
        if self._processes.first:
            error = self._review.measure(self._ema.average, self._specs_now(), progress)
            if not self.config.data.skip_bad:
                self._failure = error  # all processes leave before the next step
        tracker = self._tracker
        tracker.without_improvement = self._processes.from_first(tracker.without_improvement)
        if tracker.interval_unknown:
            synchronize(self._stepper.device)
            tracker.fix_interval((time.monotonic() - began) * self._throughput.steps_per_second)
            tracker.every = self._processes.from_first(tracker.every)
        if tracker.exhausted:
            self._observer.noticed(
                f"early stopping: no improvement of held-out {self.config.metrics.best} in"
                f" {tracker.without_improvement} evaluations"
            )

    def _save(self, progress: Progress) -> None:
        """Save, unless a weight is no longer finite.

        Raises:
            TrainingDiverged, StorageError: not saved; what was saved before is intact.
        """
        try:
            self._meter.check()
            self._stepper.check_weights(self.step)
        except TrainingDiverged as error:
            raise self._diverged(str(error)) from None
        self._tell_of_problems()
        state = self.state()
        refused = ""
        if self._processes.first:
            try:
                self._directory.save_model(self.step, self._specs_now(), self._ema.average)
                self._saved = self._directory.save_state(self.step, state)
            except StorageError as error:
                refused = str(error)
        # The others wait: a launcher ends all processes when the first of them has ended.
        if refused := self._processes.from_first(refused):
            raise StorageError(f"{refused}; {self._kept()}", **self._resumable())
        if self._saved is not None:
            self._observer.saved(progress, self._saved)

    def _leave_if_asked(self) -> None:
        """Save and stop if any process has a reason to; all processes do so at the same step.

        Raises:
            DataError, TrainingStopped: the message gives the reason, and how to continue.
        """
        if not self._processes.largest(int(self._asked or self._failure is not None)):
            return
        self._save(self._progress())
        saved = f"step {self.step} is saved"
        for failure in self._processes.gather(self._failure):
            if isinstance(failure, LoadingFailed) and not self._stop.asked():
                raise TrainingStopped(f"stopped: {failure}; {saved}", path=self._directory.folder)
            if failure is not None and not isinstance(failure, LoadingFailed):
                raise DataError(
                    f"{failure}; {saved}; repair or remove the file, or set `data.skip_bad`",
                    **self._resumable(),
                )
        raise self._stop.error(saved, self._directory.folder)

    def _diverged(self, reason: str) -> TrainingDiverged:
        self._observer.observed(Observation(self._progress(), diverged=reason))
        return TrainingDiverged(
            f"{reason}: training has diverged; a lower `optimizer.lr`, a smaller `optimizer.clip`,"
            f" `precision=fp32` or `on_nonfinite=skip` may help; {self._kept()}",
            **self._resumable(),
        )

    def _kept(self) -> str:
        if self._saved is None:
            return "no state had been saved"
        return f"{self._saved} is intact"

    def _resumable(self) -> dict[str, Any]:
        """The attributes of an error that ends the run."""
        return {"path": self._directory.folder, "resumable": self._saved is not None}

    # -- where the run is --------------------------------------------------------------------

    @property
    def total_steps(self) -> int | None:
        """The length in steps; None if it is not known yet."""
        return self._length.steps

    @property
    def finished(self) -> bool:
        """Whether the run has its full length, or was ended by early stopping."""
        at_end = self.total_steps is not None and self.step >= self.total_steps
        return at_end or self._tracker.exhausted

    def _fix_length(self) -> None:
        """Convert a length in minutes to steps once the speed is known, and save it."""
        if self._length.steps is not None:
            return
        synchronize(self._stepper.device)
        steps = self._length.measured(self._throughput, self.step, self._seconds_to_come())
        if steps := self._processes.from_first(steps):
            schedule = self.config.schedule.model_copy(update={"measured_steps": steps})
            self.config = self.config.model_copy(update={"schedule": schedule})
            self._length.fix(steps, self.step, self.images)
            if self._processes.first:
                self._directory.save_config(self.config)

    def _seconds_to_come(self) -> float:
        """How much longer than a step on the first crops a step takes, on average over the run."""
        grow = self.config.data.grow
        if not self._step_seconds:  # without a trial nothing is known of it
            return 0.0
        mean = mean_seconds(self._step_seconds, grow)
        return max(0.0, mean - self._step_seconds[grow.halvings])

    def _specs_now(self) -> dict[str, ModelSpec]:
        now = {"steps": self.step, "images": self.images}
        return {name: spec.model_copy(update=now) for name, spec in self.specs.items()}

    def _progress(self) -> Progress:
        return Progress(
            step=self.step,
            total_steps=self.total_steps,
            images=self.images,
            images_per_epoch=self._length.images_per_epoch,
            seconds=self._throughput.seconds,
            images_per_second=self._images_per_step * self._throughput.steps_per_second,
            waiting=self._throughput.waiting,
            lr=self._stepper.learning_rate,
        )

    def summary(self) -> Summary:
        """The outcome of the run so far."""
        seconds = self._throughput.seconds
        return Summary(
            output=self._directory.folder,
            steps=self.step,
            images=self.images,
            seconds=seconds,
            images_per_second=self.images / max(seconds, 1e-9),
            device=str(self._stepper.device),
            precision=self.config.precision,
            measures=self._review.measures,
            stopped_early=self._tracker.exhausted,
        )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
