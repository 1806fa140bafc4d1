"""Training: the methods, the loop that runs them, and its observers."""

from img2img.registry import import_submodules
from img2img.training.methods import METHODS, Method

import_submodules(__name__, __path__)

__all__ = ["METHODS", "Method"]
