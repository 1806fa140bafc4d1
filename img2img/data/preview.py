"""A sheet of augmented pairs, to look at before training."""

from collections.abc import Sequence

import numpy as np

from img2img.data.augment import PairTransform
from img2img.data.loader import Direction
from img2img.data.sources import Pair
from img2img.images import Picture, Pixels, eight_bit

GAP = 8


def preview_sheet(
    pairs: Sequence[Pair],
    transform: PairTransform,
    seed: int,
    direction: Direction = "AtoB",
    columns: int = 4,
) -> Picture:
    """One row a pair: input and output as they are, then `columns` of their augmentations.

    Args:
        pairs: the rows' pairs, at least one.
        direction: which of the two images is the input, on the left.

    Returns:
        8-bit RGB on white.

    Raises:
        ImageError: a file does not decode.
    """
    rows = []
    for row, pair in enumerate(pairs):
        A, B = (image.composited() for image in pair.read())
        if direction == "BtoA":
            A, B = B, A
        cells = [_cell(transform.center(A), transform.center(B))]
        A, B = transform.prepare(A), transform.prepare(B)
        for column in range(columns):
            cells.append(_cell(*transform.random(A, B, seed, row * columns + column)))
        rows.append(_joined(cells, axis=1))
    return Picture(_joined(rows, axis=0))


def _cell(A: Pixels, B: Pixels) -> Pixels:
    return np.concatenate([eight_bit(A), eight_bit(B)], axis=1)


def _joined(cells: Sequence[Pixels], axis: int) -> Pixels:
    """Cells of one size with white between them."""
    shape = list(cells[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    spaced = [part for cell in cells for part in (gap, cell)][1:]
    return np.concatenate(spaced, axis=axis)
