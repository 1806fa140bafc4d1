"""Pix2Pix: paired image translation (Isola et al. 2017, arXiv 1611.07004)."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from img2img.config import Direction, RunConfig
from img2img.data.paired import PairedData
from img2img.data.samples import Batch
from img2img.errors import ConfigError
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
    """

    data = PairedData
    takes_labels = True
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
    ) -> None:
        super().__init__({"D": {"D": critic}, "G": {"G": generator}})
        self.reconstruction = reconstruction
        self.makes_labels = False
        """Whether B is label maps, of which the generator gives the logits."""
        self.outside: Mapping[str, Reconstruction] = {}
        """Distances between translated A and A outside of its mask, by name."""

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
        method = cls(generator, Critic.from_config(config, A, B), reconstruction)
        method.outside = cls.outside_distances(config, A, B)
        method.makes_labels = B.kind == "labels"
        if method.makes_labels and config.generator.arguments.get("output") != "linear":
            raise ConfigError(
                "generator.output: label maps need `linear`, the logits of their classes; the"
                " configuration segmentation.yaml has it"
            )
        return method

    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        return {"B": self.networks["G"](batch.A)}

    def loss(self, group: str, batch: Batch, fakes: Fakes) -> Loss:
        critic, fake = self.critics["D"], fakes["B"]
        both = valid_in_both(batch.valid_A, batch.valid_B)
        valid, given = Valid(both, both), without_invalid(batch.A, both)
        seen = fake.softmax(1) if self.makes_labels else fake
        if group == "D":
            return critic.d_loss(batch.B, seen, given, valid=valid)
        terms = critic.g_loss(batch.B, seen, given, valid=valid)
        for name, distance in self.reconstruction.items():
            terms[name] = Term(distance(fake, batch.B, both).mean(), distance.weight)
        if self.outside:
            terms |= distances_outside("identity_outside", self.outside, fake, batch.A, both)
        return Loss(terms)

    def direction(self, generator: str, data: Direction) -> Direction:
        return data

    def images(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        translated = networks["G"](batch.A)
        if self.makes_labels:
            best = translated.argmax(1, keepdim=True)
            translated = torch.zeros_like(translated).scatter_(1, best, 1)
        return {"input": batch.A, "translated": translated, "target": batch.B}
