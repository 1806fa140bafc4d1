"""Small images of every depth, and what files say beside them."""

import numpy as np
from PIL import Image, ImageCms

RGB = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = np.random.default_rng(2).integers(0, 256, (5, 7), dtype=np.uint8)
RGB16 = np.random.default_rng(3).integers(0, 65536, (5, 7, 3), dtype=np.uint16)
ALPHA16 = np.random.default_rng(4).integers(0, 65536, (5, 7), dtype=np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSLESS = [".png", ".tif", ".tiff"]


def exif_block(orientation: int = 1, artist: str = "someone") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x013B] = artist
    return exif.tobytes()


def bgr(*planes: np.ndarray) -> np.ndarray:
    array = np.dstack(planes)
    array[..., :3] = array[..., 2::-1].copy()
    return array
