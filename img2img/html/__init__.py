"""What HTML pages have in common: templates, style, sliders, embedded pictures."""

from img2img.html.pictures import embedded, fitting
from img2img.html.rendering import render

__all__ = ["embedded", "fitting", "render"]
