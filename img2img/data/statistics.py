"""What the files of a domain hold: their types, their channels, and how often each value occurs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast, get_args

from img2img.data.histogram import Histogram, histograms, together
from img2img.data.labels import Labels
from img2img.errors import counted
from img2img.images import RGB, Depth, Number, Picture, is_grey, type_range

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

    def add(self, file: "FileStatistics") -> None:
        """Add all files of another object."""
        if not self.files:
            self.names = file.names
        elif self.names and {*self.names} == {*(file.names or ())}:
            file = file.ordered(self.names)
        else:
            self.names = None
        for name in "files", "channels":
            getattr(self, name).update(getattr(file, name))
        self.alpha += file.alpha
        self.grey += file.grey
        self.gaps += file.gaps
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
        return replace(self, names=names, trained=trained, held_out=held_out)

    @property
    def dtype(self) -> Depth:
        """The type of the files; of several, the one that has the most values."""
        return max(self.files, key=_BY_SIZE.index, default="uint8")

    @property
    def counts(self) -> Counts:
        """How often each value of that type occurs in training images, else in held-out ones."""
        return self.trained.get(self.dtype, self.held_out.get(self.dtype, []))


_BY_SIZE = sorted(
    get_args(Depth), key=lambda dtype: (dtype.startswith("float"), *reversed(type_range(dtype)))
)


def _added(mine: Counts, theirs: Counts) -> Counts:
    if len(mine) != len(theirs) and mine and theirs:  # grey files among those in colour
        return [together([*mine, *theirs])]
    return [a + b for a, b in zip(mine, theirs, strict=True)] if mine and theirs else mine or theirs


def statistics_of(
    picture: Picture, path: str = "", *, held_out: bool = False, labels: bool = False
) -> FileStatistics:
    """What one file holds.

    Args:
        labels: whether it is a label map.

    Raises:
        ImageError: it should be a label map, but is none.
    """
    if labels:
        return FileStatistics(Counter(["uint8"]), Counter([1]), labels=Labels.of(picture, path))
    dtype = cast(Depth, picture.pixels.dtype.name)
    count = picture.pixels.shape[2]
    counts = {dtype: histograms(picture)}
    return FileStatistics(
        Counter([dtype]),
        Counter([count]),
        picture.channels,
        picture.alpha is not None,
        count == len(RGB) and is_grey(picture),
        {dtype: path, str(count): path},
        trained={} if held_out else counts,
        held_out=counts if held_out else {},
        gaps=int(picture.valid is not None),
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
