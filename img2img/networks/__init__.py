"""Generators and discriminators. Importing the package registers all of them."""

from img2img.networks.base import (
    DISCRIMINATORS,
    GENERATORS,
    Discriminator,
    DiscriminatorOutput,
    Generator,
    Stage,
    without_storage,
)
from img2img.registry import import_submodules

import_submodules(__name__, __path__)

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "Discriminator",
    "DiscriminatorOutput",
    "Generator",
    "Stage",
    "without_storage",
]
