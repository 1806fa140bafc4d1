"""Specifications of generators that come from no training."""

from typing import Any

from img2img.images import Domain
from img2img.models.spec import ModelSpec
from img2img.networks import Generator


def spec_of(generator: Generator, channels: tuple[int, int] = (3, 3), **fields: Any) -> ModelSpec:
    """Of 8-bit images with so many channels in and out; `fields` replace the rest."""
    known = {
        "architecture": "any",
        "arguments": {},
        "input": Domain.of_type("uint8", channels[0]),
        "output": Domain.of_type("uint8", channels[1]),
        "direction": "AtoB",
        "size_multiple": generator.size_multiple,
        "min_size": generator.min_size,
        "exact_tiling": generator.local,
        "crop_size": (64, 64),
        "scale": 1,
        "method": "none",
        "steps": 0,
        "images": 0,
    }
    return ModelSpec(**known | fields)
