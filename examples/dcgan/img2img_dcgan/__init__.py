"""DCGAN (Radford et al. 2016, arXiv 1511.06434) as a plug-in of img2img.

Importing the package registers its parts.
"""

from img2img_dcgan import method, networks

__all__ = ["method", "networks"]
