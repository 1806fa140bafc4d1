"""Which values the files of each domain use, and the range of them that networks are given."""

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
    """What the files of one domain hold.

    Attributes:
        files: number of files by type.
        trained: by type, how often each value occurs in the training images.
        held_out: the same of those that are held out.
    """

    files: Counter[Depth] = field(default_factory=Counter)
    trained: dict[Depth, Counts] = field(default_factory=dict)
    held_out: dict[Depth, Counts] = field(default_factory=dict)

    def add(self, dtype: Depth, counts: Counts, *, held_out: bool) -> None:
        """One more file."""
        self.files[dtype] += 1
        known = self.held_out if held_out else self.trained
        known[dtype] = known[dtype] + counts if dtype in known else counts

    def update(self, other: "Values") -> None:
        """All files of another, too."""
        self.files.update(other.files)
        for mine, theirs in (self.trained, other.trained), (self.held_out, other.held_out):
            for dtype, counts in theirs.items():
                mine[dtype] = mine[dtype] + counts if dtype in mine else counts

    @property
    def dtype(self) -> Depth:
        """The deepest of the files' types."""
        return "uint16" if "uint16" in self.files else "uint8"

    @property
    def counts(self) -> Counts:
        """How often each value of that type occurs in what is trained on, else in what is not."""
        known = self.trained.get(self.dtype, self.held_out.get(self.dtype))
        return np.zeros(1, np.int64) if known is None else known


def values_of(picture: Picture) -> tuple[Depth, Counts]:
    """The type of a picture's values, and how often each occurs."""
    return ("uint8" if picture.pixels.dtype == np.uint8 else "uint16"), count_values(picture)


def resolve_domains(data: DataConfig, values: Mapping[str, Values]) -> dict[str, Domain]:
    """What black and white are in the files of each domain, as `data.A.range` has it.

    `auto` is all that the type has of 8-bit files. Of 16-bit ones it is the smallest depth of 8,
    10, 12, 14 or 16 bits that holds all values to train on: nothing that is seen in training is
    clipped, and images to come may be as light as their sensor can. Where they use less than a
    quarter of that, as values far from 0 do, it is what they span, and 5 % of it on both sides.

    Args:
        values: by domain; those of 8 bits among deeper ones are taken for what they are.

    Raises:
        ConfigError: a range is more than the type of the files has.
    """
    return {
        side: _domain(getattr(data, side).range, known, f"data.{side}.range")
        for side, known in values.items()
    }


def domain_of(sources: Sequence[ImageSource], wanted: Range = "auto", key: str = "") -> Domain:
    """The same of images that are not trained on; of 8-bit ones, only the first is decoded.

    Args:
        wanted: as `data.A.range` has it.
        key: what errors call it.

    Raises:
        ConfigError: the range is more than the type of the files has.
        ImageError: a file does not decode.
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
                    f"{key}: {high} is beyond the range of {values.dtype} files (0..{most})"
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
    """From one value to another, as far as the type has them, and at least two."""
    most = Domain.of_type(dtype).ends[1]
    low = min(max(low, 0), most - 1)
    return Domain(dtype=dtype, low=low, high=min(max(high, low + 1), most))


def _extent(counts: Counts) -> tuple[int, int]:
    """The smallest and the largest value; of none, 0."""
    there = np.flatnonzero(counts)
    return (int(there[0]), int(there[-1])) if len(there) else (0, 0)


def _percentile(counts: Counts, percent: float) -> int:
    """The smallest value that so many per cent of all do not exceed."""
    sums = counts.cumsum()
    return int(np.searchsorted(sums, percent / 100 * sums[-1])) if sums[-1] else 0


def value_facts(domains: Mapping[str, Domain], values: Mapping[str, Values]) -> str:
    """In words, such as `A and B: uint16 values 7..4071, scaled by 0..4095 (12 bits)`."""
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
    """What a person should know of the values before training on them."""
    for side, domain in domains.items():
        known, key = values[side], f"data.{side}.range"
        if len(known.files) > 1:
            yield (
                f"{side} has files of 8 bits ({known.files['uint8']}), scaled by 0..255, and of 16"
                f" ({known.files['uint16']}), scaled by {domain.extent}"
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
    """The range to propose instead of one that is hardly used."""
    better = _used(values.counts) if domain.dtype == "uint16" else domain
    if better.ends[1] - better.ends[0] < domain.ends[1] - domain.ends[0]:
        return "auto"
    return "{percentiles: [0.1, 99.9]}"


def _outside(counts: Counts | None, domain: Domain) -> tuple[int, int]:
    """How many values are outside of a range, and how many there are."""
    if counts is None:
        return 0, 0
    low, high = domain.ends
    inside = int(counts[low : high + 1].sum())
    return int(counts.sum()) - inside, int(counts.sum())
