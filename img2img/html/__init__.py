"""HTML pages that a browser shows from the disk, without a server: their style, their sliders."""

from img2img.html.page import page, slider, text
from img2img.html.pictures import embedded, fitting

__all__ = ["embedded", "fitting", "page", "slider", "text"]
