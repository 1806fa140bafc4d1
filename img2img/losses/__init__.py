"""Loss terms; importing the package registers all of them."""

from img2img.images.places import mean_per_image, of_valid, without_invalid
from img2img.losses.adversarial import OBJECTIVES, Objective
from img2img.losses.reconstruction import RECONSTRUCTIONS, Reconstruction
from img2img.losses.regularizers import REGULARIZERS, Judge, Regularizer, refuse_batch_norm
from img2img.registry import import_submodules

import_submodules(__name__, __path__)

__all__ = [
    "OBJECTIVES",
    "RECONSTRUCTIONS",
    "REGULARIZERS",
    "Judge",
    "Objective",
    "Reconstruction",
    "Regularizer",
    "mean_per_image",
    "of_valid",
    "refuse_batch_norm",
    "without_invalid",
]
