"""A training step: the losses of a method's groups, their gradients, and the updates."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from img2img.config import RunConfig
from img2img.data.samples import Batch
from img2img.errors import ConfigError, TrainingDiverged
from img2img.runtime.devices import give_back_freed_memory, is_out_of_memory
from img2img.runtime.processes import Processes
from img2img.training.events import Observer
from img2img.training.methods.base import Fakes, Method
from img2img.training.mixed_precision import MixedPrecision
from img2img.training.optimizers import OPTIMIZERS, restore

# Where steps are skipped for numbers that are not finite: so many in a row end the run.
MOST_SKIPPED = 20

Snapshot = dict[str, tuple[list[Tensor], list[Tensor]]]
"""By network: its buffers and, for a critic, the images in its pool."""


@dataclass
class Round:
    """One update of some groups, on one or several batches.

    Attributes:
        batches: already on the device of the networks.
        fakes: by batch, the results of `generate`; None if they are not computed yet.
    """

    groups: Sequence[str]
    batches: Sequence[Batch]
    fakes: list[Fakes | None]


class Stepper:
    """Makes steps: one update of each group of a method's networks, on one or several batches.

    Args:
        method: float32 networks, already on the device.
        config: resolved.
        processes: the processes that make each step together.
        observer: gets a notice of each skipped step.
    """

    def __init__(
        self, method: Method, config: RunConfig, processes: Processes, observer: Observer
    ) -> None:
        self.method = method
        self.device = next(method.parameters()).device
        self.skipped = 0
        """Steps skipped because a number was not finite."""
        self._skipped_in_a_row = 0
        self.config = config
        self._processes = processes
        self._observer = observer
        for critic in method.critics.values():
            critic.processes = processes.count
        self._critic_groups = method.critic_groups
        self._generator_groups = [each for each in method.groups if each not in self._critic_groups]
        self._critics = {
            group: [method.critics[name] for name in names] if group in self._critic_groups else []
            for group, names in method.groups.items()
        }
        self._optimizers = {
            group: OPTIMIZERS.build(
                config.optimizer,
                "optimizer",
                params=method.parameters_of(group),
                lr=self._base_rate(group),
            )
            for group in method.groups
        }
        self._precision = MixedPrecision(method, config.precision, self.device)

    @property
    def learning_rate(self) -> float:
        """The generators' learning rate in the last step."""
        rate: float = self._optimizers[self._generator_groups[0]].param_groups[0]["lr"]
        return rate

    def make(
        self, step: int, batches: Sequence[Batch], rate: float, watch: bool = False
    ) -> list[dict[str, Tensor]] | None:
        """Make a step.

        Before each update, the loss of the group is computed for `optimizer.accumulate` batches, as
        for one larger batch. Each of the `n_critic` updates of the critics has batches of its own.

        Args:
            step: the number of the step, from 1; random numbers are seeded by (seed, step,
                process).
            rate: a factor on the learning rates.
            watch: whether to report the norm of the gradients among the scores.

        Returns:
            The losses and scores of each batch by tag, averaged over the rounds that have them;
            None if the step was skipped.

        Raises:
            TrainingDiverged: too many steps in a row were skipped.
            ConfigError: the memory does not suffice.
        """
        for group, optimizer in self._optimizers.items():
            for parameters in optimizer.param_groups:
                parameters["lr"] = self._base_rate(group) * rate
        torch.manual_seed(_mixed(self.config.seed, step - 1, self._processes.rank))
        skips = self.config.on_nonfinite == "skip"
        snapshot = self.snapshot(self.method.groups) if skips else None
        told: list[list[dict[str, Tensor]]] = []
        each = self.config.optimizer.accumulate
        try:
            for start in range(0, len(batches), each):
                last = start + each >= len(batches)
                groups = list(self.method.groups) if last else self._critic_groups
                values = self._update(
                    step, self._round(groups, batches[start : start + each]), snapshot, watch
                )
                if values is None:
                    return None
                told.append(values)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise _unfit(batches[0], error) from error
            raise
        self._skipped_in_a_row = 0
        return [_means(rounds) for rounds in zip(*told, strict=True)]

    def _update(
        self, step: int, current: Round, snapshot: Snapshot | None, watch: bool
    ) -> list[dict[str, Tensor]] | None:
        """Make the updates of a round; see `make`."""
        values: list[dict[str, Tensor]] = [{} for _ in current.batches]
        for group in current.groups:
            for known, found in zip(values, self._backward(group, current), strict=True):
                known.update(found)
            norm = self._reduce(group, watch)
            if norm is not None and (watch or self.config.optimizer.clip is not None):
                values = [known | {f"{group}/gradient": norm} for known in values]
            if snapshot is not None and self._skips(step, group, values, norm):
                self.rollback(snapshot)
                return None
            self._precision.step(self._optimizers[group])
            for critic in self._critics[group]:
                critic.after_update()
            self._precision.follow_update(group)
            if snapshot is not None:  # what is updated stays so, with all that goes with it
                snapshot |= self.snapshot([group])
        self._precision.end_step()
        return values

    def _round(self, groups: Sequence[str], batches: Sequence[Batch]) -> Round:
        return Round(groups, [batch.to(self.device) for batch in batches], [None for _ in batches])

    def _backward(self, group: str, current: Round) -> list[dict[str, Tensor]]:
        """Compute the gradients of a group over all batches of the round.

        Returns:
            The losses and scores by tag, of each batch.
        """
        method = self._precision.method
        of_critics = group in self._critic_groups
        values = []
        for index, batch in enumerate(current.batches):
            fakes = current.fakes[index]
            with self._precision.context():
                if fakes is None:
                    fakes = self._generate(batch, current)
                    current.fakes[index] = fakes
                loss = method.loss(group, batch, _detached(fakes) if of_critics else fakes)
            self._precision.backward(group, loss.total(), 1 / len(current.batches))
            if not of_critics:  # the graph is used up; another group would need one of its own
                others = [g for g in current.groups if g not in self._critic_groups]
                current.fakes[index] = _detached(fakes) if group == others[-1] else None
            values.append({f"{group}/{n}": value.detach() for n, value in loss.values().items()})
            if self.device.type == "cpu" and index == 0 and len(current.batches) > 1:
                # The gradients now lie scattered where activations were, and those of the next
                # batch do not fit between them.
                give_back_freed_memory()
        return values

    def _generate(self, batch: Batch, current: Round) -> Fakes:
        """Generate what the losses of a round share, with a graph if generators are updated.

        If several batches wait for the critics' update, only their images are kept, and the graphs
        are computed again in the backward pass.
        """
        method, groups = self._precision.method, current.groups
        if all(group in self._critic_groups for group in groups):
            with torch.no_grad():
                return method.generate(batch, groups)
        waits = groups[0] in self._critic_groups and len(current.batches) > 1
        if not waits:
            return method.generate(batch, groups)
        buffers = [b for group in self._generator_groups for b in method.buffers_of(group)]

        def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
            return nullcontext(), _untouched(buffers)

        def generate(*_: Tensor) -> Fakes:
            return method.generate(batch, groups)

        # By its arguments it knows the device whose random numbers it has to repeat.
        made: Fakes = checkpoint(
            generate, batch.A, batch.B, use_reentrant=False, context_fn=contexts
        )
        return made

    def compute(self, groups: Sequence[str], batch: Batch) -> None:
        """Compute the gradients of groups on a batch without an update.

        Raises:
            ConfigError: the networks cannot take such a batch, or there is not enough memory.
        """
        current = self._round(groups, [batch])
        try:
            for group in groups:
                self._backward(group, current)
        except (RuntimeError, ValueError) as error:
            raise _unfit(batch, error) from error

    def snapshot(self, groups: Iterable[str]) -> Snapshot:
        """Copies of the buffers and pools that computing losses changes, for some groups."""
        pools = self.method.pools
        return {
            name: (
                [buffer.clone() for buffer in self.method.networks[name].buffers()],
                list(pools[name].images) if name in pools else [],
            )
            for group in groups
            for name in self.method.groups[group]
        }

    def rollback(self, snapshot: Snapshot) -> None:
        """Clear the gradients, and restore a snapshot."""
        self._precision.abandon_step()
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        pools = self.method.pools
        for name, (buffers, images) in snapshot.items():
            for buffer, kept in zip(self.method.networks[name].buffers(), buffers, strict=True):
                buffer.copy_(kept)
            if name in pools:
                pools[name].images = list(images)

    def check_weights(self, step: int) -> None:
        """Check that all weights are finite before they are saved.

        Raises:
            TrainingDiverged: a weight is not finite.
        """
        for group in self.method.groups:
            if not all(weight.isfinite().all() for weight in self.method.parameters_of(group)):
                raise TrainingDiverged(f"step {step}: the gradient of {group} was not finite")

    def state_dict(self) -> dict[str, Any]:
        """All that the next steps depend on. All processes must call it."""
        pools = {
            name: [image.cpu() for image in pool.images] for name, pool in self.method.pools.items()
        }
        return {
            "method": self.method.saved(),
            "pools": self._processes.to_first(pools),
            "optimizers": {name: o.state_dict() for name, o in self._optimizers.items()},
            "precision": self._precision.state_dict(),
            "skipped": [self.skipped, self._skipped_in_a_row],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state; the number of processes may differ.

        Raises:
            ConfigError: it is of networks that the configuration no longer describes.
        """
        if notice := self.method.load_saved(state["method"]):
            self._observer.noticed(notice)
        for name, pool in self.method.pools.items():
            images = [pools.get(name, []) for pools in state["pools"]]
            pool.restore(images, self._processes.rank, self._processes.count, self.device)
        for name, optimizer in self._optimizers.items():
            restore(optimizer, state["optimizers"][name])
        self._precision.load_state_dict(state["precision"])
        self.skipped, self._skipped_in_a_row = state["skipped"]

    def _reduce(self, group: str, watch: bool) -> Tensor | None:
        """Average a group's gradients and critics' statistics over processes; clip the gradients.

        Returns:
            Their norm before clipping, if it is needed; None if losses are scaled, because then it
            overflows now and then, which the scaler handles.
        """
        optimizer = self._optimizers[group]
        weights = [weight for each in optimizer.param_groups for weight in each["params"]]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        seen = [tensor for c in self._critics[group] for tensor in c.tensors_to_reduce()]
        self._processes.average([*gradients, *seen])
        clip = self.config.optimizer.clip
        if clip is None and self.config.on_nonfinite == "stop" and not watch:
            return None
        self._precision.unscale(optimizer)
        norm = torch.nn.utils.get_total_norm(gradients)
        if clip is not None:
            torch.nn.utils.clip_grads_with_norm_(weights, clip, norm)
        return None if self._precision.scales_losses else norm

    def _skips(
        self, step: int, group: str, values: Sequence[Mapping[str, Tensor]], norm: Tensor | None
    ) -> bool:
        """Whether to skip a group's update because a number is not finite in any process.

        Raises:
            TrainingDiverged: too many steps in a row have been skipped.
        """
        watched = [item for each in values for item in each.items()]
        if norm is not None:
            watched.append((f"the gradient of {group}", norm))
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

    def _base_rate(self, group: str) -> float:
        rates = self.config.optimizer
        return rates.lr_d if group in self._critic_groups and rates.lr_d is not None else rates.lr


def _unfit(batch: Batch, error: Exception) -> ConfigError:
    """Explains a failed trial step in terms of the configuration."""
    count, _, height, width = batch.B.shape
    if is_out_of_memory(error):
        return ConfigError(
            f"not enough memory for batches of {count} crops of {height} x {width}: lower"
            " `data.batch_size` or `data.crop_size`, use narrower networks, or set"
            " `activation_checkpointing`"
        )
    reason = str(error).partition("\n")[0]
    return ConfigError(
        f"data.crop_size: the networks cannot take crops of {height} x {width}: {reason}"
    )


def _detached(fakes: Fakes) -> Fakes:
    return {name: image.detach() for name, image in fakes.items()}


@contextmanager
def _untouched(buffers: Sequence[Tensor]) -> Iterator[None]:
    """Restore buffers after this block."""
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, kept in zip(buffers, before, strict=True):
            buffer.copy_(kept)


def _means(rounds: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The means by tag over the steps that have it: not every step has a lazy penalty."""
    tags = dict.fromkeys(tag for each in reversed(rounds) for tag in each)
    known = {tag: [each[tag].detach() for each in rounds if tag in each] for tag in tags}
    return {tag: torch.stack(values).mean(0) for tag, values in known.items()}


def _not_finite(values: Iterable[tuple[str, Tensor]]) -> str | None:
    """A phrase that names the first scalar that is not finite."""
    for name, value in values:
        number = value.item()
        if not math.isfinite(number):
            return f"{name} is {number}"
    return None


def _mixed(*numbers: int) -> int:
    """A 64-bit seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
