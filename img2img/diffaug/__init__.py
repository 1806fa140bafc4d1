"""Augmentations of the images that critics see; importing the package registers all of them."""

from img2img.diffaug.base import AUGMENTATIONS, Augmentation
from img2img.registry import import_submodules

import_submodules(__name__, __path__)

__all__ = ["AUGMENTATIONS", "Augmentation"]
