"""Measures images: each against its target, or all of them against real images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from img2img.data.sources import ImageSource
from img2img.errors import ConfigError, counted
from img2img.evaluation.cache import FeatureCache
from img2img.evaluation.options import EvaluationOptions, notifier, pairing_of, weights_of
from img2img.evaluation.results import at_size_of, looked_at
from img2img.features import FeatureNetwork, MissingFeatures, Supply, feature_network
from img2img.images import ClassNumbers, Domain, Picture, one_hot, to_tensor
from img2img.metrics.accumulators import PairMeasures, SetMeasures
from img2img.metrics.labels import LabelMeasures
from img2img.metrics.measure import MEASURES, Figure, unmet_need
from img2img.metrics.sets import LEAST as LEAST_IMAGES
from img2img.runtime.devices import resolve_device
from img2img.runtime.pipeline import ahead

# Bytes of results that are measured at the same time; one of more is alone.
_AHEAD = 200 * 10**6


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        figures: by measure.
        names: the names of the images, in the order of `Figure.per_image`.
        missing: measures that could not be taken, each with what it needs.
        where: which images were measured, as text; empty for two folders.
        trained_on: whether the model was trained on some of them; None if not known.
    """

    figures: dict[str, Figure]
    names: tuple[str, ...]
    missing: dict[str, str] = field(default_factory=dict)
    where: str = field(default="", compare=False)
    trained_on: bool | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The figures by measure as JSON, with the values of single images by name.

        The entry `missing` has the measures that could not be computed, with the reasons.
        """
        tree = {name: figure.to_json() for name, figure in self.figures.items()}
        for figure in tree.values():
            if figure["per_image"] is not None:
                figure["per_image"] = dict(zip(self.names, figure["per_image"], strict=True))
        images = {"where": self.where, "trained_on": self.trained_on}
        return {**tree, "missing": self.missing, **({"images": images} if self.where else {})}


@dataclass(frozen=True)
class Images:
    """The images to measure.

    Attributes:
        names: the names of the results, in order.
        results: the results, which are read only once.
        real: the real images to measure them against.
        paired: whether `real` has the target of each result, in the same order.
        inputs: the inputs of the results, in the same order, for the baseline of pairs.
    """

    names: Sequence[str]
    results: Iterable[Picture]
    real: Sequence[ImageSource]
    paired: bool
    inputs: Sequence[ImageSource] | None = None

    def seen(self, result: Picture) -> Picture:
        """A result; of label maps with the numbers of its classes."""
        domain = self.domain
        return domain.seen(result) if domain is not None and domain.classes else result

    @property
    def domain(self) -> Domain | None:
        """That of the real images, if they are read as those of one."""
        return self.real[0].domain if self.real else None

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that are also measured by themselves: of several, unless they are colours of
        8 or 16 bits."""
        domain = self.domain
        if domain is None or len(domain.channels) == 1:
            return ()
        return () if domain.is_rgb and domain.dtype in ("uint8", "uint16") else domain.channels


class _Measured(NamedTuple):
    """A result and, for pairs, its real image and the measured values.

    Attributes:
        values: the measured values, from `PairMeasures` or `LabelMeasures`.
        baseline: the same for the untouched input; None if it cannot be compared.
        resized: whether the real image was resized to the size of the result.
        left_out: the share of the pixels that are not measured.
    """

    result: Picture
    real: Picture | None = None
    values: Any = None
    baseline: Any = None
    resized: bool = False
    left_out: float = 0


def evaluate(
    images: Images, wanted: Sequence[str], **options: Unpack[EvaluationOptions]
) -> Evaluation:
    """Measure images; see `evaluate_folders`.

    Args:
        wanted: the measures to compute; see `chosen`.

    Raises:
        ImageError: a file does not decode, or the two of a pair differ in size.
        ConfigError: an unknown network, device or file of weights; or a required measure cannot be
            computed.
    """
    device = resolve_device(options.get("device", "auto"))
    seed, progress = options.get("seed", 0), options.get("progress") or (lambda done, total: None)
    missing = _unmet(images, wanted)
    of_pairs, of_sets = (
        [name for name in wanted if MEASURES[name].of == kind and name not in missing]
        for kind in ("pair", "set")
    )
    paired = images.paired and bool(of_pairs)
    supply = Supply(weights_of(options), bool(options.get("measures")), notifier(options))
    pairs = _pair_measures(images, of_pairs if paired else [], supply, device)
    network = _network(images, of_sets, options, device, missing)
    cache = FeatureCache(network, images.real) if network and options.get("cache", True) else None
    sets = SetMeasures(network, cache.load() if cache else None) if network else None
    _refuse_missing(options, pairs.missing | missing)
    apart = [] if paired or sets is None or sets.known else images.real
    total = len(images.names) + len(apart)

    def measure(item: tuple[int, Picture]) -> _Measured:
        index, result = item
        if device.type == "cpu":
            # Of this thread alone: measures of an image gain little from several, which the thread
            # that takes the results needs, where a network makes them.
            torch.set_num_threads(1)
        real = images.real[index].read()
        wanted = at_size_of(result, real, images.names[index], pairing_of(options))
        target = _tensor(wanted, device)
        valid = looked_at(result, wanted, name=images.names[index], device=device)
        baseline = None
        if images.inputs:
            untouched = _tensor(images.inputs[index].read(), device)
            if untouched.shape == target.shape:
                baseline = pairs.measure(untouched, target, valid)
        values = pairs.measure(_tensor(result, device), target, valid)
        share = 1 if valid is None else valid.mean().item()
        return _Measured(result, real, values, baseline, real.size != result.size, 1 - share)

    changes: list[tuple[bool, float]] = []
    with _cores(device) as cores:
        measured = ahead(
            measure if paired else lambda item: _Measured(item[1]),
            enumerate(map(images.seen, images.results)),
            workers=cores,
            weight=lambda item: item[1].pixels.nbytes,
            most=_AHEAD,
        )
        for index, each in enumerate(measured):
            if paired:
                pairs.add(each.values, each.baseline)
                changes.append((each.resized, each.left_out))
                _refuse_missing(options, pairs.missing)
            if sets and each.real is not None:
                sets.add_real(each.real.composited())
            if sets:
                sets.add_result(each.result.composited())
            progress(index + 1, total)
    for index, source in enumerate(apart, start=len(images.names)):
        if sets:
            sets.add_real(source.read().composited())
        progress(index + 1, total)
    for note in _notes(changes, of_sets if sets else []):
        notifier(options)(note)
    figures = {name: _in_units(each, images.domain) for name, each in pairs.figures(seed).items()}
    if sets:
        if cache and not sets.known:
            cache.save(sets.real_features())
        figures |= sets.figures(of_sets, seed)
    return Evaluation(figures, tuple(images.names), pairs.missing | missing)


def _pair_measures(
    images: Images, names: Sequence[str], supply: Supply, device: torch.device
) -> PairMeasures | LabelMeasures:
    if images.domain is not None and images.domain.classes:
        return LabelMeasures(names, images.domain.channels)
    return PairMeasures(names, supply, device, images.channels)


def _notes(changes: Sequence[tuple[bool, float]], of_sets: Sequence[str]) -> Iterator[str]:
    """Sentences on what is not measured as it is: by pair, resized, and the share left out."""
    left_out = [share for _, share in changes]
    if resized := sum(resized for resized, _ in changes):
        yield f"in {counted(resized, 'pair')} the real image is resized to the size of its result"
    if some := sum(map(bool, left_out)):
        sets = ", ".join(of_sets)
        yield (
            f"{counted(some, 'pair')} of {len(left_out)} have pixels without data or outside a"
            f" mask, {100 * fmean(left_out):.2g} % of all, which are not measured"
            + (f" (but {sets} are of whole images)" if sets else "")
        )


def _unmet(images: Images, wanted: Sequence[str]) -> dict[str, str]:
    """The measures that cannot be computed for such images, with the reasons."""
    unmet: dict[str, str] = {}
    domain = images.domain
    for name in wanted:
        if MEASURES[name].of == "pair" and not images.paired:
            unmet[name] = "the images have no known targets"
        elif domain is not None and (reason := unmet_need(name, domain)):
            unmet[name] = reason
    return unmet


def _tensor(picture: Picture, device: torch.device) -> Tensor:
    """[1, C, H, W] in [-1, 1]; of label maps one-hot."""
    if isinstance(picture.colours, ClassNumbers):
        hot = one_hot(picture.pixels, len(picture.colours.palette), picture.valid)
        return torch.from_numpy(hot).movedim(2, 0)[None].to(device)
    return to_tensor(picture.composited())[None].to(device)


def _in_units(figure: Figure, domain: Domain | None) -> Figure:
    """L1 also in the numbers of the files."""
    if figure.name != "l1" or domain is None or (domain.is_rgb and domain.dtype == "uint8"):
        return figure
    shares = figure.channels or dict.fromkeys(domain.channels, figure.value)
    ends = zip(domain.channels, domain.low, domain.high, strict=True)
    return replace(figure, in_units={c: shares[c] * (high - low) for c, low, high in ends})


def _refuse_missing(options: EvaluationOptions, missing: Mapping[str, str]) -> None:
    """Raise ConfigError if a required measure is missing."""
    required = options.get("required", options.get("measures") or ())
    for name in required:
        if name in missing:
            raise ConfigError(f"measures: {name}: {missing[name]}")


@contextmanager
def _cores(device: torch.device) -> Iterator[int]:
    """The number of threads to measure in; torch's own number is restored at the end."""
    cores = torch.get_num_threads()
    if device.type != "cpu":
        yield 1
        return
    try:
        yield cores
    finally:
        torch.set_num_threads(cores)


def _network(
    images: Images,
    of_sets: Sequence[str],
    options: EvaluationOptions,
    device: torch.device,
    missing: dict[str, str],
) -> FeatureNetwork | None:
    """The network for measures of sets; if there is none, None, with reasons in `missing`."""
    if not of_sets:
        return None
    counts = len(images.names), len(images.real)
    name = options.get("features", "auto")
    if min(counts) < LEAST_IMAGES:
        reason = (
            f"needs at least {LEAST_IMAGES} images in each set, but there are {counts[0]} and"
            f" {counts[1]}"
        )
    else:
        supply = Supply(options.get("weights"), name != "auto", notifier(options))
        try:
            return feature_network(name, supply, device)
        except MissingFeatures as error:
            reason = str(error)
    missing.update(dict.fromkeys(of_sets, reason))
    return None
