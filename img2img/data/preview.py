"""A sheet of augmented pairs, to look at before training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from img2img.config import DataConfig
from img2img.data.augment import PairTransform
from img2img.data.check import check_pairs
from img2img.data.loader import Direction
from img2img.data.paired import find_pairs
from img2img.data.sizes import resolve_sizes
from img2img.data.sources import CountProgress, Pair
from img2img.errors import DataError
from img2img.images import Picture, Pixels, eight_bit
from img2img.sheets import sheet


def preview_data(
    data: DataConfig,
    seed: int,
    rows: int = 4,
    columns: int = 4,
    progress: CountProgress | None = None,
) -> Picture:
    """The first training pairs of a data set, as training will see them; see `preview_sheet`.

    Args:
        progress: called with (pairs looked at, pairs): the sizes follow from those of all.

    Raises:
        ConfigError, DataError: there are no good pairs, or a setting does not fit them.
    """
    found = find_pairs(data, seed)
    survey = check_pairs(found.train + found.held_out, progress)
    bad = {problem.pair for problem in survey.problems}
    pairs = [pair for pair in found.train if pair not in bad]
    if not pairs:
        raise DataError(f"{found.layout}: there is no pair to show")
    transform = PairTransform(data, *resolve_sizes(data, survey.smallest))
    return preview_sheet(pairs[:rows], transform, seed, data.direction, columns)


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
