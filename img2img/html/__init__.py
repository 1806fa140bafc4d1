"""What HTML pages have in common: templates, style, sliders, embedded pictures."""

from img2img.html.pictures import embedded, fit_within
from img2img.html.rendering import render

__all__ = ["embedded", "fit_within", "render"]
