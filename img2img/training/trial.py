"""Tries a step before training: whether it fits into memory, and how long it takes."""

import time

from img2img.data.samples import Batch
from img2img.runtime.devices import peak_memory, synchronize
from img2img.training.methods import Method
from img2img.training.step import Stepper


def try_step(stepper: Stepper, batch: Batch) -> tuple[float, int | None]:
    """Compute a step without changing anything.

    Each kind of round is tried twice: with and without the generators' update and, if there are
    lazy penalties, each of these with and without them.

    Returns:
        Mean seconds per step for all its rounds and batches, by the second tries; and peak memory
        in bytes, including what the optimizers will add (None if the device does not report it).

    Raises:
        ConfigError: the networks cannot take such a batch, or there is not enough memory.
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
    """The kinds of rounds in a step.

    Returns:
        For each kind: how many a step has on average, the groups that it updates, and how many
        updates critics have had.
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
