"""What the files of a domain hold: their types, their channels, and how often each value occurs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast, get_args

import numpy as np

from img2img.data.histogram import Histogram, histograms, together
from img2img.data.labels import Labels
from img2img.errors import ImageError, counted
from img2img.images import (
    RGB,
    Depth,
    Header,
    Number,
    Packing,
    Picture,
    fits,
    is_grey,
    type_range,
)

# A histogram for each channel.
Counts = list[Histogram]


@dataclass
class FileStatistics:
    """What the files of one domain hold.

    Attributes:
        files: number of files by type.
        channels: number of files by their count of channels, without alpha.
        names: those of the channels, where all files have the same; else None.
        alpha: number of files with transparency.
        grey: number of files in colour whose channels are all equal.
        example: a file for each type, and for each count of channels.
        trained: by type, how often each value occurs in the training images.
        held_out: the same of those that are held out.
        labels: of label maps, the classes; they have no values.
        decided: number of files by what they do not say themselves (see `FileFacts.decided`), by
            what their pages can be said to be instead.
        gaps: number of files with pixels that hold no data.
        nodata: number of files by the value that they name for pixels without data; without one
            the key is empty.
        packings: number of files by how they store their values, as JSON; likewise.
        declared: number of files with the value for no data that the configuration declares.
        flat: number of images that look like label maps; their colours are in `labels`.
        flat_colours: the number of colours of each of these, added up.
    """

    files: Counter[Depth] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    names: tuple[str, ...] | None = None
    alpha: int = 0
    grey: int = 0
    example: dict[str, str] = field(default_factory=dict)
    trained: dict[Depth, Counts] = field(default_factory=dict)
    held_out: dict[Depth, Counts] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    decided: dict[str, Counter[str]] = field(default_factory=dict)
    gaps: int = 0
    nodata: Counter[str] = field(default_factory=Counter)
    packings: Counter[str] = field(default_factory=Counter)
    declared: int = 0
    flat: int = 0
    flat_colours: int = 0

    def add(self, file: "FileStatistics") -> None:
        """Add all files of another object."""
        if not self.files:
            self.names = file.names
        elif self.names and {*self.names} == {*(file.names or ())}:
            file = file.ordered(self.names)
        else:
            self.names = None
        for name in "files", "channels", "nodata", "packings":
            getattr(self, name).update(getattr(file, name))
        for name in "alpha", "grey", "gaps", "declared", "flat", "flat_colours":
            setattr(self, name, getattr(self, name) + getattr(file, name))
        self.example = file.example | self.example
        self.labels.add(file.labels)
        for instead, files in file.decided.items():
            self.decided.setdefault(instead, Counter()).update(files)
        for mine, theirs in (self.trained, file.trained), (self.held_out, file.held_out):
            for dtype, counts in theirs.items():
                mine[dtype] = _added(mine.get(dtype, []), counts)

    def ordered(self, names: tuple[str, ...]) -> "FileStatistics":
        """The same with the channels of these names, in this order."""
        if not self.names or names == self.names:
            return self
        chosen = [self.names.index(name) for name in names]
        trained, held_out = (
            {dtype: [counts[index] for index in chosen] for dtype, counts in part.items()}
            for part in (self.trained, self.held_out)
        )
        packings = Counter(
            {
                text and Packing.model_validate_json(text).chosen(chosen).model_dump_json(): count
                for text, count in self.packings.items()
            }
        )
        return replace(self, names=names, trained=trained, held_out=held_out, packings=packings)

    @property
    def dtype(self) -> Depth:
        """The type of the files; of several, the one that has the most values."""
        return max(self.files, key=_BY_SIZE.index, default="uint8")

    @property
    def counts(self) -> Counts:
        """How often each value of that type occurs in training images, else in held-out ones."""
        return self.trained.get(self.dtype, self.held_out.get(self.dtype, []))

    @property
    def nodata_named(self) -> Number | None:
        """The value for pixels without data that all files name; None: there is no such."""
        named = [*self.nodata]
        if len(named) != 1 or not named[0]:
            return None
        value = float(named[0])
        return value if self.dtype.startswith("float") else int(value)

    @property
    def packing(self) -> Packing | None:
        """How all files store their values; None: as they are, or not all alike."""
        texts = [*self.packings]
        return Packing.model_validate_json(texts[0]) if len(texts) == 1 and texts[0] else None


_BY_SIZE = sorted(
    get_args(Depth), key=lambda dtype: (dtype.startswith("float"), *reversed(type_range(dtype)))
)


def _added(mine: Counts, theirs: Counts) -> Counts:
    if len(mine) != len(theirs) and mine and theirs:  # grey files among those in colour
        return [together([*mine, *theirs])]
    return [a + b for a, b in zip(mine, theirs, strict=True)] if mine and theirs else mine or theirs


def statistics_of(
    picture: Picture,
    path: str = "",
    *,
    held_out: bool = False,
    labels: bool = False,
    declared: Number | None = None,
) -> FileStatistics:
    """What one file holds.

    Args:
        labels: whether it is a label map.
        declared: the value of pixels without data by the configuration.

    Raises:
        ImageError: it should be a label map, but is none; or its values are of 64 bits.
    """
    if labels:
        return FileStatistics(Counter(["uint8"]), Counter([1]), labels=Labels.of(picture, path))
    dtype = cast(Depth, picture.pixels.dtype.name)
    if dtype not in get_args(Depth):
        raise ImageError.of(
            Path(path), f"values of {dtype} are not supported: save them as int32 or float64"
        )
    count = picture.pixels.shape[2]
    counts = {dtype: histograms(picture)}
    header = picture.header or Header()
    named, nodata = header.nodata, ""
    if named is not None and np.isfinite(named) and fits(named, picture.pixels.dtype):
        nodata = f"{named:.17g}"
    packing = header.packing.model_dump_json() if header.packing else ""
    held = declared is not None and (
        named == declared or bool((picture.pixels == declared).all(axis=2).any())
    )
    look = Labels.look_of(picture, path)
    return FileStatistics(
        Counter([dtype]),
        Counter([count]),
        picture.channels,
        picture.alpha is not None,
        count == len(RGB) and is_grey(picture),
        {dtype: path, str(count): path, f"nodata {nodata}": path, f"packing {packing}": path},
        nodata=Counter([nodata]),
        packings=Counter([packing]),
        declared=held,
        trained={} if held_out else counts,
        held_out=counts if held_out else {},
        gaps=int(picture.valid is not None),
        labels=look or Labels(),
        flat=int(look is not None),
        flat_colours=0 if look is None else len(look.colours),
    )


def decided(known: FileStatistics, key: str) -> Iterator[str]:
    """What files do not say of their pages: how most were read, and how to decide otherwise."""
    for instead, files in known.decided.items():
        what, count = files.most_common(1)[0]
        others = files.total() - count
        of_files = f" in {counted(count, 'file')}" if count > 1 or others else ""
        alike = f", {others} alike" if others else ""
        advice = f"; `{key}.pages={instead}` reads them as {instead}" if instead else ""
        yield f"{what}{of_files}{alike}{advice}"


def with_data(counts: Counts, nodata: Number | None) -> Counts:
    """The counts without those of the value that pixels without data have."""
    return counts if nodata is None else [histogram.without(nodata) for histogram in counts]
