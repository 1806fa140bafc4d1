"""HTML pages that a browser shows from the disk, without a server: their style, their sliders."""

from img2img.html.pictures import embedded, fitting
from img2img.html.rendering import render

__all__ = ["embedded", "fitting", "render"]
