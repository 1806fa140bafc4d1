"""Decoding a whole data set once, to say all that is wrong with it before training starts."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from img2img.config import DataConfig
from img2img.data.paired import find_pairs
from img2img.data.problems import Problem
from img2img.data.sizes import HeightWidth
from img2img.data.sources import CountProgress, Pair
from img2img.errors import ImageError
from img2img.images import Picture, count_unreadable


@dataclass(frozen=True)
class Survey:
    """What decoding every pair showed.

    Attributes:
        sizes: how many good pairs have which (height, width).
        formats: how many files of good pairs are `8-bit`, `16-bit`, `8-bit with alpha` ...
        problems: the pairs that cannot be used.
    """

    sizes: Counter[HeightWidth]
    formats: Counter[str]
    problems: list[Problem]

    @property
    def smallest(self) -> HeightWidth:
        """The smallest height and the smallest width; (0, 0) where no pair is good."""
        heights, widths = zip(*self.sizes, strict=True) if self.sizes else ((0,), (0,))
        return min(heights), min(widths)


@dataclass(frozen=True)
class DataReport:
    """All there is to say about a data set; see `check_data`.

    Attributes:
        passed_over: how many pictures there are of kinds that are not read, by suffix.
    """

    layout: str
    train: int
    held_out: int
    survey: Survey
    problems: list[Problem]
    passed_over: Counter[str]


def check_data(data: DataConfig, seed: int, progress: CountProgress | None = None) -> DataReport:
    """Find the pairs as training would, decode them all, and report.

    Raises:
        ConfigError, DataError: there is nothing to check; see `find_pairs`.
    """
    found = find_pairs(data, seed)
    survey = check_pairs(found.train + found.held_out, progress)
    problems = found.problems + survey.problems
    return DataReport(
        found.layout, len(found.train), len(found.held_out), survey, problems, passed_over(data)
    )


def passed_over(data: DataConfig) -> Counter[str]:
    """How many pictures of kinds that are not read lie among the data, by suffix."""
    folders = [path for path in (data.root, data.root_a, data.root_b) if path is not None]
    return sum((count_unreadable(folder) for folder in folders), Counter())


def check_pairs(pairs: Sequence[Pair], progress: CountProgress | None = None) -> Survey:
    """Decode both images of every pair.

    Args:
        progress: called with (pairs done, pairs), in this thread.
    """
    survey = Survey(Counter(), Counter(), [])
    # Decoders let go of Python's lock. Few threads: each may hold two large pictures.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done, (looks, problems) in enumerate(pool.map(_look_at, pairs), start=1):
            survey.problems.extend(problems)
            if not problems:
                survey.sizes[looks[0][0]] += 1
                survey.formats.update(form for _, form in looks)
            if progress:
                progress(done, len(pairs))
    return survey


def _look_at(pair: Pair) -> tuple[list[tuple[HeightWidth, str]], list[Problem]]:
    """Size and format of the pair's files, without keeping their pixels, and what is wrong."""
    looks: list[tuple[HeightWidth, str]] = []
    problems: list[Problem] = []
    one_file = pair.A.path == pair.B.path  # whose halves have the same size
    for source in (pair.A,) if one_file else (pair.A, pair.B):
        try:
            picture = source.read()
        except ImageError as error:
            problems.append(Problem("unreadable", str(source.path), str(error), pair))
        else:
            looks.append((picture.size, _format(picture)))
    if len(looks) == 2 and looks[0][0] != looks[1][0]:
        (h_A, w_A), (h_B, w_B) = looks[0][0], looks[1][0]
        message = f"{pair.A.path} has {w_A} x {h_A} pixels, {pair.B.path} has {w_B} x {h_B}"
        problems.append(Problem("size", pair.name, message, pair))
    return looks, problems


def _format(picture: Picture) -> str:
    bits = f"{8 * picture.pixels.dtype.itemsize}-bit"
    return bits if picture.alpha is None else f"{bits} with alpha"
