"""Specifications of generators that come from no training."""

from typing import Any

from img2img.images import Domain
from img2img.models.spec import ModelSpec
from img2img.networks import Generator


def spec_of(generator: Generator, channels: tuple[int, int] = (3, 3), **fields: Any) -> ModelSpec:
    """Of 8-bit images with so many channels in and out; `fields` replace the rest."""
    known = {
        "input": Domain.of_type("uint8", channels[0]),
        "output": Domain.of_type("uint8", channels[1]),
        "crop_size": (64, 64),
    }
    return ModelSpec.of(generator, **known | fields)
