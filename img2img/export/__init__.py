"""Exporting a model to the file formats of other programs."""

from img2img.export.base import FORMATS, Format
from img2img.export.model import Exported, export_model
from img2img.export.reference import export_reference
from img2img.registry import import_submodules

import_submodules(__name__, __path__)

__all__ = ["FORMATS", "Exported", "Format", "export_model", "export_reference"]
