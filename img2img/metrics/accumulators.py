"""Computes measures of images that are added one by one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import torch
from torch import Tensor

from img2img.features import (
    FeatureExtractor,
    FeatureNetwork,
    Features,
    MissingFeatures,
    Supply,
)
from img2img.images import Pixels
from img2img.metrics.measure import Figure, mean_figure
from img2img.metrics.paired import LEAST_SIDE, PERCEPTUAL, PairMeasure, pair_measure
from img2img.metrics.sets import SETS, set_figure


class PairMeasures:
    """Measures of images against their targets.

    Args:
        names: the measures to compute.
        supply: the source of weights that some measures need.
        channels: the names of the images' channels, each of which is also measured by itself; none
            are if it is empty.

    Attributes:
        missing: measures that cannot be computed, with the reasons.
        values: by measure, the value for each image; also by measure and channel, as `l1/nir`.
    """

    def __init__(
        self,
        names: Iterable[str],
        supply: Supply,
        device: torch.device,
        channels: Sequence[str] = (),
    ) -> None:
        self._channels = channels
        self.missing: dict[str, str] = {}
        self.values: dict[str, list[float]] = {}
        self._measures: dict[str, PairMeasure] = {}
        self._before: defaultdict[str, list[float]] = defaultdict(list)
        for name in names:
            try:
                self._measures[name] = pair_measure(name, supply, device)
            except MissingFeatures as error:
                self.missing[name] = str(error)

    def measure(
        self, output: Tensor, target: Tensor, valid: Tensor | None = None
    ) -> dict[str, float | None]:
        """Measure an image against its target, both [1, C, H, W] in [-1, 1].

        The value is None if the image is too small for a measure. This method is thread-safe.

        Args:
            valid: [1, 1, H, W], where both hold data; None: everywhere.
        """
        side = min(output.shape[2:])
        found: dict[str, float | None] = {}
        for name, measure in self._measures.items():
            if side < LEAST_SIDE.get(name, 1):
                found[name] = None
                continue
            found[name] = measure(output, target, valid).item()
            for number, channel in enumerate(self._channels):
                one, other = output[:, number, None], target[:, number, None]
                found[f"{name}/{channel}"] = measure(one, other, valid).item()
        return found

    def add(
        self, values: Mapping[str, float | None], before: Mapping[str, float | None] | None
    ) -> None:
        """Add the values of an image, from `measure`, and those of its untouched input."""
        for name, value in values.items():
            if value is None:
                least = LEAST_SIDE[name]
                self.missing[name] = f"needs images of at least {least} pixels per side"
            else:
                self.values.setdefault(name, []).append(value)
            if before and (untouched := before.get(name)) is not None:
                self._before[name].append(untouched)

    def figures(self, seed: int) -> dict[str, Figure]:
        """The figures of all measures that could be computed for every image."""
        return {
            name: replace(
                mean_figure(name, values, seed, PERCEPTUAL.get(name)),
                baseline=fmean(before)
                if len(before := self._before[name]) == len(values)
                else None,
                channels={c: fmean(self.values[f"{name}/{c}"]) for c in self._channels} or None,
            )
            for name, values in self.values.items()
            if name in self._measures and name not in self.missing
        }


class SetMeasures:
    """Measures of a set of results against a set of real images.

    Args:
        network: the network whose features are compared.
        real: its features of the real images, if they are known; otherwise use `add_real`.
    """

    def __init__(self, network: FeatureNetwork, real: Features | None = None) -> None:
        self.network = network
        self.known = real is not None
        self._real = real
        self._extractors = FeatureExtractor(network), FeatureExtractor(network)

    def add_result(self, image: Pixels) -> None:
        """Add a result; see `FeatureNetwork.prepared`."""
        self._extractors[0].add(image)

    def add_real(self, image: Pixels) -> None:
        """Add a real image; ignored if their features are known."""
        if not self.known:
            self._extractors[1].add(image)

    def real_features(self) -> Features:
        """The features of all real images."""
        if self._real is None:
            self._real = self._extractors[1].features()
        return self._real

    def values(self, names: Iterable[str]) -> dict[str, float]:
        """The named measures of all added images."""
        results, real = self._extractors[0].features(), self.real_features()
        return {name: SETS[name](results, real, 0) for name in names}

    def figures(self, names: Iterable[str], seed: int) -> dict[str, Figure]:
        """The same with intervals, as figures."""
        results, real = self._extractors[0].features(), self.real_features()
        return {name: set_figure(name, results, real, self.network, seed) for name in names}
