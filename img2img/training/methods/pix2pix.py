"""Pix2Pix: paired image translation (Isola et al. 2017, arXiv 1611.07004)."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Self

from torch import Tensor, nn

from img2img.config import Direction, RunConfig
from img2img.data.paired import PairedData
from img2img.data.samples import Batch
from img2img.images import Domain
from img2img.images.places import valid_in_both, without_invalid
from img2img.losses import Reconstruction
from img2img.losses.adversarial import Valid
from img2img.networks import GENERATORS, Generator
from img2img.training.methods.base import METHODS, Fakes, Method
from img2img.training.methods.critic import Critic
from img2img.training.methods.loss import Loss, Term, distances_outside


@METHODS.register("pix2pix")
class Pix2Pix(Method):
    """Paired translation: a conditional critic and a distance to the target (Isola et al. 2017).

    Args:
        generator: translates A.
        critic: distinguishes (A, B) from (A, translated A).
        reconstruction: distances between translated A and B, by name; as published `l1` with weight
            100.
        domains: of A and B; None: 8-bit RGB.
        outside: distances between translated A and A outside of its mask, by name.
    """

    data = PairedData
    translations: ClassVar = {"AtoB": ("translated", "target")}
    losses: ClassVar = {
        "reconstruction": "distance between the translated image and its target",
        "identity_outside": "distance between an image and its translation, outside of its mask",
    }

    def __init__(
        self,
        generator: Generator,
        critic: Critic,
        reconstruction: Mapping[str, Reconstruction],
        domains: tuple[Domain, Domain] | None = None,
        *,
        outside: Mapping[str, Reconstruction] | None = None,
    ) -> None:
        super().__init__({"D": {"D": critic}, "G": {"G": generator}})
        self.reconstruction = reconstruction
        self.domains = domains or (Domain(dtype="uint8"), Domain(dtype="uint8"))
        self.outside = outside or {}

    @classmethod
    def from_config(cls, config: RunConfig, domains: tuple[Domain, Domain]) -> Self:
        A, B = domains
        generator = GENERATORS.build(
            config.generator,
            "generator",
            in_channels=len(A.channels),
            out_channels=len(B.channels),
        )
        reconstruction = cls.distances(config, "reconstruction", B)
        critic, outside = Critic.from_config(config, A, B), cls.outside_distances(config, A, B)
        return cls(generator, critic, reconstruction, domains, outside=outside)

    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        return {"B": self.networks["G"](batch.A)}

    def loss(self, group: str, batch: Batch, fakes: Fakes) -> Loss:
        critic, fake = self.critics["D"], fakes["B"]
        both = valid_in_both(batch.valid_A, batch.valid_B)
        valid, given = Valid(both, both), without_invalid(batch.A, both)
        if group == "D":
            return critic.d_loss(batch.B, fake, given, valid=valid)
        terms = critic.g_loss(batch.B, fake, given, valid=valid)
        for name, distance in self.reconstruction.items():
            terms[name] = Term(distance(fake, batch.B, both).mean(), distance.weight)
        if self.outside:
            terms |= distances_outside("identity_outside", self.outside, fake, batch.A, both)
        return Loss(terms)

    def direction(self, generator: str, data: Direction) -> Direction:
        return data

    def images(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        translated = networks["G"](batch.A)
        return {"input": batch.A, "translated": translated, "target": batch.B}
