"""Measures of label maps over a whole set: from the pixels of each class, added over all images."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from img2img.images.places import without_invalid
from img2img.metrics.measure import RESAMPLES, Figure, mean_figure


def class_counts(output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Pixels of each class in one-hot maps: right, in the target, in the output; int64 [N, 3, C].

    They are the diagonal and the sums of rows and columns of the confusion matrix of each image.
    Pixels that belong to no class of the target do not count.
    """
    target = without_invalid(target, valid)
    output = output * target.sum(1, keepdim=True)
    return torch.stack([(each > 0.5).sum((2, 3)) for each in (output * target, target, output)], 1)


def accuracies(counts: Tensor) -> Tensor:
    """For each class, the share of its pixels that are right, [..., C]; NaN if it has none."""
    right, there, _ = counts.unbind(-2)
    return right / there


def overlaps(counts: Tensor) -> Tensor:
    """Intersection over union of each class, [..., C]; NaN if neither map has it."""
    right, there, made = counts.unbind(-2)
    return right / (there + made - right)


def pixel_accuracy(counts: Tensor) -> Tensor:
    """Share of all pixels that have the right class, [...]."""
    right, there, _ = counts.sum(-1).unbind(-1)
    return right / there


def miou(counts: Tensor) -> Tensor:
    """Intersection over union, the mean of the classes that either map has, [...]."""
    return overlaps(counts).nanmean(-1)


# From counts [..., 3, C]: the measure [...], and what it is of each class [..., C].
OF_COUNTS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "pixel_accuracy": (pixel_accuracy, accuracies),
    "miou": (miou, overlaps),
}


class LabelMeasures:
    """Measures of label maps against their targets, as `PairMeasures` for images.

    Args:
        names: the measures to compute.
        classes: the names of the classes.
    """

    def __init__(self, names: Iterable[str], classes: Sequence[str]) -> None:
        self._names, self._classes = list(names), classes
        self._counts: list[Tensor] = []
        self._before: list[Tensor] = []
        self.missing: dict[str, str] = {}

    def measure(self, output: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """The pixels of each class in an image; see `class_counts`. This method is thread-safe."""
        return class_counts(output, target, valid).double().cpu()

    def add(self, values: Tensor, before: Tensor | None) -> None:
        """Add an image, from `measure`, and its untouched input."""
        self._counts.append(values)
        self._before += [] if before is None else [before]

    def figures(self, seed: int) -> dict[str, Figure]:
        """The figures of all measures, with bootstrap intervals of the set's value."""
        if not self._counts:
            return {}
        counts, count = torch.cat(self._counts), len(self._counts)
        draws = np.random.default_rng(seed).multinomial(count, [1 / count] * count, RESAMPLES)
        resampled = torch.tensordot(torch.from_numpy(draws).double(), counts, 1)
        figures = {}
        for name in self._names:
            of_all, of_each = OF_COUNTS[name]
            figure = mean_figure(name, of_all(counts).tolist(), seed)
            if figure.low is not None:
                values = of_all(resampled).numpy()
                low, high = (float(each) for each in np.nanquantile(values, (0.025, 0.975)))
                figure = replace(figure, low=low, high=high)
            each = zip(self._classes, of_each(counts.sum(0)).tolist(), strict=True)
            before = torch.cat(self._before).sum(0) if len(self._before) == count else None
            figures[name] = replace(
                figure,
                value=of_all(counts.sum(0)).item(),
                baseline=None if before is None else of_all(before).item(),
                channels={c: value for c, value in each if not math.isnan(value)},
            )
        return figures
