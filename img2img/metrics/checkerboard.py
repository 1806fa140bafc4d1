"""The grid that up-sampling layers leave in an image."""

import numpy as np
from numpy.typing import NDArray


def checkerboard_energy(pixels: NDArray[np.generic]) -> float:
    """Power of an image at the frequencies where up-sampling by 2, 4 and 8 leaves a grid.

    These are the multiples of 1/8 cycles a pixel in both directions, without the mean (Odena et
    al., "Deconvolution and Checkerboard Artifacts", Distill 2016, say how the grid comes about).
    A Hann window keeps the image's borders, which do not join, from leaking into them.

    Args:
        pixels: [H, W, C], any range; the part used is the largest whose sides divide by 8.

    Returns:
        Mean power over channels, in squared units of `pixels`. Compare it with that of a real
        image: natural edges have some power at these frequencies too.
    """
    height, width = (size // 8 * 8 for size in pixels.shape[:2])
    image = pixels[:height, :width].astype(np.float64)
    image -= image.mean(axis=(0, 1))
    window = np.hanning(height)[:, None, None] * np.hanning(width)[None, :, None]
    spectrum = np.abs(np.fft.fft2(image * window, axes=(0, 1))) ** 2 / (window**2).sum()
    grid = spectrum[:: height // 8, :: width // 8]
    return float((grid.sum(axis=(0, 1)) - grid[0, 0]).mean())
