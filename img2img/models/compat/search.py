"""Finding networks in nested dictionaries of weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from img2img.archives.described import DEPTH
from img2img.models.compat.architectures import Assumptions, State
from img2img.models.compat.junyanz import Network, Unfitting, recognize

Where = tuple[str, ...]
"""The names of the dictionaries that one lies in, and the beginning of its own names."""


@dataclass
class Search:
    """Looks for networks in dictionaries of weights, which may lie in others, or side by side."""

    assumptions: Assumptions
    found: list[tuple[Where, Network]] = field(default_factory=list)
    strange: list[Where] = field(default_factory=list)
    """Weights of nothing known."""
    damaged: list[tuple[Where, Unfitting]] = field(default_factory=list)
    """What is nearly a network."""
    doubtful: list[tuple[Where, Unfitting]] = field(default_factory=list)
    """The same, of weights that perhaps were never meant to be one."""
    seen: set[int] = field(default_factory=set)
    """Dictionaries that have been searched."""

    @property
    def met(self) -> int:
        """How many networks there were, whole or not."""
        return len(self.found) + len(self.damaged) + len(self.doubtful)

    def tree(self, content: Mapping[Any, Any], where: Where) -> None:
        """Search a dictionary with weights or other dictionaries in it."""
        if id(content) in self.seen:  # in a file that is made to be endless
            return
        self.seen.add(id(content))
        weights = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if weights:
            before = self.met
            self.state(without_wrappers(weights), where)
            if self.met == before and any(".weight" in key for key in weights):
                self.strange.append(where)
        if len(where) < DEPTH:
            for key, value in content.items():
                if isinstance(value, Mapping):
                    self.tree(value, (*where, str(key)))

    def state(self, state: State, where: Where) -> bool:
        """Search weights by their dotted names; whether they are one network."""
        bare = "0.weight" in state or "1.weight" in state
        candidate = {f"model.{key}": tensor for key, tensor in state.items()} if bare else state
        try:
            network = recognize(candidate, self.assumptions)
        except Unfitting as error:
            (self.doubtful if bare else self.damaged).append((where, error))
            return False
        if network is not None:
            self.found.append((where, network))
            return True
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            part, _, rest = key.partition(".")
            parts.setdefault(part, {})[rest] = tensor
        known = len(self.found)
        inside = [
            (
                (*where, part),
                len(where) < DEPTH and "" not in rest and self.state(rest, (*where, part)),
            )
            for part, rest in parts.items()
        ]
        if len(self.found) > known:
            self.strange += [place for place, whole in inside if not whole]
        return False


def without_wrappers(state: State) -> dict[str, Tensor]:
    """Without what DataParallel, torch.compile and averages put around names."""
    return {
        ".".join(
            # So a fork calls it that has all else as published.
            "conv_block" if part == "block" else part
            for part in key.split(".")
            if part not in ("module", "_orig_mod")
        ): tensor
        for key, tensor in state.items()
        if key != "n_averaged"  # of an AveragedModel
    }
