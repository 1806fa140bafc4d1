"""Pix2Pix: paired image translation (Isola et al. 2017, arXiv 1611.07004)."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from img2img.config import RunConfig
from img2img.data.paired import PairedData
from img2img.data.samples import Batch, Direction
from img2img.losses import RECONSTRUCTIONS, Reconstruction
from img2img.networks import GENERATORS, Generator
from img2img.training.critic import Critic, Term
from img2img.training.method import CHANNELS, METHODS, Method, Phase


@METHODS.register("pix2pix")
class Pix2Pix(Method):
    """Paired translation: a conditional critic and a distance to the target (Isola et al. 2017).

    Args:
        generator: translates A.
        critic: judges (A, B) against (A, translated A).
        reconstruction: distances between translated A and B, by name; the published one is `l1`
            with weight 100.
    """

    losses = ("reconstruction",)
    data = PairedData
    translations: ClassVar = {"AtoB": ("translated", "target")}

    def __init__(
        self, generator: Generator, critic: Critic, reconstruction: Mapping[str, Reconstruction]
    ) -> None:
        super().__init__({"G": generator}, {"D": critic})
        self.reconstruction = reconstruction

    @classmethod
    def from_config(cls, config: RunConfig) -> Self:
        generator = GENERATORS.build(
            config.generator, "generator", in_channels=CHANNELS, out_channels=CHANNELS
        )
        reconstruction = RECONSTRUCTIONS.build_all(
            config.losses.get("reconstruction", []), "losses.reconstruction"
        )
        return cls(generator, Critic.from_config(config, 2 * CHANNELS), reconstruction)

    def phases(self, batch: Batch) -> Iterator[Phase]:
        fake = self.generators["G"](batch.A)
        yield self._critic_phase(batch, fake.detach())

        taught = self.critics["D"].teach(batch.B, fake, batch.A)
        terms = {f"G/{name}": term for name, term in taught.items()}
        for name, distance in self.reconstruction.items():
            terms[f"G/{name}"] = Term(distance(fake, batch.B).mean(), distance.weight)
        yield Phase("G", terms)

    def critic_phases(self, batch: Batch) -> Iterator[Phase]:
        with torch.no_grad():
            fake = self.generators["G"](batch.A)
        yield self._critic_phase(batch, fake)

    def _critic_phase(self, batch: Batch, fake: Tensor) -> Phase:
        judged = self.critics["D"].judge(batch.B, fake, batch.A)
        return Phase(
            "D",
            {f"D/{name}": term for name, term in judged.terms.items()},
            {f"D/{name}": score for name, score in judged.scores.items()},
        )

    def direction(self, generator: str, data: Direction) -> Direction:
        return data

    def images(self, generators: Mapping[str, Generator], batch: Batch) -> dict[str, Tensor]:
        translated = generators["G"](batch.A)
        return {"input": batch.A, "translated": translated, "target": batch.B}
