"""Inference backends: the runtimes that a generator can run on."""

from img2img.engine.backends.base import BACKENDS, Backend, backend_class
from img2img.registry import import_submodules

import_submodules(__name__, __path__)

__all__ = ["BACKENDS", "Backend", "backend_class"]
