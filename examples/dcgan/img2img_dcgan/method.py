"""DCGAN: images from noise (Radford et al. 2016, arXiv 1511.06434)."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from img2img.config import Direction, RunConfig, Section, check_settings
from img2img.data.samples import Batch
from img2img.errors import ConfigError
from img2img.images import Domain
from img2img.networks import GENERATORS, Generator
from img2img.training.methods import METHODS, Critic, Fakes, Loss, Method
from img2img_dcgan.data import NOISE, NoiseAndClassToImages, NoiseToImages
from img2img_dcgan.networks import DCGANGenerator

COLUMNS = 8
"""Of a sheet of samples."""


class DCGANSettings(Section):
    """What a configuration's section `settings` may hold."""

    conditional: bool = Field(
        default=False, description="learn the class of an image, which is the folder that it is in"
    )


@METHODS.register("dcgan")
class DCGAN(Method):
    """Images from noise, of one kind or of classes (Radford et al. 2016; Mirza & Osindero 2014).

    Args:
        generator: makes images of `A`: noise [N, 100, 1, 1], and a one-hot class behind it.
        critic: tells the images `B` from generated ones; it is given the class, too.
    """

    data = NoiseToImages
    settings = DCGANSettings
    translations: ClassVar = {"AtoB": ("generated", "real")}

    def __init__(self, generator: Generator, critic: Critic) -> None:
        super().__init__({"D": {"D": critic}, "G": {"G": generator}})

    @classmethod
    def data_class(cls, config: RunConfig) -> type[NoiseToImages]:
        conditional = check_settings(DCGANSettings, config).conditional
        return NoiseAndClassToImages if conditional else NoiseToImages

    @classmethod
    def from_config(cls, config: RunConfig, domains: tuple[Domain, Domain]) -> Self:
        if config.data.direction != "AtoB":
            raise ConfigError("data.direction: images are made from noise, not the other way")
        noise, image = domains
        generator = GENERATORS.build(
            config.generator,
            "generator",
            in_channels=len(noise.channels),
            out_channels=len(image.channels),
        )
        crop = config.data.crop_size
        if isinstance(generator, DCGANGenerator) and crop != (generator.size, generator.size):
            size = f"{generator.size} x {generator.size}"
            raise ConfigError(f"data.crop_size: the generator makes images of {size}")
        classes = noise.channels[NOISE:]
        judged = (Domain.noise(classes), image) if classes else (image,)
        return cls(generator, Critic.from_config(config, *judged))

    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        return {"B": self.networks["G"](batch.A)}

    def loss(self, group: str, batch: Batch, fakes: Fakes) -> Loss:
        critic, condition = self.critics["D"], _condition(batch)
        if group == "D":
            return critic.d_loss(batch.B, fakes["B"], condition, real_first=True)
        return Loss(critic.g_loss(batch.B, fakes["B"], condition))

    def direction(self, generator: str, data: Direction) -> Direction:
        return "AtoB"

    def images(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        return {"generated": networks["G"](batch.A), "real": batch.B}

    def samples(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """A row of images from the noise of a batch, and from that noise with its parts moved."""
        noise, classes = batch.A[:, :NOISE], batch.A[:, NOISE:]
        return {
            str(column + 1): networks["G"](
                torch.cat([noise.roll(column * NOISE // COLUMNS, 1), classes], 1)
            )
            for column in range(COLUMNS)
        }


def _condition(batch: Batch) -> Tensor | None:
    """The class of each image as maps [N, classes, H, W], 1 for its own; None without classes."""
    classes = batch.A[:, NOISE:]
    return classes.expand(-1, -1, *batch.B.shape[2:]) if classes.shape[1] else None
