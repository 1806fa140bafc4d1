"""A sheet of augmented images, to look at before training."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.check import check_images
from img2img.data.dataset import DataSet
from img2img.data.sizes import resolve_sizes
from img2img.data.sources import CountProgress
from img2img.data.values import channels_of, resolve_domains
from img2img.errors import DataError
from img2img.images import Picture, to_pixels
from img2img.images.sheets import sheet


def preview_data(
    kind: type[DataSet],
    data: DataConfig,
    seed: int,
    rows: int = 4,
    columns: int = 4,
    progress: CountProgress | None = None,
) -> Picture:
    """Draw the first training images of a data set, as training will see them.

    Each row has a pair, or an image of each domain: first A and B unchanged, then `columns`
    augmentations of them, with the input on the left.

    Args:
        progress: called with (items read, all items), because sizes depend on all images.

    Returns:
        8-bit RGB on white.

    Raises:
        ConfigError, DataError: there are no usable images, or a setting does not fit them.
        ImageError: a file does not decode.
    """
    survey = check_images((found := kind.find(data, seed)).items, progress, found.held_out)
    bad = {problem.item for problem in survey.problems if problem.item is not None}
    found = kind.find(data, seed, leave_out=bad)
    domains = resolve_domains(data, survey.values)
    found = found.seen_as(domains)
    if found.empty:
        raise DataError(f"{found.layout}: there is nothing to show")
    transform = Transform(data, *resolve_sizes(data, survey.smallest), channels_of(domains))
    sheet_rows = []
    for row in range(min(rows, len(found))):
        one = found.only(row)
        samples = one.samples(data.model_copy(update={"cache": "none"}), seed, transform)
        (as_it_is,) = one.held_out_batches(data, transform)
        cells = [_cell(as_it_is.A[0], as_it_is.B[0])]
        for position in range(row * columns, (row + 1) * columns):
            A, B, *_ = samples[position]
            cells.append(_cell(A, B))
        sheet_rows.append(cells)
    return sheet(sheet_rows, ["as it is", *("augmented" for _ in range(columns))])


def _cell(A: Tensor, B: Tensor) -> NDArray[np.uint8]:
    return np.concatenate([to_pixels(A), to_pixels(B)], axis=1)
