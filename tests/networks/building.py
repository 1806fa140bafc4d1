"""Networks as configurations name them."""

from typing import Any

from torch import nn

from img2img.config import Component
from img2img.networks import DISCRIMINATORS, GENERATORS, Discriminator, Generator


def generator(name: str, **arguments: Any) -> Generator:
    section = Component.model_validate({"name": name, **arguments})
    return GENERATORS.build(section, "generator", in_channels=3, out_channels=3)


def discriminator(name: str, in_channels: int = 3, **arguments: Any) -> Discriminator:
    section = Component.model_validate({"name": name, **arguments})
    return DISCRIMINATORS.build(section, "discriminator", in_channels=in_channels)


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
