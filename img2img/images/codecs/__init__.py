"""Kinds of image files, one module each; importing the package enters them in their catalogue."""

from img2img.images.codecs.base import CODECS, Codec, Reader, Writer
from img2img.images.codecs.facts import FileFacts
from img2img.registry import import_submodules

import_submodules(__name__, __path__)

__all__ = ["CODECS", "Codec", "FileFacts", "Reader", "Writer"]
