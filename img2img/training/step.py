"""A training step: the phases of a method, their gradients, and the updates."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from img2img.config import RunConfig
from img2img.data.samples import Batch
from img2img.errors import ConfigError, TrainingDiverged, some_names
from img2img.runtime.devices import is_out_of_memory, peak_memory, resolve_precision, synchronize
from img2img.runtime.processes import Processes
from img2img.training.events import Observer
from img2img.training.method import Method, Phase
from img2img.training.optimizers import OPTIMIZERS, restore
from img2img.training.precision import Arithmetic

# Where steps are skipped for numbers that are not finite: so many in a row end the run.
MOST_SKIPPED = 20


class Stepper:
    """Makes steps: one update of each group of a method's networks, on one batch or several.

    Args:
        method: float32 networks, already on the device.
        config: resolved.
        processes: those that make each step together.
        observer: told of skipped steps.
    """

    def __init__(
        self, method: Method, config: RunConfig, processes: Processes, observer: Observer
    ) -> None:
        self.method = method
        self.device = next(method.parameters()).device
        self.skipped = 0
        """Steps left out for a number that is not finite."""
        self._skipped_in_a_row = 0
        self._config = config
        self._processes = processes
        self._observer = observer
        for critic in method.critics.values():
            critic.processes = processes.count
        self._optimizers = {
            name: OPTIMIZERS.build(
                config.optimizer, "optimizer", params=parameters, lr=self._base_rate(name)
            )
            for name, parameters in method.parameter_groups().items()
        }
        precision = resolve_precision(config.precision, self.device)
        self._arithmetic = Arithmetic(method, precision, self.device)

    @property
    def learning_rate(self) -> float:
        """The generators' rate in the last step."""
        rate: float = self._optimizers["G"].param_groups[0]["lr"]
        return rate

    def make(
        self, step: int, batches: Sequence[Batch], rate: float, watch: bool = False
    ) -> list[dict[str, Tensor]] | None:
        """Make a step.

        Each phase is computed for `optimizer.accumulate` batches before its update, as for one
        larger batch. Of `n_critic` updates of the critics, each has such batches of its own.

        Args:
            step: its number, from 1; random numbers are seeded by (seed, step, process).
            rate: a factor on the learning rates.
            watch: whether the length of the gradients is wanted among the scores.

        Returns:
            The losses and scores of each batch by tag, of several rounds the mean of those that
            have it; None if the rest of the step was left out.

        Raises:
            TrainingDiverged: too many steps in a row were.
            ConfigError: the memory does not suffice.
        """
        for name, optimizer in self._optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._base_rate(name) * rate
        torch.manual_seed(_mixed(self._config.seed, step - 1, self._processes.rank))
        before = self._disturbed() if self._config.on_nonfinite == "skip" else None
        told: list[list[dict[str, Tensor]]] = []
        each = self._config.optimizer.accumulate
        rounds = [batches[i : i + each] for i in range(0, len(batches), each)]
        try:
            for index, round_ in enumerate(rounds, start=1):
                values = self._updates(step, round_, before, watch, index < len(rounds))
                if values is None:
                    return None
                told.append(values)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise _unfit(batches[0], error) from error
            raise
        self._skipped_in_a_row = 0
        return [_means(rounds) for rounds in zip(*told, strict=True)]

    def _updates(
        self,
        step: int,
        batches: Sequence[Batch],
        before: dict[str, Any] | None,
        watch: bool,
        critics_alone: bool,
    ) -> list[dict[str, Tensor]] | None:
        """The updates that some batches lead to together; see `make`."""
        values: list[dict[str, Tensor]] = [{} for _ in batches]
        runs = [self._phases(batch, 1 / len(batches), critics_alone) for batch in batches]
        for phases in zip(*runs, strict=True):
            name = phases[0].name
            for known, phase in zip(values, phases, strict=True):
                known.update({tag: term.value for tag, term in phase.terms.items()})
                known.update(phase.scores)
            norm = self._ready(name, watch)
            if norm is not None and (watch or self._config.optimizer.clip is not None):
                values = [known | {f"{name}/gradient": norm} for known in values]
            if before is not None and self._skips(step, name, values, norm):
                self._undo(before)
                return None
            self._arithmetic.step(name, self._optimizers[name])
            if before is not None:  # what is updated stays so, with all that goes with it
                before |= self._disturbed(name)
        self._arithmetic.end_step()
        return values

    def trial(self, batch: Batch) -> tuple[float, int | None]:
        """Compute a step that changes nothing, to see that it fits and how long it takes.

        Of its rounds it tries one of each kind, twice: with the generators' update and without, and
        of both, where there are lazy penalties, one with them and one without.

        Returns:
            Seconds by the second times, for all the rounds and batches of a step in the mean; and
            bytes of memory at the peak, with what the optimizers will add (None on a device that
            does not tell).

        Raises:
            ConfigError: the networks cannot take such a batch, or the memory does not.
        """
        before = self._disturbed()
        seconds = 0.0
        for times, critics_alone, updates in self._rounds():
            taken = 0.0
            for _ in range(2):
                for critic in self.method.critics.values():
                    critic.clock.updates.fill_(updates)
                began = time.perf_counter()
                try:
                    for _ in self._phases(batch, 1.0, critics_alone):
                        pass
                except (RuntimeError, ValueError) as error:
                    raise _unfit(batch, error) from error
                synchronize(self.device)
                taken = time.perf_counter() - began
            seconds += times * taken
        memory = peak_memory(self.device)
        self._undo(before)
        weights = sum(p.numel() * p.element_size() for p in self.method.parameters())
        return seconds * self._config.optimizer.accumulate, memory and memory + 2 * weights

    def check_weights(self, step: int) -> None:
        """See that the weights are fit to be saved; losses would tell of it a step later only.

        Raises:
            TrainingDiverged: some are not finite.
        """
        for name, weights in self.method.parameter_groups().items():
            if not all(weight.isfinite().all() for weight in weights):
                raise TrainingDiverged(f"step {step}: the gradient of {name} was not finite")

    def state_dict(self) -> dict[str, Any]:
        """All that the next steps depend on. To be called by all processes."""
        pools = {
            name: [image.cpu() for image in pool.images] for name, pool in self.method.pools.items()
        }
        return {
            "method": self.method.state_dict(),
            "pools": self._processes.to_first(pools),
            "optimizers": {name: o.state_dict() for name, o in self._optimizers.items()},
            "precision": self._arithmetic.state_dict(),
            "skipped": [self.skipped, self._skipped_in_a_row],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, by as many processes as it was taken in, or others.

        What critics remember beside their networks may be missing, and begins anew then: the state
        is an older version's, or augmentations are other ones.

        Raises:
            ConfigError: it is of networks that the configuration no longer describes.
        """
        saved, own = state["method"], self.method.state_dict()
        anew = [key for key in self.method.memories(own) if key not in saved]
        dropped = [key for key in self.method.memories(saved) if key not in own]
        if anew or dropped:
            what = ("not in the saved state, begun anew", anew), ("dropped from it", dropped)
            notice = [f"{text}: {some_names(keys)}" for text, keys in what if keys]
            self._observer.noticed("; ".join(notice))
        kept = {key: value for key, value in saved.items() if key not in dropped}
        try:
            self.method.load_state_dict(kept | {key: own[key] for key in anew})
        except RuntimeError as error:
            first = " ".join(str(error).split("\n")[1:2]).strip()
            raise ConfigError(
                f"the saved state is of other networks than configured: {first}"
            ) from None
        for name, pool in self.method.pools.items():
            images = [pools.get(name, []) for pools in state["pools"]]
            pool.restore(images, self._processes.rank, self._processes.count, self.device)
        for name, optimizer in self._optimizers.items():
            restore(optimizer, state["optimizers"][name])
        self._arithmetic.load_state_dict(state["precision"])
        self.skipped, self._skipped_in_a_row = state["skipped"]

    def _rounds(self) -> list[tuple[float, bool, int]]:
        """The kinds of rounds that a step has.

        Returns:
            How many of a kind there are in the mean over steps, whether critics are alone in it,
            and how many updates they have had.
        """
        penalties = [p for c in self.method.critics.values() for p in c.regularizers.values()]
        lazy = [1 / penalty.every for penalty in penalties if penalty.every > 1]
        # All penalties are due at first, the lazy ones not after one update.
        due = sum(lazy) / len(lazy) if lazy else 1.0
        kinds = [
            (rounds * share, critics_alone, updates)
            for rounds, critics_alone in ((1, False), (self._config.n_critic - 1, True))
            for share, updates in ((due, 0), (1 - due, 1))
        ]
        return [kind for kind in kinds if kind[0]]

    def _phases(self, batch: Batch, share: float, critics_alone: bool) -> Iterator[Phase]:
        """The phases of a batch, each with its gradients, times `share`, ready for the update."""
        method = self._arithmetic.method
        batch = batch.to(self.device)
        phases = method.critic_phases(batch) if critics_alone else method.phases(batch)
        while True:
            with self._arithmetic.context():
                phase = next(phases, None)
            if phase is None:
                return
            self._arithmetic.backward(phase, share)
            yield phase

    def _ready(self, name: str, watch: bool) -> Tensor | None:
        """Average the gradients of a phase, and what critics saw, over processes; and clip them.

        Returns:
            Their norm before clipping, if it is wanted. Not under loss scaling: there it overflows
            now and then, which the scaler deals with.
        """
        optimizer = self._optimizers[name]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        self._processes.average([*gradients, *self.method.gathered(name)])
        clip = self._config.optimizer.clip
        if clip is None and self._config.on_nonfinite == "stop" and not watch:
            return None
        self._arithmetic.unscale(optimizer)
        norm = torch.nn.utils.get_total_norm(gradients)
        if clip is not None:
            torch.nn.utils.clip_grads_with_norm_(weights, clip, norm)
        return None if self._arithmetic.scales_losses else norm

    def _skips(
        self, step: int, name: str, values: Sequence[Mapping[str, Tensor]], norm: Tensor | None
    ) -> bool:
        """Whether a number of a phase is not finite in any process.

        Raises:
            TrainingDiverged: too many steps in a row are skipped.
        """
        watched = [item for each in values for item in each.items()]
        if norm is not None:
            watched.append((f"the gradient of {name}", norm))
        bad = _not_finite(watched)
        if not self._processes.largest(int(bad is not None)):
            return False
        self.skipped += 1
        self._skipped_in_a_row += 1
        bad = f"step {step}: {bad or 'a number in another process is not finite'}"
        if self._skipped_in_a_row == MOST_SKIPPED:
            raise TrainingDiverged(f"{bad}, and {MOST_SKIPPED} steps in a row were skipped")
        if self.skipped.bit_count() == 1:  # 1, 2, 4, 8 ...: no flood
            self._observer.noticed(f"{bad}: skipped, {self.skipped} so far")
        return True

    def _disturbed(self, *groups: str) -> dict[str, Any]:
        """What computing the phases of a batch changes, beside gradients.

        Args:
            groups: whose networks it is of; none: all.
        """
        buffers = self.method.buffer_groups()
        found: dict[str, Any] = {
            group: [buffer.clone() for buffer in buffers[group]] for group in groups or buffers
        }
        if "D" in found:
            found["pools"] = {name: list(pool.images) for name, pool in self.method.pools.items()}
        return found

    def _undo(self, before: Mapping[str, Any]) -> None:
        """Forget the gradients, and put back what `_disturbed` gave."""
        self._arithmetic.abandon_step()
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        for group, buffers in self.method.buffer_groups().items():
            for buffer, kept in zip(buffers, before[group], strict=True):
                buffer.copy_(kept)
        for name, pool in self.method.pools.items():
            pool.images = list(before["pools"][name])

    def _base_rate(self, group: str) -> float:
        rates = self._config.optimizer
        return rates.lr_d if group == "D" and rates.lr_d is not None else rates.lr


def _unfit(batch: Batch, error: Exception) -> ConfigError:
    """What a failed trial step says about the configuration."""
    count, _, height, width = batch.A.shape
    if is_out_of_memory(error):
        return ConfigError(
            f"not enough memory for batches of {count} crops of {height} x {width}: make "
            "data.batch_size or data.crop_size smaller, or the networks narrower, or set"
            " activation_checkpointing"
        )
    reason = str(error).partition("\n")[0]
    return ConfigError(
        f"data.crop_size: the networks cannot take crops of {height} x {width}: {reason}"
    )


def _means(rounds: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The means by tag, over those that have it: a lazy penalty is not in all."""
    tags = dict.fromkeys(tag for each in reversed(rounds) for tag in each)
    known = {tag: [each[tag].detach() for each in rounds if tag in each] for tag in tags}
    return {tag: torch.stack(values).mean(0) for tag, values in known.items()}


def _not_finite(values: Iterable[tuple[str, Tensor]]) -> str | None:
    """Which of some scalars is the first that is not finite, in words."""
    for name, value in values:
        number = value.item()
        if not math.isfinite(number):
            return f"{name} is {number}"
    return None


def _mixed(*numbers: int) -> int:
    """One 64-bit seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
