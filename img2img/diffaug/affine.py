"""Affine maps of images: twice differentiable, and exact if they move whole pixels.

A map is a float matrix [N, 3, 3], one for each image. It leads from the place (x, y, 1) of a pixel
in the result, in pixels from the centre, to the place from which its value is taken. torch's
`grid_sample` has neither property.
"""

import torch
from torch import Tensor


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Scale by [N] factors along each axis."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def turning(cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate by angles with these cosines and sines [N]."""
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    entries = [cosine, -sine, zero, sine, cosine, zero, zero, zero, one]
    return torch.stack(entries, 1).view(-1, 3, 3)


def moving(x: Tensor, y: Tensor) -> Tensor:
    """Move by [N] pixels along each axis."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return torch.stack([one, zero, x, zero, one, y, zero, zero, one], 1).view(-1, 3, 3)


def resample(images: Tensor, maps: Tensor) -> Tensor:
    """Resample images [N, C, H, W] by their maps, bilinearly, with reflection at the edges."""
    count, channels, height, width = images.shape
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    y, x = torch.meshgrid(
        torch.arange(height, device=images.device) - middle_y,
        torch.arange(width, device=images.device) - middle_x,
        indexing="ij",
    )
    places = torch.stack([x.flatten(), y.flatten(), torch.ones_like(x).flatten()])
    source = maps[:, :2] @ places.to(maps.dtype)  # [N, 2, H * W]
    source_x, source_y = source[:, 0] + middle_x, source[:, 1] + middle_y
    left, top = source_x.floor(), source_y.floor()
    across, down = (source_x - left)[:, None], (source_y - top)[:, None]
    columns = [_reflected(left + step, width) for step in (0, 1)]
    rows = [_reflected(top + step, height) for step in (0, 1)]
    flat = images.flatten(2)

    def taken(row: Tensor, column: Tensor) -> Tensor:
        return flat.gather(2, (row * width + column)[:, None].expand(-1, channels, -1))

    above, below = (
        _between(taken(row, columns[0]), taken(row, columns[1]), across) for row in rows
    )
    return _between(above, below, down).view(count, channels, height, width)


def _between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    return first + share * (second - first)


def _reflected(index: Tensor, size: int) -> Tensor:
    """Whole numbers as indices of `size` pixels, mirrored at the outermost pixels."""
    period = max(2 * (size - 1), 1)
    index = index.long().remainder(period)
    return torch.minimum(index, period - index) if size > 1 else index
