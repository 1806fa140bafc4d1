"""Collects losses for the log, and checks that they are finite."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from img2img.errors import TrainingDiverged
from img2img.runtime.processes import Processes


class LossMeter:
    """Collects losses and scores of the steps since the last line of the log.

    They stay on the device until they are needed, because reading one makes the device wait.

    Args:
        processes: those whose losses are averaged.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._unread: list[tuple[int, list[str], Tensor]] = []
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, step: int, values: Sequence[Mapping[str, Tensor]]) -> None:
        """Add the scalars of a step, by tag, for each of its batches."""
        tags = list(values[0])
        rows = [torch.stack([each[tag].detach().float() for tag in tags]) for each in values]
        self._unread.append((step, tags, torch.stack(rows).mean(0)))

    def check(self) -> None:
        """Read the values that have not been read yet, and check them.

        Raises:
            TrainingDiverged: a number is not finite in some process; the message names the first.
        """
        bad: str | None = None
        for step, tags, row in self._unread:
            for tag, value in zip(tags, row.tolist(), strict=True):
                if bad is None and not math.isfinite(value):
                    bad = f"step {step}: {tag} is {value}"
                self._sums[tag] = self._sums.get(tag, 0.0) + value
                self._counts[tag] = self._counts.get(tag, 0) + 1
        self._unread = []
        for found in self._processes.gather(bad or ""):
            if found:
                raise TrainingDiverged(found)

    def means(self) -> dict[str, float]:
        """The mean by tag over all processes; the meter then starts again from nothing.

        Raises:
            TrainingDiverged: a number is not finite.
        """
        self.check()
        mine = {tag: total / self._counts[tag] for tag, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        everyone = self._processes.gather(mine)
        return {tag: sum(each[tag] for each in everyone) / len(everyone) for tag in mine}

    def state_dict(self) -> dict[str, Any]:
        """The values that a resumed run needs; call `check` first."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])
