"""A sheet of augmented images, to look at before training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.check import check_images, sides_of
from img2img.data.dataset import DataSet
from img2img.data.domains import channels_colored, channels_of, resolve_domains
from img2img.data.sizes import resolve_sizes
from img2img.data.sources import CountProgress
from img2img.errors import DataError
from img2img.images import Domain, Picture
from img2img.images.display import tensor_shown
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
    found = kind.find(data, seed)
    survey = check_images(found.items, progress, found.held_out, sides=sides_of(data))
    bad = {problem.item for problem in survey.problems if problem.item is not None}
    found = kind.find(data, seed, leave_out=bad)
    domains = resolve_domains(data, survey.values)
    found = found.seen_as(domains)
    if found.empty:
        raise DataError(f"{found.layout}: there is nothing to show")
    given, wanted = data.direction.split("to")
    in_order = domains[given], domains[wanted]
    channels = channels_of(domains), channels_colored(data, domains)
    transform = Transform(data, *resolve_sizes(data, survey.smallest), *channels)
    sheet_rows = []
    for row in range(min(rows, len(found))):
        one = found.only(row)
        samples = one.samples(data.model_copy(update={"cache": "none"}), seed, transform)
        (as_it_is,) = one.held_out_batches(data, transform)
        images = [(x[0], None if valid is None else valid[0]) for x, valid in as_it_is.both]
        cells = [_cell(images, in_order)]
        for position in range(row * columns, (row + 1) * columns):
            drawn = samples[position]
            cells.append(_cell([(drawn.A, drawn.valid_A), (drawn.B, drawn.valid_B)], in_order))
        sheet_rows.append(cells)
    return sheet(sheet_rows, ["as it is", *("augmented" for _ in range(columns))])


def _cell(
    both: Sequence[tuple[Tensor, Tensor | None]], domains: Sequence[Domain]
) -> NDArray[np.uint8]:
    sides = zip(both, domains, strict=True)
    return np.concatenate([tensor_shown(x, each, valid) for (x, valid), each in sides], axis=1)
