"""Translating pictures that are too large for memory approximately: in overlapping tiles.

For networks whose receptive field is the whole picture, such as a U-Net. Pixels outside a tile have
no influence on it, so the result differs from the unsplit one; blending only hides the seams.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from img2img.engine.options import OnPart
from img2img.errors import ConfigError
from img2img.images import Pixels, to_pixels, to_tensor


@torch.inference_mode()
def translate_in_tiles(
    run: Callable[[Tensor], Tensor],
    pixels: Pixels,
    *,
    tile: int,
    overlap: int,
    truncate: bool = False,
    progress: OnPart | None = None,
) -> Pixels:
    """Translate tile by tile, and blend the tiles where they overlap.

    All tiles have the same shape; the last ones overlap more, so that they end where the picture
    does. If the picture, tile and overlap are multiples of a number, so are the tiles' positions.

    Args:
        run: from [1, C_in, h, w] to [1, C_out, h, w], float32 in [-1, 1] on the CPU.
        pixels: (height, width, C_in), uint8 or uint16, of a size that `run` accepts.
        tile: height and width of a tile, in pixels; a smaller picture has smaller tiles.
        overlap: minimum overlap of neighbouring tiles, in pixels.
        truncate: round colours down.
        progress: called with (tiles done, total).

    Returns:
        Pixels (height, width, C_out) of the same dtype.

    Raises:
        ConfigError: the overlap is negative, or not smaller than a tile.
    """
    if not 0 <= overlap < tile:
        raise ConfigError(f"`overlap`: {overlap} is not between 0 and the tile size, {tile}")
    (tops, down), (lefts, across) = (_axis(size, tile, overlap) for size in pixels.shape[:2])
    height, width = down.shape[1], across.shape[1]
    result: Pixels | None = None
    band = torch.zeros(0)
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            x = to_tensor(pixels[top : top + height, left : left + width])
            y = run(x.unsqueeze(0))[0].float()
            if result is None:
                band = torch.zeros(len(y), height, pixels.shape[1])
                result = np.empty((*pixels.shape[:2], len(y)), pixels.dtype)
            y *= down[row].unsqueeze(1) * across[column]
            band[:, :, left : left + width] += y
            if progress:
                progress(row * len(lefts) + column + 1, len(tops) * len(lefts))
        # Rows that no later tile reaches are done.
        assert result is not None
        done = (tops[row + 1] if row + 1 < len(tops) else len(pixels)) - top
        result[top : top + done] = to_pixels(band[:, :done], pixels.dtype, truncate=truncate)
        band = torch.cat([band[:, done:], torch.zeros_like(band[:, :done])], dim=1)
    assert result is not None
    return result


def _axis(size: int, tile: int, overlap: int) -> tuple[list[int], Tensor]:
    """Start of each tile along an axis, and the tiles' weights, [tiles, pixels].

    The weights of all tiles at a pixel sum to 1. They fall off towards the ends of a tile as a
    raised cosine, except at the ends of the picture, where there is only one tile.
    """
    tile = min(tile, size)
    starts = [0]
    while starts[-1] + tile < size:
        starts.append(min(starts[-1] + tile - overlap, size - tile))
    from_end = torch.minimum(torch.arange(tile), torch.arange(tile - 1, -1, -1)) + 0.5
    ramp = torch.sin(from_end.div(max(overlap, 1)).clamp(max=1) * math.pi / 2) ** 2
    total = torch.zeros(size)
    for start in starts:
        total[start : start + tile] += ramp
    return starts, torch.stack([ramp / total[start : start + tile] for start in starts])
