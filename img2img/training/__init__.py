"""Training: methods, the loop that runs them, and those who watch it."""

from img2img.registry import import_submodules
from img2img.training.methods import METHODS, Method

import_submodules(__name__, __path__)

__all__ = ["METHODS", "Method"]
