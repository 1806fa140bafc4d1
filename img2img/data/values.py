"""The channels and values of the files of each domain, and their range for the networks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast, get_args

from img2img.config import DataConfig, SideConfig
from img2img.data.histogram import Histogram, histograms, together
from img2img.data.labels import Labels, as_table, label_facts, label_notices
from img2img.data.labels import found as label_domain
from img2img.data.sources import ImageSource
from img2img.errors import ConfigError, DataError
from img2img.images import (
    RGB,
    Depth,
    Domain,
    Number,
    Picture,
    View,
    channel_names,
    is_grey,
    type_range,
)
from img2img.images.display import STRETCH, shown_as, viewed, with_views

# Depths that files of 16 bits hold values of.
_DEPTHS = (8, 10, 12, 14, 16)
# Of a range, what is too little to be used.
SMALL = 0.25
# Room below and above values that do not begin at 0, as a part of what they span: images to come
# may be a little darker or lighter.
_ROOM = 0.05
# What is left out of the darkest and lightest values where it is asked whether most are few.
_TAIL = 0.001
# Values that span so many times what nearly all of them span are held for outliers.
_OUTLIERS = 2.0

# A histogram for each channel.
Counts = list[Histogram]


@dataclass
class Values:
    """The values in the files of one domain.

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

    def add(self, file: "Values") -> None:
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
        self.example = file.example | self.example
        self.labels.add(file.labels)
        for mine, theirs in (self.trained, file.trained), (self.held_out, file.held_out):
            for dtype, counts in theirs.items():
                mine[dtype] = _added(mine.get(dtype, []), counts)

    def ordered(self, names: tuple[str, ...]) -> "Values":
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


def values_of(
    picture: Picture, path: str = "", *, held_out: bool = False, labels: bool = False
) -> Values:
    """What one file holds.

    Args:
        labels: whether it is a label map.

    Raises:
        ImageError: it should be a label map, but is none.
    """
    if labels:
        return Values(Counter(["uint8"]), Counter([1]), labels=Labels.of(picture, path))
    dtype = cast(Depth, picture.pixels.dtype.name)
    count = picture.pixels.shape[2]
    counts = {dtype: histograms(picture)}
    return Values(
        Counter([dtype]),
        Counter([count]),
        picture.channels,
        picture.alpha is not None,
        count == len(RGB) and is_grey(picture),
        {dtype: path, str(count): path},
        trained={} if held_out else counts,
        held_out=counts if held_out else {},
    )


def resolve_domains(data: DataConfig, values: Mapping[str, Values]) -> dict[str, Domain]:
    """The channels of the files of each domain and the range of their values.

    The channels are those of the files; if some files are grey and others in colour, all are read
    as RGB.

    For 8-bit files the range `auto` is the whole range of the type. For uint16 it is the range of
    the smallest depth (8, 10, 12, 14 or 16 bits) that holds all training values. So no training
    value is clipped, and later images may be as bright as the sensor allows. If the values start
    above 0 and use less than a quarter of that range, and for all other types, it is their span
    plus 5 % on both sides. Outliers do not count: if the span of all values is more than twice that
    of the central 99.8 %, the latter is taken.

    Args:
        values: by domain; 8-bit files among 16-bit ones keep the range of their own type.

    Raises:
        ConfigError: a range exceeds that of the files' type or contains none of their values, or
            the files do not have the channels asked for.
        DataError: the files differ in type or in channels.
    """
    domains: dict[str, Domain] = {}
    for side in dict.fromkeys(key[0] for key in values):
        wanted: SideConfig = getattr(data, side)
        inputs = {key[2:]: known for key, known in values.items() if key.startswith(f"{side}:")}
        if wanted.neighbours and wanted.is_labels:
            raise ConfigError(f"data.{side}.neighbours: label maps have none")
        if inputs and wanted.is_labels:
            raise ConfigError(f"data.{side}: label maps cannot be one of several inputs")
        if inputs:
            wishes = _of_inputs(wanted, inputs, f"data.{side}")
            each = {
                name: _sliced(_domain(wishes[name], known, f"data.{side}"), wanted)
                for name, known in inputs.items()
            }
            both = Domain.beside(each)
            if wanted.show != "auto":
                both = with_views({side: both}, [wanted.show])[side]
            domains[side] = both
        else:
            domains[side] = _sliced(_domain(wanted, values[side], f"data.{side}"), wanted)
    return domains


def _sliced(domain: Domain, wanted: SideConfig) -> Domain:
    sliced = domain.model_copy(update={"axis": wanted.axis})
    return sliced.with_neighbours(wanted.neighbours) if wanted.neighbours else sliced


def _of_inputs(wanted: SideConfig, inputs: Mapping[str, Values], key: str) -> dict[str, SideConfig]:
    """What is wanted of each input: its own of channels that begin with its name, else all.

    Ranges by channel are of the channels of all inputs, one after the other.
    """
    wishes: dict[str, SideConfig] = {}
    named = wanted.channels if isinstance(wanted.channels, tuple) else ()
    ranges = [*wanted.range] if isinstance(wanted.range, tuple) and named else []
    if astray := [name for name in named if name.partition(":")[0] not in inputs]:
        raise ConfigError(
            f"{key}.channels: {astray[0]} is of none of the inputs; their channels begin with"
            f" {', '.join(f'{name}:' for name in inputs)}"
        )
    for name in inputs:
        own = tuple(n.partition(":")[2] for n in named if n.partition(":")[0] == name)
        changes: dict[str, object] = {"show": "auto"} | ({"channels": own} if own else {})
        if ranges and isinstance(ranges[0], tuple):
            changes["range"], ranges = tuple(ranges[: len(own)]), ranges[len(own) :]
        wishes[name] = wanted.model_copy(update=changes)
    return wishes


def channels_of(domains: Mapping[str, Domain]) -> set[int]:
    """How many channels the images of these domains have; label maps have none that blend."""
    return {len(each.channels) for each in domains.values() if each.kind == "image"}


def channels_colored(data: DataConfig, domains: Mapping[str, Domain]) -> set[int]:
    """How many channels those images have whose colours augmentation changes."""
    given, inputs_only = data.direction[0], data.augment.color_on == "input"
    return channels_of({given: domains[given]} if inputs_only else domains)


def domain_of(
    sources: Sequence[ImageSource], wanted: SideConfig | None = None, range_key: str = ""
) -> Domain:
    """The same for images that are not trained on; if they are 8-bit, only the first is decoded.

    Args:
        wanted: the channels and the range, as in `data.A`; None: found from the files.
        range_key: the name of the range in errors.

    Raises:
        ConfigError: the range exceeds that of the files' type.
        ImageError: a file cannot be decoded.
    """
    values = Values()
    for source in sources:
        values.add(values_of(source.read(), str(source.path)))
        if values.dtype == "uint8":
            break
    return _domain(wanted or SideConfig(), values, "data", range_key)


def as_config(domain: Domain) -> SideConfig:
    """The section `data.A` or `data.B` that gives the domain again."""
    if domain.classes:
        return as_table(domain)
    first = next(iter(domain.by_input.values()))
    if domain.inputs:
        alone = Domain.beside({name: each.alone for name, each in domain.by_input.items()})
    else:
        alone = domain.alone
    each = tuple(zip(alone.low, alone.high, strict=True))
    one_range = len({*each}) == 1 and not domain.inputs
    names, shown = alone.channels, domain.view if domain.inputs else alone.view
    return SideConfig(
        channels=len(names) if names == channel_names(len(names)) else names,
        range="dtype" if alone.whole else each[0] if one_range else each,
        nodata=first.nodata,
        axis=first.axis,
        neighbours=first.neighbours,
        show="auto" if shown is None else shown_as(shown),
    )


def _domain(wanted: SideConfig, values: Values, key: str, range_key: str = "") -> Domain:
    if wanted.is_labels:
        return label_domain(wanted, values.labels, key)
    range_key = range_key or f"{key}.range"
    if len(values.files) > 1 and not {*values.files} <= {"uint8", "uint16"}:
        one, other = sorted(values.files)[:2]
        raise DataError(
            f"{key}: {values.example[one]} holds {one}, but {values.example[other]} {other}; all"
            " images of a domain need the same type"
        )
    names = _channels(wanted, values, key)
    if {*names} <= {*(values.names or ())}:
        values = values.ordered(names)
    counts = _with_data(values.counts, wanted.nodata)
    alpha = len(names) > max(values.channels, default=len(names))
    each = counts if wanted.per_channel and len(counts) > 1 else [together(counts)]
    found = [_ends(wanted.range, histogram, values.dtype, range_key) for histogram in each]
    if isinstance(wanted.range, tuple) and isinstance(wanted.range[0], tuple):
        found = [*wanted.range]
    if len(found) == 1:
        found *= len(names) - alpha
    if alpha and len(found) < len(names):
        found.append(type_range(values.dtype))
    if len(found) != len(names):
        raise ConfigError(f"{range_key}: {len(found)} ranges, but {len(names)} channels")
    low, high = zip(*found, strict=True)
    domain = Domain(dtype=values.dtype, channels=names, low=low, high=high, nodata=wanted.nodata)
    try:
        view = _view(domain, wanted.show, counts)
    except ValueError as error:
        raise ConfigError(f"{key}.show: {error}") from None
    return domain.model_copy(update={"view": view})


def _view(domain: Domain, show: str, counts: Counts) -> View | None:
    """How images of a domain are shown; None: over their whole range, as 8-bit RGB is."""
    plain = domain.is_rgb or (domain.dtype == "uint8" and len(domain.channels) == 1)
    if show == "auto" and plain:
        return None
    base = View()
    if not (domain.is_rgb or domain.dtype == "uint8") and len(counts) == len(domain.channels):
        ends = zip(counts, domain.low, domain.high, strict=True)
        low, high = zip(*(_stretch(*each) for each in ends), strict=True)
        base = View(low=low, high=high)
    return viewed("" if show == "auto" else show, domain.channels, base)


def _stretch(values: Histogram, low: Number, high: Number) -> tuple[float, float]:
    """The network's numbers for the percentiles that are shown black and white."""
    black, white = (
        round(2 * (values.percentile(percent) - low) / (high - low) - 1, 4) for percent in STRETCH
    )
    return (black, white) if black < white else (-1.0, 1.0)


def _channels(wanted: SideConfig, values: Values, key: str) -> tuple[str, ...]:
    """The names of the channels that are used.

    Raises:
        ConfigError: the files do not have them.
        DataError: files differ in their channels, other than by being grey or in colour.
    """
    there = {*values.channels} or {len(RGB)}
    if len(there) > 1 and there != {1, len(RGB)}:
        few, many = min(there), max(there)
        one, other = (values.example[str(count)] for count in (few, many))
        raise DataError(
            f"{key}.channels: {one} has {few}, but {other} has {many}; all images of a domain need"
            " the same channels"
        )
    count = max(there)
    names = values.names or channel_names(count)
    asked = wanted.channels
    if asked == "auto":
        return names
    if not isinstance(asked, int) and values.names and {*asked} <= {*values.names}:
        return asked
    number = asked if isinstance(asked, int) else len(asked)
    grey = number == 1 and count == len(RGB) and values.grey == values.channels[count]
    if number == count or (number == len(RGB) and count == 1) or grey:
        own = names if number == count else channel_names(number)
        return own if isinstance(asked, int) else asked
    if number == count + 1 and values.alpha and count in {1, len(RGB)}:
        return (*names, "alpha")
    have = f"{count} channel{'s' if count > 1 else ''}"
    called = f" ({', '.join(values.names)})" if values.names else ""
    wish = str(asked) if isinstance(asked, int) else ", ".join(asked)
    raise ConfigError(f"{key}.channels: {wish}, but the files have {have}{called}")


def _with_data(counts: Counts, nodata: Number | None) -> Counts:
    """The counts without those of the value that pixels without data have."""
    return counts if nodata is None else [histogram.without(nodata) for histogram in counts]


def _ends(wanted: object, values: Histogram, dtype: Depth, key: str) -> tuple[Number, Number]:
    """The range of values that become -1 to 1."""
    least, most = type_range(dtype)
    match wanted:
        case (int() | float() as low, int() | float() as high):
            real = dtype.startswith("float")
            if not real and not least <= low < high <= most:
                outside = high if high > most else low
                raise ConfigError(
                    f"{key}: {outside} is outside the range of {dtype} files ({least}..{most})"
                )
            if values.total and values.outside(low, high) == values.total:
                raise ConfigError(
                    f"{key}: no value is within {low}..{high}: the files have"
                    f" {values.least:.6g}..{values.most:.6g}"
                )
            return low, high
        case {"percentiles": (low, high)}:
            return _spanning(dtype, values.percentile(low), values.percentile(high))
        case "auto" if dtype not in {"uint8", "int8"}:
            return _used(values, dtype)
    return least, most


def _used(values: Histogram, dtype: Depth) -> tuple[Number, Number]:
    low, high = values.least, values.most
    if dtype == "uint16":
        bits = next(bits for bits in _DEPTHS if high < 1 << bits)
        if not (0 < high - low < SMALL * (1 << bits) and low > 0):
            return 0, (1 << bits) - 1
    else:
        inner = values.percentile(100 * _TAIL), values.percentile(100 * (1 - _TAIL))
        if 0 < _OUTLIERS * (inner[1] - inner[0]) < high - low:
            low, high = inner
    room = _ROOM * (high - low)
    if not dtype.startswith("float"):
        room = round(room) + 1
    return _spanning(dtype, low - room, high + room)


def _spanning(dtype: Depth, low: float, high: float) -> tuple[Number, Number]:
    """The range from one value to another, within the type, with at least two values."""
    if dtype.startswith("float"):
        digits = f"{low:.6g}", f"{high:.6g}"
        low, high = map(float, digits)
        return low, high if high > low else low + 1
    least, most = type_range(dtype)
    low = min(max(round(low), least), most - 1)
    return low, min(max(round(high), low + 1), most)


def _each(domains: Mapping[str, Domain]) -> dict[str, Domain]:
    """Domains of files, without neighbours: those of several inputs with their names."""
    return {
        f"{side}:{name}" if name else side: each.alone
        for side, domain in domains.items()
        for name, each in domain.by_input.items()
    }


def value_facts(domains: Mapping[str, Domain], values: Mapping[str, Values]) -> str:
    """A text such as `A: 5 channels, uint16, values 7..4071, scaled by 0..4095 (12 bits)`."""
    facts: dict[str, list[str]] = {}
    for side, domain in _each(domains).items():
        known = values.get(side)
        if known is None or not known.files:
            continue
        fact = "" if domain.is_rgb else f"{domain.counted}, "
        fact += domain.dtype
        if domain.classes:
            fact = label_facts(domain, known.labels)
        elif domain.dtype not in {"uint8", "int8"} or not domain.whole:
            every = together(_with_data(known.counts, domain.nodata))
            fact += f" values {every.least:.6g}..{every.most:.6g}, scaled by {domain.range}"
        facts.setdefault(fact, []).append(side)
    return "; ".join(f"{' and '.join(sides)}: {fact}" for fact, sides in facts.items())


def value_notices(domains: Mapping[str, Domain], values: Mapping[str, Values]) -> Iterator[str]:
    """Notices on the values for the user before training."""
    for side, domain in _each(domains).items():
        if side not in values:
            continue
        known, key = values[side], f"data.{side[0]}.range"
        if domain.classes:
            yield from label_notices(side, domain, known.labels)
            continue
        if len(known.files) > 1:
            yield (
                f"{side} has 8-bit files ({known.files['uint8']}), scaled by 0..255, and 16-bit"
                f" files ({known.files['uint16']}), scaled by {domain.extent}"
            )
        if domain.is_rgb and known.grey and known.grey == known.files.total():
            yield (
                f"{side} is grey, saved as RGB: `data.{side}.channels=1` trains on one channel"
                " instead of three equal ones"
            )
        every = together(_with_data(known.counts, domain.nodata))
        low, high = (every.percentile(100 * p) for p in (_TAIL, 1 - _TAIL))
        span = domain.ends[1] - domain.ends[0]
        if 0 < high - low < SMALL * span:
            yield (
                f"{side} uses little of its range: nearly all values are {low:.6g}..{high:.6g},"
                f" scaled by {domain.extent}; `{key}={_advice(domain, every)}` uses the full range"
            )
        if not domain.clip:
            continue
        for counts, what in ((known.trained, "to train on"), (known.held_out, "held out")):
            outside, total = _outside(
                _with_data(counts.get(domain.dtype, []), domain.nodata), domain
            )
            if outside:
                yield (
                    f"{side}: {100 * outside / total:.2g} % of the values {what} are outside"
                    f" {domain.extent} and become black or white ({key})"
                )


def _advice(domain: Domain, values: Histogram) -> str:
    """The range to propose instead of one of which little is used."""
    if domain.dtype not in {"uint8", "int8"}:
        low, high = _used(values, domain.dtype)
        if high - low < domain.ends[1] - domain.ends[0]:
            return "auto"
    return "{percentiles: [0.1, 99.9]}"


def _outside(counts: Counts, domain: Domain) -> tuple[int, int]:
    """How many values are outside a range, and how many there are in total."""
    total = sum(histogram.total for histogram in counts)
    if len(counts) != len(domain.channels):
        return sum(histogram.outside(*domain.ends) for histogram in counts), total
    ends = zip(counts, domain.low, domain.high, strict=True)
    return sum(histogram.outside(low, high) for histogram, low, high in ends), total
