"""CycleGAN: unpaired image translation (Zhu et al. 2017, arXiv 1703.10593)."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from img2img.config import RunConfig
from img2img.data.samples import Batch, Direction
from img2img.data.unpaired import UnpairedData
from img2img.losses import RECONSTRUCTIONS, Reconstruction
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import keeps_averages
from img2img.training.critic import Critic, Term
from img2img.training.method import CHANNELS, METHODS, Method, Phase


@METHODS.register("cyclegan")
class CycleGAN(Method):
    """Unpaired translation both ways: what goes there and back should come home (Zhu et al. 2017).

    Args:
        G_AB: translates domain A to domain B; `G_BA` the other way.
        D_A: judges images of domain A; `D_B` those of B.
        cycle: distances between an image and its translation there and back (equation 2), by name;
            the published one is `l1` with weight 10.
        identity: distances between an image and what the generator of its own domain makes of it
            (section 5.2); the published one is `l1` with weight 5, which is 0.5 of the cycle's.
    """

    losses = ("cycle", "identity")
    data = UnpairedData
    translations: ClassVar = {"AtoB": ("A to B", "B"), "BtoA": ("B to A", "A")}
    cycles: ClassVar = {"A": ("A to B to A", "A"), "B": ("B to A to B", "B")}

    def __init__(
        self,
        G_AB: Generator,
        G_BA: Generator,
        D_A: Critic,
        D_B: Critic,
        cycle: Mapping[str, Reconstruction],
        identity: Mapping[str, Reconstruction],
    ) -> None:
        super().__init__({"G_AB": G_AB, "G_BA": G_BA}, {"D_A": D_A, "D_B": D_B})
        self.cycle = cycle
        self.identity = identity

    @classmethod
    def from_config(cls, config: RunConfig) -> Self:
        generators = [
            GENERATORS.build(
                config.generator, "generator", in_channels=CHANNELS, out_channels=CHANNELS
            )
            for _ in ("G_AB", "G_BA")
        ]
        critics = [Critic.from_config(config, CHANNELS) for _ in ("D_A", "D_B")]
        return cls(
            generators[0],
            generators[1],
            critics[0],
            critics[1],
            RECONSTRUCTIONS.build_all(config.losses.get("cycle", []), "losses.cycle"),
            RECONSTRUCTIONS.build_all(config.losses.get("identity", []), "losses.identity"),
        )

    def phases(self, batch: Batch) -> Iterator[Phase]:
        A, B = batch.A, batch.B
        G_AB, G_BA = self.generators["G_AB"], self.generators["G_BA"]
        fake_B = G_AB(A)
        # As published: BatchNorm's running averages depend on the order. Without them the order is
        # one of summing gradients, for which this is late.
        back_A = G_BA(fake_B) if self.cycle and keeps_averages(G_BA) else None
        fake_A = G_BA(B)

        terms: dict[str, Term] = {}
        for domain, real, fake in (("A", A, fake_A), ("B", B, fake_B)):
            taught = self.critics[f"D_{domain}"].teach(real, fake)
            terms |= {f"G/{name}_{domain}": term for name, term in taught.items()}
        if self.cycle:
            back_A = G_BA(fake_B) if back_A is None else back_A
            terms |= _distances("cycle_A", self.cycle, back_A, A)
            terms |= _distances("cycle_B", self.cycle, G_AB(fake_A), B)
        if self.identity:
            terms |= _distances("identity_A", self.identity, G_BA(A), A)
            terms |= _distances("identity_B", self.identity, G_AB(B), B)
        yield Phase("G", terms)
        yield self._critic_phase(batch, fake_A.detach(), fake_B.detach())

    def critic_phases(self, batch: Batch) -> Iterator[Phase]:
        with torch.no_grad():
            fake_A, fake_B = self.generators["G_BA"](batch.B), self.generators["G_AB"](batch.A)
        yield self._critic_phase(batch, fake_A, fake_B)

    def _critic_phase(self, batch: Batch, fake_A: Tensor, fake_B: Tensor) -> Phase:
        terms: dict[str, Term] = {}
        scores: dict[str, Tensor] = {}
        for domain, real, fake in (("A", batch.A, fake_A), ("B", batch.B, fake_B)):
            judged = self.critics[f"D_{domain}"].judge(real, fake, real_first=True)
            terms |= {f"D/{name}_{domain}": term for name, term in judged.terms.items()}
            scores |= {f"D/{name}_{domain}": score for name, score in judged.scores.items()}
        return Phase("D", terms, scores)

    def direction(self, generator: str, data: Direction) -> Direction:
        return "AtoB" if generator == "G_AB" else "BtoA"

    def images(self, generators: Mapping[str, Generator], batch: Batch) -> dict[str, Tensor]:
        G_AB, G_BA = generators["G_AB"], generators["G_BA"]
        fake_B, fake_A = G_AB(batch.A), G_BA(batch.B)
        return {
            "A": batch.A,
            "A to B": fake_B,
            "A to B to A": G_BA(fake_B),
            "B": batch.B,
            "B to A": fake_A,
            "B to A to B": G_AB(fake_A),
        }


def _distances(
    what: str, losses: Mapping[str, Reconstruction], output: Tensor, target: Tensor
) -> dict[str, Term]:
    """A term for each distance. Only where there are several do their names tell them apart."""
    return {
        f"G/{what}_{name}" if len(losses) > 1 else f"G/{what}": Term(
            distance(output, target).mean(), distance.weight
        )
        for name, distance in losses.items()
    }
