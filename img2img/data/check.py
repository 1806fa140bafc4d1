"""Decoding a whole data set once, to say all that is wrong with it before training starts."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from img2img.config import DataConfig
from img2img.data.dataset import DataSet
from img2img.data.problems import Problem
from img2img.data.sizes import HeightWidth
from img2img.data.sources import CountProgress, Item, Pair
from img2img.errors import ImageError
from img2img.images import Picture, count_unreadable


@dataclass(frozen=True)
class Survey:
    """What decoding every image showed.

    Attributes:
        sizes: by domain, how many good images have which (height, width).
        formats: how many good files are `8-bit`, `16-bit`, `8-bit with alpha` ...
        problems: the pairs and images that cannot be used.
    """

    sizes: dict[str, Counter[HeightWidth]]
    formats: Counter[str]
    problems: list[Problem]

    @property
    def all_sizes(self) -> Counter[HeightWidth]:
        """The sizes of both domains."""
        return sum(self.sizes.values(), Counter())

    @property
    def smallest(self) -> HeightWidth:
        """The smallest height and the smallest width; (0, 0) where no image is good."""
        sizes = self.all_sizes
        heights, widths = zip(*sizes, strict=True) if sizes else ((0,), (0,))
        return min(heights), min(widths)


@dataclass(frozen=True)
class DataReport:
    """All there is to say about a data set; see `check_data`.

    Attributes:
        passed_over: how many pictures there are of kinds that are not read, by suffix.
    """

    found: DataSet
    survey: Survey
    problems: list[Problem]
    passed_over: Counter[str]


def check_data(
    kind: type[DataSet], data: DataConfig, seed: int, progress: CountProgress | None = None
) -> DataReport:
    """Find the images as training would, decode them all, and report.

    Raises:
        ConfigError, DataError: there is nothing to check; see `DataSet.find`.
    """
    found = kind.find(data, seed)
    survey = check_images(found.items, progress)
    return DataReport(found, survey, found.problems + survey.problems, passed_over(data))


def passed_over(data: DataConfig) -> Counter[str]:
    """How many pictures of kinds that are not read lie among the data, by suffix."""
    folders = [path for path in (data.root, data.root_a, data.root_b) if path is not None]
    return sum((count_unreadable(folder) for folder in folders), Counter())


def check_images(
    items: Mapping[str, Sequence[Item]], progress: CountProgress | None = None
) -> Survey:
    """Decode all images.

    Args:
        items: pairs and images by the domains that they show; see `DataSet.items`.
        progress: called with (items done, items), in this thread.
    """
    survey = Survey({"A": Counter(), "B": Counter()}, Counter(), [])
    domains = [domain for domain, those in items.items() for _ in those]
    everything = [item for those in items.values() for item in those]
    # Decoders let go of Python's lock. Few threads: each may hold two large pictures.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        looked_at = zip(domains, pool.map(_look_at, everything), strict=True)
        for done, (shown, (looks, problems)) in enumerate(looked_at, start=1):
            survey.problems.extend(problems)
            if not problems:
                for domain in shown:
                    survey.sizes[domain][looks[0][0]] += 1
                survey.formats.update(form for _, form in looks)
            if progress:
                progress(done, len(everything))
    return survey


def _look_at(item: Item) -> tuple[list[tuple[HeightWidth, str]], list[Problem]]:
    """Size and format of the item's files, without keeping their pixels, and what is wrong."""
    looks: list[tuple[HeightWidth, str]] = []
    problems: list[Problem] = []
    for source in item.files:
        try:
            picture = source.read()
        except ImageError as error:
            problems.append(Problem("unreadable", str(source.path), str(error), item))
        else:
            looks.append((picture.size, _format(picture)))
    if isinstance(item, Pair) and len(looks) == 2 and looks[0][0] != looks[1][0]:
        (h_A, w_A), (h_B, w_B) = looks[0][0], looks[1][0]
        message = f"{item.A.path} has {w_A} x {h_A} pixels, {item.B.path} has {w_B} x {h_B}"
        problems.append(Problem("size", item.name, message, item))
    return looks, problems


def _format(picture: Picture) -> str:
    bits = f"{8 * picture.pixels.dtype.itemsize}-bit"
    return bits if picture.alpha is None else f"{bits} with alpha"
