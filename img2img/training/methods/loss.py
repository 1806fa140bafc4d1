"""The loss of a group of networks: terms that are summed, and scores for the log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor


class Term(NamedTuple):
    """One named part of a loss: a scalar and its weight in the sum."""

    value: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Loss:
    """The loss of one group of networks for one batch.

    In the log, terms and scores have the name of the group before their own: `G/l1`, `D/adv` ...
    """

    terms: Mapping[str, Term]
    scores: Mapping[str, Tensor] = field(default_factory=dict)
    """Scalars for the log that are not part of the loss."""

    def total(self) -> Tensor:
        """The weighted sum of the terms, a scalar."""
        weighted = [term.weight * term.value for term in self.terms.values()]
        return sum(weighted[1:], start=weighted[0])

    def values(self) -> dict[str, Tensor]:
        """All terms, unweighted, and all scores, by name."""
        return {name: term.value for name, term in self.terms.items()} | dict(self.scores)
