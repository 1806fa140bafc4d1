"""Measuring images: each against its target, or all of them against real ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Unpack

import torch
from torch import Tensor

from img2img.data.problems import UNEQUAL
from img2img.data.sizes import brought_to
from img2img.data.sources import ImageSource
from img2img.errors import ConfigError, ImageError
from img2img.evaluation.cache import KeptFeatures
from img2img.evaluation.options import EvaluationOptions, notifier, pairing_of, weights_of
from img2img.features import FeatureNetwork, MissingFeatures, Supply, feature_network
from img2img.images import Picture, to_tensor
from img2img.metrics.accumulators import PairMeasures, SetMeasures
from img2img.metrics.measure import MEASURES, Figure
from img2img.metrics.sets import LEAST as LEAST_IMAGES
from img2img.runtime.devices import resolve_device
from img2img.runtime.pipeline import ahead

# Bytes of results that are measured at the same time; one of more is alone.
_AHEAD = 200 * 10**6


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    Attributes:
        figures: by the name of the measure.
        names: of the images, in the order of each figure's `per_image`.
        missing: measures that need what is not here, and the way out.
        where: the images, in words; empty where a person has named two folders.
        trained_on: whether the model was trained on images that are measured; None: not known.
    """

    figures: dict[str, Figure]
    names: tuple[str, ...]
    missing: dict[str, str] = field(default_factory=dict)
    where: str = field(default="", compare=False)
    trained_on: bool | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Figures by name, as JSON can hold them, with the values of images by their names.

        Under `missing` is what could not be measured, and why.
        """
        tree = {name: figure.to_json() for name, figure in self.figures.items()}
        for figure in tree.values():
            if figure["per_image"] is not None:
                figure["per_image"] = dict(zip(self.names, figure["per_image"], strict=True))
        images = {"where": self.where, "trained_on": self.trained_on}
        return {**tree, "missing": self.missing, **({"images": images} if self.where else {})}


@dataclass(frozen=True)
class Images:
    """What is measured.

    Attributes:
        names: of the results, in order.
        results: give them, once.
        real: what to measure them against.
        paired: whether each result has its target, which `real` gives in the same order.
        inputs: what the results were made of, in the same order, to measure beside pairs.
    """

    names: Sequence[str]
    results: Iterable[Picture]
    real: Sequence[ImageSource]
    paired: bool
    inputs: Sequence[ImageSource] | None = None

    def before(self, index: int, target: Tensor, pairs: PairMeasures) -> Mapping[str, float | None]:
        """What an untouched input is against its target; nothing where that cannot be said."""
        if not self.inputs:
            return {}
        untouched = to_tensor(self.inputs[index].read().composited())[None].to(target.device)
        return pairs.measure(untouched, target) if untouched.shape == target.shape else {}


def evaluate(
    images: Images, wanted: Sequence[str], **options: Unpack[EvaluationOptions]
) -> Evaluation:
    """Measure images; see `evaluate_folders`.

    Raises:
        ImageError: a file does not decode, or the two of a pair differ in size.
        ConfigError: no such network, device or file of weights.
    """
    device = resolve_device(options.get("device", "auto"))
    seed, progress = options.get("seed", 0), options.get("progress") or (lambda done, total: None)
    weights = weights_of(options)
    of_pairs, of_sets = ([n for n in wanted if MEASURES[n].of == kind] for kind in ("pair", "set"))
    paired = images.paired and bool(of_pairs)
    supply = Supply(weights, bool(options.get("measures")), notifier(options))
    pairs = PairMeasures(of_pairs if paired else [], supply, device)
    missing: dict[str, str] = {}
    network = _network(images, of_sets, options, device, missing)
    kept = KeptFeatures(network, images.real) if network and options.get("cache", True) else None
    sets = SetMeasures(network, kept.load() if kept else None) if network else None
    without = {} if images.paired else dict.fromkeys(of_pairs, "the images have no known targets")
    _refuse_missing(options, pairs.missing | missing | without)
    apart = [] if paired or sets is None or sets.known else images.real
    total = len(images.names) + len(apart)

    def compared(item: tuple[int, Picture]) -> tuple[Picture, Picture | None]:
        """A result and its real image, which are measured on the way."""
        index, picture = item
        if not paired:
            return picture, None
        if device.type == "cpu":
            # Of this thread alone: measures of an image gain little from several, which the thread
            # that takes the results needs, where a network makes them.
            torch.set_num_threads(1)
        real = images.real[index].read()
        target = _like(images.names[index], real, picture, options, resized)
        x, y = (to_tensor(each.composited())[None].to(device) for each in (picture, target))
        values[index] = pairs.measure(x, y), images.before(index, y, pairs)
        return picture, real

    values: dict[int, tuple[Mapping[str, float | None], Mapping[str, float | None]]] = {}
    resized: list[str] = []
    with _cores(device) as cores:
        compare = ahead(
            compared,
            enumerate(images.results),
            workers=cores,
            weight=lambda item: item[1].pixels.nbytes,
            most=_AHEAD,
        )
        for index, (picture, real) in enumerate(compare):
            if paired:
                pairs.add(*values.pop(index))
                _refuse_missing(options, pairs.missing)
            if sets and real is not None:
                sets.add_real(real.composited())
            if sets:
                sets.add_result(picture.composited())
            progress(index + 1, total)
    for index, source in enumerate(apart, start=len(images.names)):
        if sets:
            sets.add_real(source.read().composited())
        progress(index + 1, total)
    if resized:
        notifier(options)(f"in {len(resized)} pairs the real image is changed to its result's size")
    figures = pairs.figures(seed)
    if sets:
        if kept and not sets.known:
            kept.save(sets.real_features())
        figures |= sets.figures(of_sets, seed)
    return Evaluation(figures, tuple(images.names), pairs.missing | missing)


def _refuse_missing(options: EvaluationOptions, missing: Mapping[str, str]) -> None:
    """Who names a measure is not to get a table without it.

    Raises:
        ConfigError: one that is required is missing.
    """
    required = options.get("required", options.get("measures") or ())
    for name in required:
        if name in missing:
            raise ConfigError(f"measures: {name}: {missing[name]}")


@contextmanager
def _cores(device: torch.device) -> Iterator[int]:
    """How many threads to measure in; those that they computed with are set back at the end."""
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
    """The network for measures of sets, if one is needed and can be had; else see `missing`."""
    if not of_sets:
        return None
    counts = len(images.names), len(images.real)
    name = options.get("features", "auto")
    if min(counts) < LEAST_IMAGES:
        reason = (
            f"needs {LEAST_IMAGES} images and more in each set; there are"
            f" {counts[0]} and {counts[1]}"
        )
    else:
        supply = Supply(options.get("weights"), name != "auto", notifier(options))
        try:
            return feature_network(name, supply, device)
        except MissingFeatures as error:
            reason = str(error)
    missing.update(dict.fromkeys(of_sets, reason))
    return None


def _like(
    name: str, real: Picture, result: Picture, options: EvaluationOptions, resized: list[str]
) -> Picture:
    """The real image at its result's size; its name goes to `resized` where it had another."""
    if real.size != result.size:
        resized.append(name)
    changed = brought_to(real, result.size, pairing_of(options).unequal)
    if changed is None:
        sizes = [f"{width} x {height}" for height, width in (result.size, real.size)]
        raise ImageError(
            f"{name}: {sizes[0]} pixels, but the real image has {sizes[1]}, a different"
            f" shape; {UNEQUAL}; or compare the folders as sets (`measures` fid,kid)"
        )
    return changed
