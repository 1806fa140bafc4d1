"""The data of a run as it was trained: what was left out and what was held out then is so again."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from img2img.config import DataConfig, RunConfig
from img2img.data.check import check_images
from img2img.data.dataset import DataSet
from img2img.data.problems import Problem
from img2img.data.sources import CountProgress, Item, Pair
from img2img.training.build import method_class


def data_of(
    config: RunConfig, facts: Mapping[str, Any], progress: CountProgress | None = None
) -> DataSet:
    """Find the images of a run; of those held out, the ones that were so when it was trained.

    Other images may be there now, and which are held out as a share of them depends on all. Of data
    that has moved since there is no telling: then those that would be held out now.

    Args:
        config: as the run's folder has it.
        facts: of `facts.json`. Of a run of an older version they do not say what was left out: then
            all images are decoded once more to see, if any were (`data.skip_bad`).
        progress: called with (images decoded, images).

    Raises:
        ConfigError, DataError: there are none any more; see `DataSet.find`.
    """
    kind = method_class(config).data
    data = as_trained(config.data, facts)
    found = kind.find(data, config.seed)
    items = {item for those in found.items.values() for item in those}
    left_out = facts.get("left_out")
    if isinstance(left_out, list):
        names = set(map(str, left_out))
        bad = {item for item in items if not files_of(item).isdisjoint(names)}
    elif config.data.skip_bad:
        bad = unusable(check_images(found.items, progress).problems)
    else:
        bad = set()
    if bad:
        found = kind.find(data, config.seed, leave_out=bad)
    held_out = facts.get("held_out")
    if isinstance(held_out, list):
        names = set(map(str, held_out))
        if not names.isdisjoint(names_of(items)):
            found = replace(found, held_out=[p for p in found.held_out if files_of(p) <= names])
    return found


def as_trained(data: DataConfig, facts: Mapping[str, Any]) -> DataConfig:
    """The configuration of a run's data, which settles what older versions have left open.

    Whether images hold both domains was not doubted then.
    """
    halves = "side-by-side images in" in str(facts.get("images"))
    return data.model_copy(update={"layout": "side_by_side"}) if halves else data


def files_of(item: Item) -> set[str]:
    """The names of an item's files, by which a run remembers it."""
    sources = (item.A, item.B) if isinstance(item, Pair) else (item,)
    return {str(source.path.resolve()) for source in sources}


def names_of(items: Iterable[Item]) -> list[str]:
    """The names of the files of some items, in order."""
    return sorted(set().union(*map(files_of, items)))


def unusable(problems: Iterable[Problem]) -> set[Item]:
    """The items that have something wrong with them."""
    return {problem.item for problem in problems if problem.item is not None}
