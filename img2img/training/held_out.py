"""Judging generators on held-out images: measures, and sheets of samples."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from img2img.data.samples import Batch
from img2img.images import Picture, to_pixels
from img2img.metrics.paired import l1
from img2img.networks import Generator
from img2img.networks.norms import use_statistics
from img2img.sheets import sheet
from img2img.spec import ModelSpec, prepare_for_inference
from img2img.training.method import Method

MEASURES = {"l1": l1}


def measure_names(method: type[Method], aligned: bool) -> list[str]:
    """What `HeldOut.measures` gives where there are held-out images.

    Args:
        aligned: whether held-out images have known targets.
    """
    names = list(MEASURES) if aligned else []
    if len(method.translations) > 1:
        names += [f"{name}_{direction}" for name in names for direction in method.translations]
    return [*names, "cycle"] if method.cycles else names


class HeldOut:
    """Runs generators over held-out batches as inference would, and leaves them as they were.

    Args:
        method: says which images a batch leads to.
        specs: how each generator is set up for inference.
        batches: gives the batches, on the CPU, the same each time; may give none.
        aligned: whether the images of a batch show the same thing, so that translations have a
            target.
    """

    def __init__(
        self,
        method: Method,
        specs: Mapping[str, ModelSpec],
        batches: Callable[[], Iterator[Batch]],
        aligned: bool,
    ) -> None:
        self._method = method
        self._specs = specs
        self._batches = batches
        self._aligned = aligned
        self._device = next(method.parameters()).device

    def measures(self, generators: Mapping[str, Generator]) -> dict[str, float]:
        """The mean of each measure over all images; see `measure_names`.

        Of a method that translates both ways, `l1` is the mean of `l1_AtoB` and `l1_BtoA`.
        `cycle` is the mean L1 distance between images and their way there and back.
        """
        values: dict[str, list[Tensor]] = {}
        several = len(self._method.translations) > 1
        for images in self._images(generators):
            for direction, (output, target) in self._method.translations.items():
                for name, measure in MEASURES.items() if self._aligned else ():
                    value = measure(images[output], images[target])
                    values.setdefault(name, []).append(value)
                    if several:
                        values.setdefault(f"{name}_{direction}", []).append(value)
            for output, target in self._method.cycles.values():
                values.setdefault("cycle", []).append(l1(images[output], images[target]))
        return {name: torch.cat(each).mean().item() for name, each in values.items()}

    def sheet(self, generators: Mapping[str, Generator], rows: int) -> Picture | None:
        """The first images, a row each, a column for each name; None without held-out images."""
        cells: list[list[Tensor]] = []
        titles: list[str] = []
        for images in self._images(generators):
            titles = list(images)
            cells += [list(row) for row in zip(*images.values(), strict=True)]
            if len(cells) >= rows:
                break
        if not cells:
            return None
        return sheet([[to_pixels(image.cpu()) for image in row] for row in cells[:rows]], titles)

    @torch.no_grad()
    def _images(self, generators: Mapping[str, Generator]) -> Iterator[dict[str, Tensor]]:
        with self._set_for_inference(generators):
            for batch in self._batches():
                yield self._method.images(generators, batch.to(self._device))

    @contextmanager
    def _set_for_inference(self, generators: Mapping[str, Generator]) -> Iterator[None]:
        for name, spec in self._specs.items():
            prepare_for_inference(generators[name], spec)
        try:
            yield
        finally:
            for generator in generators.values():
                use_statistics(generator, None)
                generator.train()
