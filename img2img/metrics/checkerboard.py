"""The grid that upsampling layers leave in an image."""

import numpy as np
from numpy.typing import NDArray


def checkerboard_energy(pixels: NDArray[np.generic]) -> float:
    """Power of an image at the frequencies at which upsampling by 2, 4 and 8 leaves a grid.

    These are the multiples of 1/8 cycles per pixel in both directions, without the mean. Odena et
    al., "Deconvolution and Checkerboard Artifacts", Distill 2016, explain how the grid arises. A
    Hann window keeps the discontinuity at the borders from leaking into these frequencies.

    Args:
        pixels: [H, W, C] in any range; the largest part whose sides are multiples of 8 is used.

    Returns:
        The mean over channels, in squared units of `pixels`; for a pure grid it does not depend on
        the size of the image. Compare it with that of a real image of the same size, because
        natural edges have some power at these frequencies too.

    Raises:
        ValueError: a side is below 8 pixels.
    """
    height, width = (size // 8 * 8 for size in pixels.shape[:2])
    if not (height and width):
        raise ValueError("the image is smaller than 8 x 8 pixels")
    image = pixels[:height, :width].astype(np.float64)
    image -= image.mean(axis=(0, 1))
    window = np.hanning(height)[:, None, None] * np.hanning(width)[None, :, None]
    spectrum = np.abs(np.fft.fft2(image * window, axes=(0, 1))) ** 2 / window.sum() ** 2
    grid = spectrum[:: height // 8, :: width // 8]
    return float((grid.sum(axis=(0, 1)) - grid[0, 0]).mean())
