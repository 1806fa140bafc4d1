"""Training methods; importing the package enters them all in their catalogue."""

from img2img.registry import import_submodules
from img2img.training.methods.base import METHODS, Method

import_submodules(__name__, __path__)

__all__ = ["METHODS", "Method"]
