"""Pix2Pix: paired image translation (Isola et al. 2017, arXiv 1611.07004)."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from torch import Tensor

from img2img.config import RunConfig
from img2img.data.paired import PairedData
from img2img.data.samples import Batch, Direction
from img2img.losses import OBJECTIVES, Reconstruction, build_losses
from img2img.networks import DISCRIMINATORS, GENERATORS, Generator
from img2img.training.critic import Critic
from img2img.training.method import CHANNELS, METHODS, Method, Phase, Term


@METHODS.register("pix2pix")
class Pix2Pix(Method):
    """Paired translation: a conditional critic and a distance to the target (Isola et al. 2017).

    Args:
        generator: translates A.
        critic: judges (A, B) against (A, translated A).
        reconstruction: distances between translated A and B, by name; the published one is `l1`
            with weight 100.
    """

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
        discriminator = DISCRIMINATORS.build(
            config.discriminator, "discriminator", in_channels=2 * CHANNELS
        )
        objective = OBJECTIVES.build(config.objective, "objective")
        reconstruction = build_losses(config.losses.reconstruction, "losses.reconstruction")
        return cls(generator, Critic(discriminator, objective, config.image_pool), reconstruction)

    def phases(self, batch: Batch) -> Iterator[Phase]:
        generator, critic = self.generators["G"], self.critics["D"]
        fake = generator(batch.A)

        loss, real_logit, fake_logit, accuracy = critic.d_loss(batch.B, fake.detach(), batch.A)
        scores = {"D/real": real_logit, "D/fake": fake_logit, "D/accuracy": accuracy}
        yield Phase("D", {"D/adv": Term(loss)}, scores)

        terms = {"G/adv": Term(critic.g_loss(batch.B, fake, batch.A))}
        for name, distance in self.reconstruction.items():
            terms[f"G/{name}"] = Term(distance(fake, batch.B).mean(), distance.weight)
        yield Phase("G", terms)

    def direction(self, generator: str, data: Direction) -> Direction:
        return data

    def images(self, generators: Mapping[str, Generator], batch: Batch) -> dict[str, Tensor]:
        translated = generators["G"](batch.A)
        return {"input": batch.A, "translated": translated, "target": batch.B}
