"""CycleGAN: unpaired image translation (Zhu et al. 2017, arXiv 1703.10593)."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Self

from torch import Tensor, nn

from img2img.config import Direction, RunConfig
from img2img.data.samples import Batch
from img2img.data.unpaired import UnpairedData
from img2img.errors import ConfigError
from img2img.images import Domain
from img2img.losses import Reconstruction
from img2img.losses.adversarial import Valid
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import keeps_averages
from img2img.training.methods.base import METHODS, Fakes, Method
from img2img.training.methods.critic import Critic
from img2img.training.methods.loss import Loss, Term, distances, distances_outside


@METHODS.register("cyclegan")
class CycleGAN(Method):
    """Unpaired translation in both directions, with cycle consistency (Zhu et al. 2017).

    Args:
        G_AB: translates domain A to domain B; `G_BA` does the opposite.
        D_A: distinguishes images of domain A from fakes; `D_B` does so for B.
        cycle: distances between an image and its translation there and back (equation 2), by name;
            as published `l1` with weight 10.
        identity: distances between an image of the output's domain and its translation (section
            5.2), by name; as published `l1` with weight 5, half the weight of the cycle.
    """

    data = UnpairedData
    translations: ClassVar = {"AtoB": ("A to B", "B"), "BtoA": ("B to A", "A")}
    cycles: ClassVar = {"A": ("A to B to A", "A"), "B": ("B to A to B", "B")}
    losses: ClassVar = {
        "cycle": "distance between an image and itself after translation there and back",
        "identity": "distance between an image of the output's domain and its translation",
        "identity_outside": "distance between an image and its translation, outside of its mask",
    }

    def __init__(
        self,
        G_AB: Generator,
        G_BA: Generator,
        D_A: Critic,
        D_B: Critic,
        cycle: Mapping[str, Reconstruction],
        identity: Mapping[str, Reconstruction],
    ) -> None:
        super().__init__({"G": {"G_AB": G_AB, "G_BA": G_BA}, "D": {"D_A": D_A, "D_B": D_B}})
        self.cycle = cycle
        self.identity = identity
        self.outside: Mapping[str, Reconstruction] = {}
        """Distances between an image and its translation outside of its mask, by name."""

    @classmethod
    def from_config(cls, config: RunConfig, domains: tuple[Domain, Domain]) -> Self:
        generators = [
            GENERATORS.build(
                config.generator,
                "generator",
                in_channels=len(given.channels),
                out_channels=len(made.channels),
            )
            for given, made in (domains, domains[::-1])
        ]
        critics = [Critic.from_config(config, domain) for domain in domains]
        of_A, of_B = (len(domain.channels) for domain in domains)
        if of_A != of_B and config.losses.get("identity"):
            raise ConfigError(
                "losses.identity: needs the same number of channels in both domains, because"
                f" images are passed through the generator of their own domain; A has {of_A}, B"
                f" has {of_B}"
            )
        method = cls(
            generators[0],
            generators[1],
            critics[0],
            critics[1],
            cls.distances(config, "cycle", *domains),
            cls.distances(config, "identity", *domains),
        )
        method.outside = cls.outside_distances(config, *domains)
        return method

    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        G_AB, G_BA = self.networks["G_AB"], self.networks["G_BA"]
        if "G" not in groups:
            return {"A": G_BA(batch.B), "B": G_AB(batch.A)}
        fakes = {"B": G_AB(batch.A)}
        if self.cycle and keeps_averages(G_BA):
            # As published: BatchNorm's running averages depend on the order. Without them the
            # order is one of summing gradients, for which this is early.
            fakes["A there and back"] = G_BA(fakes["B"])
        fakes["A"] = G_BA(batch.B)
        return fakes

    def loss(self, group: str, batch: Batch, fakes: Fakes) -> Loss:
        return self._d_loss(batch, fakes) if group == "D" else self._g_loss(batch, fakes)

    def _g_loss(self, batch: Batch, fakes: Fakes) -> Loss:
        A, B = batch.A, batch.B
        G_AB, G_BA = self.networks["G_AB"], self.networks["G_BA"]
        in_A, in_B = batch.valid_A, batch.valid_B
        terms: dict[str, Term] = {}
        for domain, real, valid in (("A", A, Valid(in_A, in_B)), ("B", B, Valid(in_B, in_A))):
            own = self.critics[f"D_{domain}"].g_loss(real, fakes[domain], valid=valid)
            terms |= {f"{name}_{domain}": term for name, term in own.items()}
        if self.cycle:
            back_A = fakes.get("A there and back")
            back_A = G_BA(fakes["B"]) if back_A is None else back_A
            terms |= distances("cycle_A", self.cycle, back_A, A, in_A)
            terms |= distances("cycle_B", self.cycle, G_AB(fakes["A"]), B, in_B)
        if self.identity:
            terms |= distances("identity_A", self.identity, G_BA(A), A, in_A)
            terms |= distances("identity_B", self.identity, G_AB(B), B, in_B)
        if self.outside:
            given = (("A", fakes["B"], A, in_A), ("B", fakes["A"], B, in_B))
            for domain, fake, real, inside in given:
                name = f"identity_outside_{domain}"
                terms |= distances_outside(name, self.outside, fake, real, inside)
        return Loss(terms)

    def _d_loss(self, batch: Batch, fakes: Fakes) -> Loss:
        terms: dict[str, Term] = {}
        scores: dict[str, Tensor] = {}
        A, B, in_A, in_B = batch.A, batch.B, batch.valid_A, batch.valid_B
        for domain, real, valid in (("A", A, Valid(in_A, in_B)), ("B", B, Valid(in_B, in_A))):
            critic = self.critics[f"D_{domain}"]
            own = critic.d_loss(real, fakes[domain], valid=valid, real_first=True)
            terms |= {f"{name}_{domain}": term for name, term in own.terms.items()}
            scores |= {f"{name}_{domain}": score for name, score in own.scores.items()}
        return Loss(terms, scores)

    def direction(self, generator: str, data: Direction) -> Direction:
        return "AtoB" if generator == "G_AB" else "BtoA"

    def images(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        G_AB, G_BA = networks["G_AB"], networks["G_BA"]
        fake_B, fake_A = G_AB(batch.A), G_BA(batch.B)
        return {
            "A": batch.A,
            "A to B": fake_B,
            "A to B to A": G_BA(fake_B),
            "B": batch.B,
            "B to A": fake_A,
            "B to A to B": G_AB(fake_A),
        }
