"""Training methods; importing the package registers all of them."""

from img2img.registry import import_submodules
from img2img.training.methods.base import METHODS, Fakes, Method
from img2img.training.methods.critic import Critic
from img2img.training.methods.loss import Loss, Term

import_submodules(__name__, __path__)

__all__ = ["METHODS", "Critic", "Fakes", "Loss", "Method", "Term"]
