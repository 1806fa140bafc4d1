"""CycleGAN: unpaired image translation (Zhu et al. 2017, arXiv 1703.10593)."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from torch import Tensor

from img2img.config import RunConfig
from img2img.data.samples import Batch, Direction
from img2img.data.unpaired import UnpairedData
from img2img.losses import OBJECTIVES, Reconstruction, build_losses
from img2img.networks import DISCRIMINATORS, GENERATORS, Generator
from img2img.training.critic import Critic
from img2img.training.method import CHANNELS, METHODS, Method, Phase, Term


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
        critics = [
            Critic(
                DISCRIMINATORS.build(config.discriminator, "discriminator", in_channels=CHANNELS),
                OBJECTIVES.build(config.objective, "objective"),
                config.image_pool,
            )
            for _ in ("D_A", "D_B")
        ]
        return cls(
            generators[0],
            generators[1],
            critics[0],
            critics[1],
            build_losses(config.losses.cycle, "losses.cycle"),
            build_losses(config.losses.identity, "losses.identity"),
        )

    def phases(self, batch: Batch) -> Iterator[Phase]:
        A, B = batch.A, batch.B
        G_AB, G_BA = self.generators["G_AB"], self.generators["G_BA"]
        D_A, D_B = self.critics["D_A"], self.critics["D_B"]
        fake_B, fake_A = G_AB(A), G_BA(B)

        terms = {
            "G/adv_A": Term(D_A.g_loss(A, fake_A)),
            "G/adv_B": Term(D_B.g_loss(B, fake_B)),
        }
        if self.cycle:
            terms |= _distances("cycle_A", self.cycle, G_BA(fake_B), A)
            terms |= _distances("cycle_B", self.cycle, G_AB(fake_A), B)
        if self.identity:
            terms |= _distances("identity_A", self.identity, G_BA(A), A)
            terms |= _distances("identity_B", self.identity, G_AB(B), B)
        yield Phase("G", terms)

        terms = {}
        scores: dict[str, Tensor] = {}
        for domain, critic, real, fake in (("A", D_A, A, fake_A), ("B", D_B, B, fake_B)):
            loss, real_logit, fake_logit, accuracy = critic.d_loss(real, fake.detach())
            terms[f"D/adv_{domain}"] = Term(loss)
            scores |= {f"D/real_{domain}": real_logit, f"D/fake_{domain}": fake_logit}
            scores[f"D/accuracy_{domain}"] = accuracy
        yield Phase("D", terms, scores)

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
