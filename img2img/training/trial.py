"""Trying a step before a training: whether it fits, and how long it takes."""

import time

from img2img.data.samples import Batch
from img2img.runtime.devices import peak_memory, synchronize
from img2img.training.methods import Method
from img2img.training.step import Stepper


def try_step(stepper: Stepper, batch: Batch) -> tuple[float, int | None]:
    """Compute a step that changes nothing.

    Of its rounds each kind is tried, twice: with the generators' update and without, and of both,
    where there are lazy penalties, one with them and one without.

    Returns:
        Seconds by the second times, for all the rounds and batches of a step in the mean; and bytes
        of memory at the peak, with what the optimizers will add (None on a device that does not
        tell).

    Raises:
        ConfigError: the networks cannot take such a batch, or the memory does not.
    """
    method, config = stepper.method, stepper.config
    snapshot = stepper.snapshot(method.groups)
    seconds = 0.0
    for times, groups, updates in _kinds_of_rounds(method, config.n_critic):
        taken = 0.0
        for _ in range(2):
            for critic in method.critics.values():
                critic.clock.updates.fill_(updates)
            began = time.perf_counter()
            stepper.compute(groups, batch)
            synchronize(stepper.device)
            taken = time.perf_counter() - began
        seconds += times * taken
    memory = peak_memory(stepper.device)
    stepper.rollback(snapshot)
    weights = sum(p.numel() * p.element_size() for p in method.parameters())
    return seconds * config.optimizer.accumulate, memory and memory + 2 * weights


def _kinds_of_rounds(method: Method, n_critic: int) -> list[tuple[float, list[str], int]]:
    """The kinds of rounds that a step has.

    Returns:
        How many of a kind there are in the mean over steps, the groups that it updates, and how
        many updates critics have had.
    """
    penalties = [p for c in method.critics.values() for p in c.regularizers.values()]
    lazy = [1 / penalty.every for penalty in penalties if penalty.every > 1]
    # All penalties are due at first, the lazy ones not after one update.
    due = sum(lazy) / len(lazy) if lazy else 1.0
    kinds = [
        (rounds * share, groups, updates)
        for rounds, groups in ((1, [*method.groups]), (n_critic - 1, method.critic_groups))
        for share, updates in ((due, 0), (1 - due, 1))
    ]
    return [kind for kind in kinds if kind[0]]
