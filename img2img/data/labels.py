"""Which classes the label maps of a domain have."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from img2img.config import SideConfig
from img2img.config.classes import MOST_CLASSES
from img2img.errors import DataError, ImageError, some_names
from img2img.images import (
    ClassNumbers,
    Domain,
    Picture,
    codes_of,
    hexadecimal,
    packed,
    unpacked,
)

WHITE = 0x010101
# Classes named in a line.
_LISTED = 12
# Of all pixels, a share below which a colour is hardly a class.
_RARE = 1e-4
# What looks like a label map: pairs of rows looked at, share of equal neighbours, share of a colour
# that is in areas, and share of the colours for which that holds.
_ROW_PAIRS = 128
_FLAT, _WIDE, _MANY = 0.85, 0.5, 0.75


@dataclass
class Labels:
    """How many pixels each class has in the files of one domain.

    Attributes:
        indexes: by index.
        colours: by colour as 0xRRGGBB, in files that have no indexes.
        palette: the colour of each index, in files that have a palette.
        differing: two files that have another colour for the same index.
        example: a file with indexes, and one with colours.
        numbers: whether `indexes` are the numbers of classes that the configuration lists.
    """

    indexes: Counter[int] = field(default_factory=Counter)
    colours: Counter[int] = field(default_factory=Counter)
    palette: dict[int, int] = field(default_factory=dict)
    differing: tuple[str, ...] = ()
    example: dict[str, str] = field(default_factory=dict)
    numbers: bool = False

    @classmethod
    def of(cls, picture: Picture, path: str) -> "Labels":
        """Those in one file.

        Raises:
            ImageError: it is no label map.
        """
        codes, coloured = codes_of(picture)
        seen = picture.valid
        if picture.alpha is not None:
            seen = picture.alpha > 0 if seen is None else seen & (picture.alpha > 0)
        found, pixels = np.unique(codes if seen is None else codes[seen], return_counts=True)
        if len(found) > MOST_CLASSES:
            what = "colours" if coloured else "values"
            raise ImageError.of(
                Path(path),
                f"{len(found)} {what}, but label maps have at most {MOST_CLASSES} classes (no"
                " smoothed edges, and no JPEG)",
            )
        counts = Counter(dict(zip(found.tolist(), pixels.tolist(), strict=True)))
        if coloured:
            return cls(colours=counts, example={"colours": path})
        numbers = isinstance(picture.colours, ClassNumbers)
        known = dict(enumerate(picture.colours.palette)) if picture.colours else {}
        palette = {index: packed(known[index]) for index in counts if index in known}
        return cls(counts, palette=palette, example={"indexes": path}, numbers=numbers)

    @classmethod
    def look_of(cls, picture: Picture, path: str) -> "Labels | None":
        """The colours of a picture that looks like a label map; None: it looks like an image.

        A label map has few colours, and nearly all pixels are in areas of one. Of smoothed edges,
        most colours are in no area. Only some rows of a large picture are looked at.
        """
        pixels = picture.pixels
        height, width, bands = pixels.shape
        if pixels.dtype != np.uint8 or bands not in {1, 3} or picture.alpha is not None:
            return None
        pairs = np.arange(0, height - 1, max(2, height // _ROW_PAIRS))
        if not len(pairs) or width < 2:
            return None
        above, below = pixels[pairs], pixels[pairs + 1]
        if (above[:, 1:] == above[:, :-1]).all(2).mean() < _FLAT:
            return None
        codes = np.stack([codes_of(replace(picture, pixels=rows))[0] for rows in (above, below)])
        same = (codes[..., 1:] == codes[..., :-1]).all(0) & (codes[0] == codes[1])[:, 1:]
        colours, counts = np.unique(codes, return_counts=True)
        if len(colours) > MOST_CLASSES:
            return None
        in_areas, areas = np.unique(codes[0, :, 1:][same], return_counts=True)
        wide = areas > _WIDE * counts[np.searchsorted(colours, in_areas)] / 2
        if wide.sum() < _MANY * len(colours):
            return None
        return cls(colours=Counter(dict(zip(colours.tolist(), counts.tolist(), strict=True))))

    @property
    def coloured(self) -> bool:
        """Whether files hold colours; grey in three channels is taken for indexes."""
        return any(code % WHITE for code in self.colours)

    @property
    def counts(self) -> Counter[int]:
        """Pixels by index, or by colour where files hold colours."""
        if self.coloured:
            return self.colours
        return self.indexes + Counter({c & 255: n for c, n in self.colours.items()})

    def add(self, other: "Labels") -> None:
        """Those of other files, too."""
        self.indexes.update(other.indexes)
        self.colours.update(other.colours)
        clash = (i for i, color in other.palette.items() if self.palette.get(i, color) != color)
        if not self.differing and next(clash, None) is not None:
            self.differing = self.example["indexes"], other.example["indexes"]
        self.differing = self.differing or other.differing
        self.palette = other.palette | self.palette
        self.example = other.example | self.example
        self.numbers |= other.numbers


def declared(wanted: SideConfig) -> Domain | None:
    """The domain of label maps whose classes are given; None: they are found in the files."""
    if wanted.classes is None:
        return None
    table = wanted.classes
    indexes = tuple(each.index for each in table.values() if each.index is not None)
    palette = tuple(each.color for each in table.values() if each.color is not None)
    return _domain(
        tuple(table),
        indexes or None,
        palette if len(palette) == len(table) else None,
        wanted.ignore,
    )


def found(wanted: SideConfig, labels: Labels, key: str) -> Domain:
    """The domain of label maps with the classes that occur in the files.

    Raises:
        DataError: files differ in what they hold, or there are too many classes.
    """
    if domain := declared(wanted):
        return _with_colours(domain, labels)
    classes = f"list the classes in `{key}.classes`"
    if labels.indexes and labels.coloured:
        one, other = labels.example["indexes"], labels.example["colours"]
        raise DataError(f"{key}: {one} holds indexes, but {other} colours; {classes}")
    if labels.differing:
        one, other = labels.differing
        raise DataError(
            f"{key}: {one} and {other} have different colours for the same index; {classes}, with"
            " their colours"
        )
    ignored, coloured = wanted.ignore, labels.coloured
    ignored_code = packed(ignored) if isinstance(ignored, tuple) else ignored
    codes = [code for code in sorted(labels.counts) if code != ignored_code]
    if not 1 <= len(codes) <= MOST_CLASSES:
        raise DataError(
            f"{key}: {len(codes)} classes occur in the files, but 1 to {MOST_CLASSES} are"
            f" supported; {classes}"
        )
    if coloured:
        colours = tuple(map(unpacked, codes))
        return _domain(tuple(map(hexadecimal, colours)), None, colours, ignored)
    shown = {code: unpacked(labels.palette[code]) for code in codes if code in labels.palette}
    grey = all(color == (code,) * 3 for code, color in shown.items())
    palette = tuple(shown.values()) if len(shown) == len(codes) and not grey else None
    return _domain(tuple(map(str, codes)), tuple(codes), palette, ignored)


def _domain(
    names: tuple[str, ...],
    indexes: tuple[int, ...] | None,
    palette: tuple[tuple[int, int, int], ...] | None,
    ignore: int | tuple[int, int, int] | None,
) -> Domain:
    return Domain(
        kind="labels",
        dtype="uint8" if max(indexes or (0,)) < 256 else "uint16",
        channels=names,
        indexes=indexes,
        palette=palette,
        ignore=ignore,
    )


def _with_colours(domain: Domain, labels: Labels) -> Domain:
    """The domain with the palette of its files, if its classes have no colours."""
    colours = [unpacked(labels.palette.get(n, packed(c))) for n, c in enumerate(domain.table.shown)]
    grey = all(r == g == b for r, g, b in colours)
    if domain.palette is not None or labels.differing or grey:
        return domain
    own = colours != [*domain.table.shown]
    return domain.model_copy(update={"palette": tuple(colours)}) if own else domain


def as_table(domain: Domain) -> SideConfig:
    """The section that lists the classes of a domain."""
    codes = {
        "index": domain.indexes or (None,) * domain.classes,
        "color": domain.palette or (None,) * domain.classes,
    }
    classes = {
        name: {key: each[number] for key, each in codes.items() if each[number] is not None}
        for number, name in enumerate(domain.channels[: domain.classes])
    }
    return SideConfig.model_validate(
        {"kind": "labels", "classes": classes, "ignore": domain.ignore}
        | {"pages": domain.pages, "axis": domain.axis}
    )


def label_facts(domain: Domain, labels: Labels) -> str:
    """In words, such as `3 classes (sky 50 %, road 30 %, car 20 %)`."""
    shares = _shares(domain, labels)
    names = [f"{name} {100 * share:.2g} %" for name, share in shares.items()]
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    ignored = "" if domain.ignore is None else f", ignoring {_code(domain.ignore)}"
    instances = " with instances" if domain.instances else ""
    return f"label maps of {domain.classes} classes ({listed}){ignored}{instances}"


def label_notices(side: str, domain: Domain, labels: Labels) -> Iterator[str]:
    """Notices on the classes for the user before training."""
    shares = _shares(domain, labels)
    rare = [name for name, share in shares.items() if 0 < share < _RARE]
    absent = [name for name, share in shares.items() if not share]
    if rare and labels.coloured:
        yield (
            f"{side}: {len(rare)} of {domain.classes} colours cover less than 0.01 % of the pixels,"
            f" as smoothed edges do; if they are no classes, list those in `data.{side}.classes`"
        )
    if absent and len(absent) < domain.classes:
        yield f"{side}: classes that no pixel has: {some_names(absent)}"


def _shares(domain: Domain, labels: Labels) -> dict[str, float]:
    """The share of pixels of each class."""
    codes: Iterable[int] = domain.indexes or map(packed, domain.palette or ())
    pixels = [labels.counts[code] for code in (range(domain.classes) if labels.numbers else codes)]
    total = max(1, sum(pixels))
    names = domain.channels[: domain.classes]
    return {name: n / total for name, n in zip(names, pixels, strict=True)}


def _code(code: int | tuple[int, int, int]) -> str:
    return str(code) if isinstance(code, int) else hexadecimal(code)
