"""What a person is told of the values in the files before training."""

from collections.abc import Iterator, Mapping

from img2img.config.classes import MOST_CLASSES
from img2img.data.domains import SMALL, TAIL, used_range
from img2img.data.histogram import Histogram, together
from img2img.data.labels import label_facts, label_notices
from img2img.data.statistics import Counts, FileStatistics, decided, with_data
from img2img.images import Domain, Packing


def _each(domains: Mapping[str, Domain]) -> dict[str, Domain]:
    """Domains of files, without neighbours: those of several inputs with their names."""
    return {
        f"{side}:{name}" if domain.inputs else side: each if each.classes else each.alone
        for side, domain in domains.items()
        for name, each in domain.by_input.items()
    }


def value_facts(domains: Mapping[str, Domain], values: Mapping[str, FileStatistics]) -> str:
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
            every = together(with_data(known.counts, domain.nodata))
            fact += f" values {every.least:.6g}..{every.most:.6g}, scaled by {domain.range}"
        if domain.packing:
            fact += f", stored as {domain.packing}"
        if domain.nodata is not None:
            fact += f", nodata {domain.nodata:g}"
        facts.setdefault(fact, []).append(side)
    return "; ".join(f"{' and '.join(sides)}: {fact}" for fact, sides in facts.items())


def value_notices(
    domains: Mapping[str, Domain], values: Mapping[str, FileStatistics]
) -> Iterator[str]:
    """Notices on the values for the user before training."""
    yield from _nodata_notices(domains, values)
    for side, domain in _each(domains).items():
        if side not in values:
            continue
        known, key = values[side], f"data.{side[0]}.range"
        yield from (f"{side}: {each}" for each in decided(known, f"data.{side[0]}"))
        if domain.classes:
            yield from label_notices(side, domain, known.labels)
            continue
        if len(known.packings) > 1:
            texts = {n: n and str(Packing.model_validate_json(n)) for n in known.packings}
            yield (
                f"{side}: files differ in their scales, offsets or units"
                f" ({_examples(known, 'packing', texts)}); all are read in units, and the model has"
                " none for its results"
            )
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
        colours, images = len(known.labels.colours), known.files.total()
        # The colours of classes are those of several images.
        recur = known.flat_colours >= min(2, images) * colours
        if known.flat == images and 2 < colours <= MOST_CLASSES and recur and side in {"A", "B"}:
            yield (
                f"{side} looks like label maps: areas of {colours} colours; if it is,"
                f" `data.{side}.kind=labels` reads each colour as a class"
            )
        every = together(with_data(known.counts, domain.nodata))
        low, high = (every.percentile(100 * p) for p in (TAIL, 1 - TAIL))
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
                with_data(counts.get(domain.dtype, []), domain.nodata), domain
            )
            if outside:
                yield (
                    f"{side}: {100 * outside / total:.2g} % of the values {what} are outside"
                    f" {domain.extent} and become black or white ({key})"
                )


def _nodata_notices(
    domains: Mapping[str, Domain], values: Mapping[str, FileStatistics]
) -> Iterator[str]:
    for side, domain in domains.items():
        every = [each for key, each in values.items() if key[0] == side and each.files]
        nodata = next(iter(domain.by_input.values())).nodata
        if nodata is None:
            for known in (known for known in every if len(known.nodata) > 1):
                yield (
                    f"{side}: files name different values for pixels without data"
                    f" ({_examples(known, 'nodata', {n: n for n in known.nodata})}); the model has"
                    f" none, unless `data.{side}.nodata` sets it"
                )
        elif every and not any(
            known.declared or f"{nodata:.17g}" in known.nodata for known in every
        ):
            yield f"`data.{side}.nodata={nodata:g}`: no pixel of {side} has this value"


def _examples(known: FileStatistics, what: str, texts: Mapping[str, str]) -> str:
    """Such as `0 in a.tif, none in b.tif`: what files say differently, and one that says so."""
    each = [f"{text or 'none'} in {known.example[f'{what} {n}']}" for n, text in texts.items()]
    return ", ".join(each[:3]) + (", ..." if len(each) > 3 else "")


def _advice(domain: Domain, values: Histogram) -> str:
    """The range to propose instead of one of which little is used."""
    if domain.dtype not in {"uint8", "int8"}:
        low, high = used_range(values, domain.dtype)
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
