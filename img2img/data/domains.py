"""The domain of images in a folder: their channels, and the range of values for the networks."""

from collections.abc import Mapping, Sequence

from img2img.config import DataConfig, SideConfig
from img2img.data.histogram import Histogram, together
from img2img.data.labels import as_table
from img2img.data.labels import found as label_domain
from img2img.data.sources import ImageSource
from img2img.data.statistics import Counts, FileStatistics, decided, statistics_of, with_data
from img2img.errors import ConfigError, DataError
from img2img.images import (
    MOST_CHANNELS,
    RGB,
    Depth,
    Domain,
    Number,
    View,
    channel_names,
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
TAIL = 0.001
# FileStatistics that span so many times what nearly all of them span are held for outliers.
_OUTLIERS = 2.0


def resolve_domains(data: DataConfig, values: Mapping[str, FileStatistics]) -> dict[str, Domain]:
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
    sliced = domain.model_copy(update={"axis": wanted.axis, "pages": wanted.pages})
    return sliced.with_neighbours(wanted.neighbours) if wanted.neighbours else sliced


def _of_inputs(
    wanted: SideConfig, inputs: Mapping[str, FileStatistics], key: str
) -> dict[str, SideConfig]:
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
    values = FileStatistics()
    for source in sources:
        values.add(statistics_of(source.read(), str(source.path)))
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
        pages=first.pages,
        axis=first.axis,
        neighbours=first.neighbours,
        show="auto" if shown is None else shown_as(shown),
    )


def _domain(wanted: SideConfig, values: FileStatistics, key: str, range_key: str = "") -> Domain:
    if wanted.is_labels:
        labels = label_domain(wanted, values.labels, key)
        return labels if wanted.instances is None else labels.with_instances()
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
    nodata = values.nodata_named if wanted.nodata is None else wanted.nodata
    counts = with_data(values.counts, nodata)
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
    if len(names) > MOST_CHANNELS:
        raise ConfigError(
            f"{key}.channels: the files have {len(names)}, but 1 to {MOST_CHANNELS} are supported"
        )
    low, high = zip(*found, strict=True)
    packing = values.packing
    if packing and (packing.values_dtype, len(packing.scales)) != (values.dtype, len(names)):
        packing = None
    domain = Domain(
        dtype=values.dtype,
        channels=names,
        low=low,
        high=high,
        nodata=nodata,
        packing=packing,
    )
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


def _channels(wanted: SideConfig, values: FileStatistics, key: str) -> tuple[str, ...]:
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
    if not values.channels:  # no file could be used, which is reported
        return channel_names(asked) if isinstance(asked, int) else asked
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
    pages = "".join(f": {each}" for each in decided(values, key))
    raise ConfigError(f"{key}.channels: {wish}, but the files have {have}{called}{pages}")


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
            return used_range(values, dtype)
    return least, most


def used_range(values: Histogram, dtype: Depth) -> tuple[Number, Number]:
    """The range `auto` of files that are not of 8 bits; see `resolve_domains`."""
    low, high = values.least, values.most
    if dtype == "uint16":
        bits = next(bits for bits in _DEPTHS if high < 1 << bits)
        if not (0 < high - low < SMALL * (1 << bits) and low > 0):
            return 0, (1 << bits) - 1
    else:
        inner = values.percentile(100 * TAIL), values.percentile(100 * (1 - TAIL))
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
