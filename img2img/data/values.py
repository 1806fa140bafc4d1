"""The values that the files of each domain use, and their range for the networks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from img2img.config import DataConfig
from img2img.config.data import Range
from img2img.data.sources import ImageSource
from img2img.errors import ConfigError
from img2img.images import Counts, Depth, Domain, Picture, count_values

# Depths that files of 16 bits hold values of.
_DEPTHS = (8, 10, 12, 14, 16)
# Of a range, what is too little to be used.
SMALL = 0.25
# Room below and above values that do not begin at 0, as a part of what they span: images to come
# may be a little darker or lighter.
_ROOM = 0.05
# What is left out of the darkest and lightest values where it is asked whether most are few.
_TAIL = 0.001


@dataclass
class Values:
    """The values in the files of one domain.

    Attributes:
        files: number of files by data type.
        trained: by data type, how often each value occurs in training images.
        held_out: the same for held-out images.
    """

    files: Counter[Depth] = field(default_factory=Counter)
    trained: dict[Depth, Counts] = field(default_factory=dict)
    held_out: dict[Depth, Counts] = field(default_factory=dict)

    def add(self, dtype: Depth, counts: Counts, *, held_out: bool) -> None:
        """Add a file."""
        self.files[dtype] += 1
        known = self.held_out if held_out else self.trained
        known[dtype] = known[dtype] + counts if dtype in known else counts

    def update(self, other: "Values") -> None:
        """Add all files of another object."""
        self.files.update(other.files)
        for mine, theirs in (self.trained, other.trained), (self.held_out, other.held_out):
            for dtype, counts in theirs.items():
                mine[dtype] = mine[dtype] + counts if dtype in mine else counts

    @property
    def dtype(self) -> Depth:
        """The type with the greatest depth."""
        return "uint16" if "uint16" in self.files else "uint8"

    @property
    def counts(self) -> Counts:
        """How often each value of that type occurs in training images, otherwise in held-out
        ones."""
        known = self.trained.get(self.dtype, self.held_out.get(self.dtype))
        return np.zeros(1, np.int64) if known is None else known


def values_of(picture: Picture) -> tuple[Depth, Counts]:
    """The data type of a picture, and how often each value occurs."""
    return ("uint8" if picture.pixels.dtype == np.uint8 else "uint16"), count_values(picture)


def resolve_domains(data: DataConfig, values: Mapping[str, Values]) -> dict[str, Domain]:
    """The values of black and white in the files of each domain, as `data.A.range` says.

    For 8-bit files `auto` is the whole range of the type. For 16-bit files it is the range of the
    smallest depth (8, 10, 12, 14 or 16 bits) that holds all training values. So no training value
    is clipped, and later images may be as bright as the sensor allows. If the values start above 0
    and use less than a quarter of that range, it is their span plus 5 % on both sides.

    Args:
        values: by domain; 8-bit files among deeper ones keep the range of their own type.

    Raises:
        ConfigError: a range exceeds that of the files' type.
    """
    return {
        side: _domain(getattr(data, side).range, known, f"data.{side}.range")
        for side, known in values.items()
    }


def domain_of(sources: Sequence[ImageSource], wanted: Range = "auto", key: str = "") -> Domain:
    """The same for images that are not trained on; if they are 8-bit, only the first is decoded.

    Args:
        wanted: the range, as in `data.A.range`.
        key: the name of the range in errors.

    Raises:
        ConfigError: the range exceeds that of the files' type.
        ImageError: a file cannot be decoded.
    """
    values = Values()
    for source in sources:
        values.add(*values_of(source.read()), held_out=False)
        if values.dtype == "uint8":
            break
    return _domain(wanted, values, key)


def _domain(wanted: object, values: Values, key: str) -> Domain:
    whole = Domain.of_type(values.dtype)
    match wanted:
        case (int(low), int(high)):
            most = whole.ends[1]
            if high > most:
                raise ConfigError(
                    f"{key}: {high} is outside the range of {values.dtype} files (0..{most})"
                )
            return Domain(dtype=values.dtype, low=low, high=high)
        case {"percentiles": (low, high)}:
            ends = _percentile(values.counts, low), _percentile(values.counts, high)
            return _spanning(values.dtype, *ends)
        case "auto" if values.dtype == "uint16":
            return _used(values.counts)
    return whole


def _used(counts: Counts) -> Domain:
    low, high = _extent(counts)
    bits = next(bits for bits in _DEPTHS if high < 1 << bits)
    if 0 < high - low < SMALL * (1 << bits) and low > 0:
        room = round(_ROOM * (high - low)) + 1
        return _spanning("uint16", low - room, high + room)
    return Domain(dtype="uint16", low=0, high=(1 << bits) - 1)


def _spanning(dtype: Depth, low: int, high: int) -> Domain:
    """The range from one value to another, within the type, with at least two values."""
    most = Domain.of_type(dtype).ends[1]
    low = min(max(low, 0), most - 1)
    return Domain(dtype=dtype, low=low, high=min(max(high, low + 1), most))


def _extent(counts: Counts) -> tuple[int, int]:
    """The smallest and the largest value; 0 if there are none."""
    there = np.flatnonzero(counts)
    return (int(there[0]), int(there[-1])) if len(there) else (0, 0)


def _percentile(counts: Counts, percent: float) -> int:
    """The smallest value that this percentage of all values does not exceed."""
    sums = counts.cumsum()
    return int(np.searchsorted(sums, percent / 100 * sums[-1])) if sums[-1] else 0


def value_facts(domains: Mapping[str, Domain], values: Mapping[str, Values]) -> str:
    """A text such as `A and B: uint16 values 7..4071, scaled by 0..4095 (12 bits)`."""
    facts: dict[str, list[str]] = {}
    for side, domain in domains.items():
        if not values[side].files:
            continue
        fact = str(domain.dtype)
        if domain.dtype == "uint16" or not domain.whole:
            low, high = _extent(values[side].counts)
            fact += f" values {low}..{high}, scaled by {domain.range}"
        facts.setdefault(fact, []).append(side)
    return "; ".join(f"{' and '.join(sides)}: {fact}" for fact, sides in facts.items())


def value_notices(domains: Mapping[str, Domain], values: Mapping[str, Values]) -> Iterator[str]:
    """Notices on the values for the user before training."""
    for side, domain in domains.items():
        known, key = values[side], f"data.{side}.range"
        if len(known.files) > 1:
            yield (
                f"{side} has 8-bit files ({known.files['uint8']}), scaled by 0..255, and 16-bit"
                f" files ({known.files['uint16']}), scaled by {domain.extent}"
            )
        low, high = (_percentile(known.counts, 100 * p) for p in (_TAIL, 1 - _TAIL))
        span = domain.ends[1] - domain.ends[0]
        if 0 < high - low < SMALL * span:
            yield (
                f"{side} uses little of its range: nearly all values are {low}..{high}, scaled by"
                f" {domain.extent}; `{key}={_advice(domain, known)}` uses the full range"
            )
        for counts, what in ((known.trained, "to train on"), (known.held_out, "held out")):
            outside, total = _outside(counts.get(domain.dtype), domain)
            if outside:
                yield (
                    f"{side}: {100 * outside / total:.2g} % of the values {what} are outside"
                    f" {domain.extent} and become black or white ({key})"
                )


def _advice(domain: Domain, values: Values) -> str:
    """The range to propose instead of one of which little is used."""
    better = _used(values.counts) if domain.dtype == "uint16" else domain
    if better.ends[1] - better.ends[0] < domain.ends[1] - domain.ends[0]:
        return "auto"
    return "{percentiles: [0.1, 99.9]}"


def _outside(counts: Counts | None, domain: Domain) -> tuple[int, int]:
    """How many values are outside a range, and how many there are in total."""
    if counts is None:
        return 0, 0
    low, high = domain.ends
    inside = int(counts[low : high + 1].sum())
    return int(counts.sum()) - inside, int(counts.sum())
