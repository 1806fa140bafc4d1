"""Decodes a whole data set once, to report all problems before training starts."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from img2img.config import DataConfig, SideConfig
from img2img.data.dataset import DataSet
from img2img.data.labels import declared
from img2img.data.problems import Problem
from img2img.data.sizes import HeightWidth, same_shape
from img2img.data.sources import CountProgress, ImageSource, Item, Pair
from img2img.data.statistics import FileStatistics, statistics_of
from img2img.data.turns import TURNS
from img2img.errors import ImageError, counted, some_names
from img2img.images import Domain, Picture, count_unreadable, list_own


@dataclass(frozen=True)
class Survey:
    """The results of decoding every image.

    Attributes:
        sizes: by domain, how many good images have which (height, width) in their files.
        formats: how many good files are `8-bit`, `16-bit`, `8-bit with alpha` and so on.
        problems: the pairs and images that cannot be used.
        changed: how many pairs differ in `size` only, and how many in `shape` too. Their targets
            are changed to the size of the input; see `data.unequal`.
        values: by domain, the values in good images.
    """

    sizes: dict[str, Counter[HeightWidth]]
    formats: Counter[str]
    problems: list[Problem]
    changed: Counter[str] = field(default_factory=Counter)
    values: dict[str, FileStatistics] = field(default_factory=dict)

    @property
    def all_sizes(self) -> Counter[HeightWidth]:
        """The sizes of the images of both domains together."""
        return sum(self.sizes.values(), Counter())

    @property
    def smallest(self) -> HeightWidth:
        """The smallest height and the smallest width; (0, 0) if there is no good image."""
        sizes = self.all_sizes
        heights, widths = zip(*sizes, strict=True) if sizes else ((0,), (0,))
        return min(heights), min(widths)


@dataclass(frozen=True)
class DataReport:
    """The report on a data set; see `check_data`.

    Attributes:
        passed_over: number of images in unsupported formats, by suffix.
        left_out: run folders and results of translations inside the data.
        proposed: the data set as `found.proposal` would find it; the survey is then of its images.
    """

    found: DataSet
    survey: Survey
    problems: list[Problem]
    passed_over: Counter[str]
    left_out: list[Path]
    proposed: DataSet | None = None

    @property
    def pairs(self) -> list[Pair]:
        """The pairs that were found and can be decoded; with a proposal, those that it finds."""
        bad = {p.item for p in self.survey.problems if p.kind == "unreadable"}
        items = (self.proposed or self.found).items.get("AB", [])
        return [item for item in items if isinstance(item, Pair) and item not in bad]


def check_data(
    kind: type[DataSet], data: DataConfig, seed: int, progress: CountProgress | None = None
) -> DataReport:
    """Find the images as training does, decode all of them, and report.

    If another way to match names finds more pairs, those are decoded.

    Raises:
        ConfigError, DataError: there are no images to check; see `DataSet.find`.
    """
    found = kind.find(data, seed)
    if found.proposal is None:
        return check_found(found, data, progress)
    proposed = kind.find(data.model_copy(update={"match": found.proposal.match}), seed)
    report = check_found(proposed, data, progress)
    problems = found.problems + report.survey.problems
    return replace(report, found=found, problems=problems, proposed=proposed)


def check_found(
    found: DataSet,
    data: DataConfig,
    progress: CountProgress | None = None,
    *,
    survey: Survey | None = None,
) -> DataReport:
    """Decode all images of a data set, and report on it.

    Args:
        survey: the results of decoding, if that is already done.
    """
    survey = survey or check_images(found.items, progress, found.held_out, sides=sides_of(data))
    problems = found.problems + survey.problems
    unread = sum((count_unreadable(folder) for folder in data.folders), Counter[str]())
    left_out = [path for folder in data.folders for path in list_own(folder)]
    return DataReport(found, survey, problems, unread, left_out)


def remarks(report: DataReport, data: DataConfig) -> Iterator[str]:
    """A sentence on each kind of file that is not used, or is changed."""
    if report.passed_over:
        kinds = ", ".join(f"{suffix} ({count})" for suffix, count in report.passed_over.items())
        yield f"skipped, because these formats are not supported: {kinds}; convert them to PNG"
    if report.left_out:
        names = some_names([str(path) for path in report.left_out], 3)
        yield f"left out, because img2img made them: {names}"
    changed = report.survey.changed
    if changed["size"]:
        yield f"in {counted(changed['size'], 'pair')} the target is resized to its input's size"
    if changed["shape"]:
        yield (
            f"in {counted(changed['shape'], 'pair')} the aspect ratio of the target differs from"
            f" its input's; it is adjusted by data.unequal={data.unequal}"
        )


def sides_of(data: DataConfig) -> dict[str, SideConfig]:
    """The sections of both domains."""
    return {"A": data.A, "B": data.B}


def check_images(
    items: Mapping[str, Sequence[Item]],
    progress: CountProgress | None = None,
    held_out: Sequence[Pair] = (),
    *,
    share: tuple[int, int] = (0, 1),
    sides: Mapping[str, SideConfig] | None = None,
) -> Survey:
    """Decode all images, and collect what they show.

    Args:
        items: pairs and images by domain; see `DataSet.items`.
        progress: called with (items done, items), in this thread.
        held_out: those of them whose values are counted separately.
        share: (index, count) of this process among those that share the work: it decodes every
            count-th item.
        sides: what the files are, as in `data.A` and `data.B`; None: images.
    """
    labels = {side: declared(each) for side, each in (sides or {}).items() if each.is_labels}
    which, of = share
    shown = [(domains, item) for domains, those in items.items() for item in those]
    values = {key: FileStatistics() for key in values_keys(shown)}
    survey = Survey({"A": Counter(), "B": Counter()}, Counter(), [], values=values)
    shown = shown[which::of]
    apart: Collection[Item] = {item for pair in held_out for item in (pair, pair.A, pair.B)}
    # Decoders let go of Python's lock. Few threads: each may hold two large pictures.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        facts = pool.map(lambda each: _examine(each[0], each[1], apart, labels), shown)
        examined = zip(shown, facts, strict=True)
        for done, ((domains, item), (looks, problems)) in enumerate(examined, start=1):
            survey.problems.extend(problems)
            if not problems:
                for key, look in zip(_keys(domains, item), looks, strict=True):
                    survey.values[key].add(look.values)
                for domain, look in zip(domains, (looks[0], looks[-1]), strict=False):
                    survey.sizes[domain].update(look.sizes)
                sizes = looks[0].size, looks[-1].size
                if sizes[0] != sizes[1]:
                    survey.changed["size" if same_shape(*sizes) else "shape"] += 1
                # Of a file that holds both images, once.
                survey.formats.update(look.form for look in looks[: len(item.files)])
            if progress:
                progress(done, len(shown))
    return survey


def values_keys(items: Iterable[tuple[str, Item]]) -> list[str]:
    """What the values of items are counted by, with their domains: `A` and `B`.

    Of several inputs, each is counted by itself: `A:dapi`.
    """
    keys = dict.fromkeys(key for domains, item in items for key in _keys(domains, item))
    return [*keys, *(side for side in "AB" if not any(key[0] == side for key in keys))]


def _keys(domains: str, item: Item) -> list[str]:
    """The key of each of the item's images."""
    sources = (item.A, item.B) if isinstance(item, Pair) else (item,)
    return [
        f"{domain}:{file.input}" if file.input else domain
        for domain, source in zip(domains, sources, strict=True)
        for file in source.files
    ]


@dataclass(frozen=True)
class _ImageFacts:
    """The properties of a file's pictures that are kept, without their pixels."""

    size: HeightWidth
    sizes: Counter[HeightWidth]
    form: str
    values: FileStatistics

    @classmethod
    def of(cls, source: ImageSource, pictures: Iterable[Picture], held_out: Iterable[bool]) -> Self:
        sizes, values, form = Counter[HeightWidth](), FileStatistics(), ""
        for picture, apart in zip(pictures, held_out, strict=False):
            sizes[picture.size] += 1
            values.add(
                statistics_of(
                    picture,
                    str(source.path),
                    held_out=apart,
                    labels=source.labels,
                    declared=source.nodata,
                )
            )
            form = form or _format(picture)
        if source.facts and source.facts.decided:
            values.decided[source.facts.instead or ""] = Counter([source.facts.decided])
        return cls(next(iter(sizes)), sizes, form, values)


# By domain that has label maps, their classes; None: any.
_Labels = Mapping[str, Domain | None]


def _examine(
    domains: str, item: Item, apart: Collection[Item], labels: _Labels
) -> tuple[list[_ImageFacts], list[Problem]]:
    """The properties of an item's images, and a problem if there is one."""
    with TURNS.at(item):
        held_out = [sample in apart for sample in item.samples()]
        return _examined(item, _read_as(domains, item, labels), held_out)


def _read_as(domains: str, item: Item, labels: _Labels) -> Item:
    """The item with its label maps read as such."""

    def read_as(source: ImageSource, side: str) -> ImageSource:
        if side not in labels:
            return source
        return replace(source, domain=labels[side], labels=True)

    if isinstance(item, Pair):
        return replace(item, A=read_as(item.A, "A"), B=read_as(item.B, "B"))
    return read_as(item, domains)


def _examined(
    item: Item, reading: Item, held_out: Sequence[bool]
) -> tuple[list[_ImageFacts], list[Problem]]:
    looks: list[_ImageFacts] = []
    problems: list[Problem] = []
    for source in reading.files:
        try:
            if isinstance(reading, Pair) and reading.A.path == reading.B.path:  # holds both images
                both = reading.A, reading.B
                if reading.A.slice is None:
                    halves = [[each] for each in reading.read()]
                else:
                    halves = [[*each.pictures()] for each in both]
                looks += [
                    _ImageFacts.of(each, pictures, held_out)
                    for each, pictures in zip(both, halves, strict=True)
                ]
            else:
                looks.append(_ImageFacts.of(source, source.pictures(), held_out))
        except ImageError as error:
            problems.append(Problem("unreadable", str(source.path), str(error), item))
    if len(looks) > 1 and not problems and item.unequal == "refuse":
        for source, look in zip(item.files[1:], looks[1:], strict=False):
            if not same_shape(looks[0].size, look.size):
                sizes = [f"{width} x {height}" for height, width in (looks[0].size, look.size)]
                first = f"{item.files[0].path} has {sizes[0]} pixels"
                message = f"{first}, {source.path} has {sizes[1]}"
                problems.append(Problem("size", item.name, message, item))
                break
    return looks, problems


def _format(picture: Picture) -> str:
    dtype = picture.pixels.dtype
    bits = f"{8 * dtype.itemsize}-bit" if dtype.kind == "u" else dtype.name
    return bits if picture.alpha is None else f"{bits} with alpha"
