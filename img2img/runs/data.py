"""Finds the data of a run as it was trained: with the same images left out and held out."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from img2img.config import DataConfig, RunConfig
from img2img.data.check import check_images, sides_of
from img2img.data.dataset import DataSet
from img2img.data.problems import Problem
from img2img.data.sources import CountProgress, Item, Pair
from img2img.runs.facts import SavedFacts

D = TypeVar("D", bound=DataSet)


def find_as_trained(
    kind: type[D], config: RunConfig, facts: SavedFacts, progress: CountProgress | None = None
) -> D:
    """Find the images of a run; those held out during training are held out again.

    Images may have been added since, which would change a random choice. If the data was moved, the
    images to hold out are chosen anew.

    Args:
        kind: the class of data set that the run's method uses.
        config: the configuration from the run folder.
        facts: from the run folder. If they do not say what was left out, as in runs of older
            versions, all images are decoded again to find broken ones (`data.skip_bad`).
        progress: called with (images decoded, images).

    Raises:
        ConfigError, DataError: the images are no longer there; see `DataSet.find`.
    """
    data = layout_as_trained(config.data, facts)
    found = kind.find(data, config.seed)
    items = {item for those in found.items.values() for item in those}
    if facts.left_out is not None:
        bad = {item for item in items if not files_of(item).isdisjoint(facts.left_out)}
    elif config.data.skip_bad:
        bad = unusable(check_images(found.items, progress, sides=sides_of(data)).problems)
    else:
        bad = set()
    if bad:
        found = kind.find(data, config.seed, leave_out=bad)
    names = facts.held_out
    if names is not None and not names.isdisjoint(names_of(items)):
        found = replace(found, held_out=[p for p in found.held_out if files_of(p) <= names])
    return found


def layout_as_trained(data: DataConfig, facts: SavedFacts) -> DataConfig:
    """The section `data` with the layout that was detected when the run began."""
    return data.model_copy(update={"layout": "side_by_side"}) if facts.side_by_side else data


def files_of(item: Item) -> set[str]:
    """The names of an item's files, by which the run folder identifies it."""
    sources = (item.A, item.B) if isinstance(item, Pair) else (item,)
    return {str(file.path.resolve()) for source in sources for file in source.files}


def names_of(items: Iterable[Item]) -> list[str]:
    """The names of the files of some items, in order."""
    return sorted(set().union(*map(files_of, items)))


def unusable(problems: Iterable[Problem]) -> set[Item]:
    """The items that cannot be used."""
    return {problem.item for problem in problems if problem.item is not None}
