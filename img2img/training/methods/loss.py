"""The loss of a group of networks: terms that are summed, and scores for the log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from img2img.losses import Reconstruction


class Term(NamedTuple):
    """One named part of a loss: a scalar and its weight in the sum."""

    value: Tensor
    weight: float = 1.0


def distances(
    what: str,
    losses: Mapping[str, Reconstruction],
    output: Tensor,
    target: Tensor,
    valid: Tensor | None,
) -> dict[str, Term]:
    """A term for each distance; if there are several, their names distinguish the terms."""
    return {
        f"{what}_{name}" if len(losses) > 1 else what: Term(
            distance(output, target, valid).mean(), distance.weight
        )
        for name, distance in losses.items()
    }


def distances_outside(
    what: str,
    losses: Mapping[str, Reconstruction],
    output: Tensor,
    given: Tensor,
    valid: Tensor | None,
) -> dict[str, Term]:
    """A term for each distance of a translation to its input where `valid` is 0."""
    outside = torch.zeros_like(output[:, :1]) if valid is None else 1 - valid
    return distances(what, losses, output, given, outside)


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
