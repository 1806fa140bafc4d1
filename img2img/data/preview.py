"""A sheet of augmented pairs, to look at before training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from img2img.config import DataConfig
from img2img.data.augment import PairTransform
from img2img.data.loader import Direction
from img2img.data.paired import find_pairs
from img2img.data.sizes import resolve_sizes
from img2img.data.sources import Pair
from img2img.errors import DataError
from img2img.images import Picture, Pixels, eight_bit
from img2img.sheets import sheet


def preview_data(data: DataConfig, seed: int, rows: int = 4, columns: int = 4) -> Picture:
    """The first training pairs of a data set, as training will see them; see `preview_sheet`.

    Raises:
        ConfigError, DataError: there are no pairs, or a setting does not fit them.
        ImageError: a file does not decode.
    """
    pairs = find_pairs(data, seed).train[:rows]
    if not pairs:
        raise DataError("there is no pair to show")
    sizes = [pair.read()[0].size for pair in pairs]
    smallest = min(height for height, _ in sizes), min(width for _, width in sizes)
    transform = PairTransform(data, *resolve_sizes(data, smallest))
    return preview_sheet(pairs, transform, seed, data.direction, columns)


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
        rows.append(cells)
    return sheet(rows, ["as it is", *("augmented" for _ in range(columns))])


def _cell(A: Pixels, B: Pixels) -> NDArray[np.uint8]:
    return np.concatenate([eight_bit(A), eight_bit(B)], axis=1)
