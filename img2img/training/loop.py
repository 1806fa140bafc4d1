"""The training loop: what happens around the steps. It knows nothing of methods."""

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
    """Runs a method on batches until its length is reached or it is asked to stop.

    Random numbers are seeded by step and batches come by position, so a resumed run goes on as if
    it had never stopped.

    Args:
        method: float32 networks, already on the device.
        specs: what each generator's model file will say, but for the counts of steps and images.
        config: resolved: no `auto` left in it.
        batches: gives an iterator of this process's batches from a position on, on the CPU.
        images_per_epoch: positions in an epoch.
        held_out: judges generators on held-out images.
        session: what is around it.
        probe: looks at what the generators make of some images, in one of the processes.
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
        """Of trials, by how often crops are halved."""

        self.step = 0
        self.images = 0
        """Images seen by all processes, which is the position of the next one."""
        self._saved: Path | None = None
        self._passed_over = 0
        self._problems: list[str] = []
        """With files, of this process since the last line of the log."""
        self._asked = False
        self._failure: Img2ImgError | None = None

    def fit(self) -> Summary:
        """Train to the end, one step at least if there is one to be made.

        Raises:
            TrainingStopped: it was asked for, or images stopped coming; the state is saved.
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
            self._observer.noticed(f"{self._passed_over} times a file could not be read")
        summary = self.summary()
        self._observer.ended(summary)
        return summary

    def _go_through(self) -> None:
        with closing(self._batches(self.images)) as batches:
            while not self.finished:
                step = self._take(batches)
                self._leave_if_asked()
                if not step:  # the batches have an end
                    break
                self._train_on(step)
                self._stop.stepped = True
                self._asked = self._stop.asked()

    def trial(self, batch: Batch) -> tuple[float, int | None]:
        """Make a step that changes nothing; see `try_step`.

        Where crops grow it is tried at every size: the seconds are the mean over the length, the
        memory is the largest size's.
        """
        grow = self.config.data.grow
        for halvings in range(grow.halvings, 0, -1):
            self._step_seconds[halvings], _ = try_step(self._stepper, reduced(batch, halvings))
        self._step_seconds[0], memory = try_step(self._stepper, batch)
        return mean_seconds(self._step_seconds, grow), memory

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs to end as this one would. To be called by all processes."""
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
        """Continue where `state`, read from `path`, was taken, by as many processes or others.

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

    def _take(self, batches: Iterator[Batch]) -> list[Batch]:
        """The batches of the next step; none if they cannot be read, or have an end."""
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
            self._review.look(self._ema.average, progress)
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
        """Name the files that other samples were taken for, by any process."""
        for problem in chain(*self._processes.gather(self._problems)):
            self._passed_over += 1
            self._observer.noticed(f"passed over ({self._passed_over} so far): {problem}")
        self._problems = []

    def _measure(self, progress: Progress) -> None:
        """Evaluate, and time the first evaluation; all processes learn what ends a run."""
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
        """Save, unless what would be saved is no longer finite.

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
        """Save and end, if any process has reason to; all do so at the same step.

        Raises:
            DataError, TrainingStopped: says why, and how to go on.
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
                    f"{failure}; {saved}: mend or remove the file, or give `data.skip_bad`",
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
            return "nothing was saved before"
        return f"{self._saved} is intact"

    def _resumable(self) -> dict[str, Any]:
        """What an error that ends the run says of it, besides its message."""
        return {"path": self._directory.folder, "resumable": self._saved is not None}

    # -- where the run is --------------------------------------------------------------------

    @property
    def total_steps(self) -> int | None:
        """The length; None while it is to be measured."""
        return self._length.steps

    @property
    def finished(self) -> bool:
        """Whether the length is reached, or there was no improvement for too long."""
        at_end = self.total_steps is not None and self.step >= self.total_steps
        return at_end or self._tracker.exhausted

    def _fix_length(self) -> None:
        """Turn a length in minutes into steps, once their pace is known, and save it."""
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
        """What a step takes beyond one on the first crops, in the mean over the whole length."""
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
        """What has come of the run so far."""
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
