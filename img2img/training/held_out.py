"""Evaluates generators on held-out images: measures and sample sheets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from img2img.data.samples import Batch
from img2img.features import FeatureNetwork, Features
from img2img.images import Picture, to_pixels
from img2img.images.display import tensor_shown
from img2img.images.places import valid_in_both
from img2img.images.sheets import sheet
from img2img.metrics.accumulators import SetMeasures
from img2img.metrics.labels import OF_COUNTS
from img2img.metrics.measure import MEASURES, measure_of
from img2img.metrics.paired import PairMeasure, l1
from img2img.models.spec import ModelSpec, prepare_for_inference
from img2img.networks.norms import use_statistics
from img2img.training.methods.base import Method

# Of the histogram of the targets' values.
_BINS = 1024


def measure_names(method: type[Method], aligned: bool) -> list[str]:
    """The names of the measures that `HeldOut.measures` can return.

    Args:
        aligned: whether held-out images have known targets.
    """
    names = [n for n, m in MEASURES.items() if m.of == "set" or (m.of == "pair" and aligned)]
    if len(method.translations) > 1:
        names += [f"{name}_{direction}" for name in names for direction in method.translations]
    return [*names, "cycle"] if method.cycles else names


class SetEvaluator:
    """Computes measures of sets: translations in one direction against real images of that domain.

    Args:
        names: the measures to compute.
        network: extracts the features.
    """

    def __init__(self, names: Sequence[str], network: FeatureNetwork) -> None:
        self._names = names
        self._network = network
        self._real: Features | None = None
        self.begin()

    def begin(self) -> None:
        """Start an evaluation. Features of the real images are kept from the first one."""
        self._measures = SetMeasures(self._network, self._real)
        self._shown: set[tuple[str, str]] = set()

    def add(self, files: Sequence[tuple[str, str]], output: Tensor, target: Tensor) -> None:
        """Add translations and real images, NCHW in [-1, 1], with the names of their files.

        Each image counts once, even if it occurs several times, as images of the smaller of two
        unpaired domains do.
        """
        for index, (source, real) in enumerate(files):
            if ("source", source) not in self._shown:
                self._measures.add_result(to_pixels(output[index]))
            if ("real", real) not in self._shown:
                self._measures.add_real(to_pixels(target[index]))
            self._shown |= {("source", source), ("real", real)}

    def values(self) -> dict[str, float]:
        """The measures of all images that were added."""
        self._real = self._measures.real_features()
        return self._measures.values(self._names)


class HeldOut:
    """Evaluates generators on held-out batches, as inference runs them, without changing them.

    Args:
        method: translates the images of a batch.
        specs: by generator, its settings for inference.
        batches: yields the batches, on the CPU, the same each time; it may yield none.
        aligned: whether the images of a batch are pairs, so that translations have a target.
        pairs: the measures of translations against targets, if there are targets.
        sets: the names of the measures of sets, and the network for their features.
    """

    def __init__(
        self,
        method: Method,
        specs: Mapping[str, ModelSpec],
        batches: Callable[[], Iterator[Batch]],
        aligned: bool,
        *,
        pairs: Mapping[str, PairMeasure] | None = None,
        sets: tuple[Sequence[str], FeatureNetwork] | None = None,
    ) -> None:
        self._method = method
        self._specs = specs
        self._batches = batches
        self._pairs = ({"l1": l1} if pairs is None else pairs) if aligned else {}
        self._sets = {name: SetEvaluator(*sets) for name in method.translations} if sets else {}
        self.baseline: dict[str, float] = {}
        """Measures of pairs for the untouched inputs, by the same names as in `measures`.

        Known after the first evaluation."""
        self.spans: dict[str, float] = {}
        """By direction, the share of the range, in [0, 1], that 99 % of the targets' values span.

        It puts `l1` into proportion: for dark targets, even a small distance may be large.
        """
        self._device = next(method.parameters()).device
        spec = next(iter(specs.values()), None)
        # Of `A` and `B` in a batch; the first generator translates A.
        self._domains = {} if spec is None else {"A": spec.input, "B": spec.output}

    @property
    def unit(self) -> float | None:
        """What `l1` is multiplied by to be in the numbers of the files, if these have one range."""
        targets = self._domains.get("B")
        if targets is None or targets.dtype == "uint8" or len(self._method.translations) > 1:
            return None
        spans = {high - low for low, high in zip(targets.low, targets.high, strict=True)}
        return float(spans.pop()) if len(spans) == 1 else None

    def measures(self, generators: Mapping[str, nn.Module]) -> dict[str, float]:
        """Each measure over all images; see `measure_names`.

        With a two-way method, `l1` is the mean of `l1_AtoB` and `l1_BtoA`, and so on. `cycle` is
        the mean L1 distance between images and themselves after translation there and back.
        """
        values: dict[str, list[Tensor]] = {}
        untouched: dict[str, list[Tensor]] = {}
        counts = {name: torch.zeros(_BINS) for name in self._method.translations if self._pairs}
        several = len(self._method.translations) > 1

        def add(
            name: str, direction: str, value: Tensor, to: dict[str, list[Tensor]] = values
        ) -> None:
            to.setdefault(name, []).append(value)
            if several:
                to.setdefault(f"{name}_{direction}", []).append(value)

        for each in self._sets.values():
            each.begin()
        for batch, images in self._images(generators, self._method.images):
            both = valid_in_both(batch.valid_A, batch.valid_B)
            for direction, (output, target) in self._method.translations.items():
                source = batch.A if direction == "AtoB" else batch.B
                if direction in counts and not self.spans:
                    counts[direction] += _histogram(images[target], both)
                for name, measure in self._pairs.items():
                    after = measure(images[output], images[target], both)
                    add(name, direction, _of_some(after, both))
                    # It is the same each time; inputs with other channels have none.
                    if not self.baseline and source.shape == images[target].shape:
                        before = measure(source, images[target], both)
                        add(name, direction, _of_some(before, both), untouched)
                if direction in self._sets:
                    ways = batch.path_A, batch.path_B
                    files = list(zip(*(ways if direction == "AtoB" else ways[::-1]), strict=True))
                    self._sets[direction].add(files, images[output], images[target])
            for domain, (output, target) in self._method.cycles.items():
                valid = {"A": batch.valid_A, "B": batch.valid_B}[domain]
                cycle = l1(images[output], images[target], valid)
                values.setdefault("cycle", []).append(_of_some(cycle, valid))
        for direction, each in self._sets.items():
            for name, value in each.values().items():
                add(name, direction, torch.tensor([value]))
        self.baseline = self.baseline or _means(untouched)
        if not self.spans:
            spans: dict[str, list[Tensor]] = {}
            for direction, count in counts.items():
                add("span", direction, _span(count)[None], spans)
            self.spans = _means(spans) if values else {}
        return _means(values)

    def sheet(self, generators: Mapping[str, nn.Module], rows: int) -> Picture | None:
        """A sheet with one row per image and one column per name; None without held-out images."""
        cells: list[list[NDArray[np.uint8]]] = []
        titles: list[str] = []
        for batch, images in self._images(generators, self._method.samples):
            titles = list(images)
            shown = [self._shown(name, image, batch) for name, image in images.items()]
            cells += [list(row) for row in zip(*shown, strict=True)]
            if len(cells) >= rows:
                break
        return sheet(cells[:rows], titles) if cells else None

    def _shown(self, name: str, images: Tensor, batch: Batch) -> list[NDArray[np.uint8]]:
        """The images of one name in a batch as RGB."""
        domain = self._domains.get(self._method.domain_of(name))
        valid = next((v for x, v in batch.both if x is images), None)
        masks = [None] * len(images) if valid is None else [*valid]
        return [tensor_shown(x, domain, v) for x, v in zip(images, masks, strict=True)]

    @torch.no_grad()
    def _images(
        self,
        generators: Mapping[str, nn.Module],
        shown: Callable[[Mapping[str, nn.Module], Batch], dict[str, Tensor]],
    ) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        with set_for_inference(generators, self._specs):
            for held_out in self._batches():
                batch = held_out.to(self._device)
                yield batch, shown(generators, batch)


def _of_some(values: Tensor, valid: Tensor | None) -> Tensor:
    """The values [N] of those images of which any place holds data."""
    return values if valid is None else values[(valid > 0).flatten(1).any(1)]


def _histogram(images: Tensor, valid: Tensor | None) -> Tensor:
    """Of the values at places that hold data."""
    values = images.float() if valid is None else images[(valid > 0).expand_as(images)].float()
    # Values beyond the range, if there are any, count as its ends.
    return torch.histc(values.clamp(-1, 1).cpu(), _BINS, -1, 1)


def _span(counts: Tensor) -> Tensor:
    """From the 0.5th to the 99.5th percentile of a histogram, as a share of all its bins."""
    shares = counts.double().cumsum(0) / counts.double().sum()
    return ((shares >= 0.005) & (shares < 0.995)).sum() / len(counts)


def _means(values: Mapping[str, Sequence[Tensor]]) -> dict[str, float]:
    """The mean over images; of measures of label maps, the value of all images together."""
    found = {}
    for name, each in values.items():
        together = torch.cat(list(each))
        measure = OF_COUNTS.get(measure_of(name))
        value = measure[0](together.sum(0)) if measure else together.mean()
        found[name] = value.item()
    return found


@contextmanager
def set_for_inference(
    networks: Mapping[str, nn.Module], specs: Mapping[str, ModelSpec]
) -> Iterator[None]:
    """Set networks up for inference within this block, and for training after it.

    Args:
        networks: generators, and networks without a specification.
    """
    for name, network in networks.items():
        if name in specs:
            prepare_for_inference(network, specs[name])
        else:
            network.eval()
    try:
        yield
    finally:
        for network in networks.values():
            use_statistics(network, None)
            network.train()
